//! `work-pool ls`, `inspect`, `pause`, `resume`.

use serde_json::{Value, json};

use crate::cli::client::{Client, segment};
use crate::cli::exit::{Done, Exit};
use crate::cli::out;
use crate::cli::show::text;

const ROWS_MAX: usize = 10_000;

pub(crate) fn ls(client: &Client, json: bool) -> Done {
    let pools = client.all("/work_pools/filter", &json!({}), ROWS_MAX)?;
    if json {
        out::json(&Value::Array(pools));
        return Ok(Exit::Ok);
    }
    let rows = pools.iter().map(|pool| {
        [
            text(pool, "name"),
            text(pool, "type"),
            status(pool),
            limit(pool),
            text(pool, "held"),
            text(pool, "waiting"),
        ]
    });
    let header = ["WORK POOL", "TYPE", "STATUS", "LIMIT", "RUNNING", "WAITING"];
    out::table(header, rows.collect(), "No work pools.");
    Ok(Exit::Ok)
}

pub(crate) fn inspect(client: &Client, json: bool, name: &str) -> Done {
    let mut pool = client.get(&format!("/work_pools/{}", segment(name)))?;
    let queues = client.all(
        &format!("/work_pools/{}/queues/filter", segment(name)),
        &json!({}),
        ROWS_MAX,
    )?;
    if json {
        pool["queues"] = Value::Array(queues);
        out::json(&pool);
        return Ok(Exit::Ok);
    }
    let rows = [
        ("work pool", text(&pool, "name")),
        ("type", text(&pool, "type")),
        ("description", text(&pool, "description")),
        ("status", status(&pool)),
        ("limit", limit(&pool)),
        ("running", text(&pool, "held")),
        ("waiting", text(&pool, "waiting")),
    ];
    out::pairs(&rows);
    let rows = queues.iter().map(|queue| {
        [
            text(queue, "name"),
            text(queue, "priority"),
            status(queue),
            limit(queue),
            text(queue, "held"),
            text(queue, "waiting"),
        ]
    });
    let header = ["WORK QUEUE", "PRIORITY", "STATUS", "LIMIT", "RUNNING", "WAITING"];
    out::line("");
    out::table(header, rows.collect(), "No work queues.");
    Ok(Exit::Ok)
}

pub(crate) fn set_paused(client: &Client, json: bool, name: &str, paused: bool) -> Done {
    let path = format!("/work_pools/{}", segment(name));
    client.patch(&path, &json!({"is_paused": paused}))?;
    if json {
        out::json(&client.get(&path)?);
    } else if paused {
        out::line(format!(
            "Work pool {name} is paused: no further flow run starts, those that run go on."
        ));
    } else {
        out::line(format!("Work pool {name} is not paused."));
    }
    Ok(Exit::Ok)
}

fn status(object: &Value) -> String {
    match object["is_paused"].as_bool() {
        Some(true) => "paused".to_owned(),
        _ => "ready".to_owned(),
    }
}

fn limit(object: &Value) -> String {
    match &object["concurrency_limit"] {
        Value::Null => "none".to_owned(),
        limit => limit.to_string(),
    }
}
