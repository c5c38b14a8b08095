//! `work-pool ls`, `inspect`, `pause`, `resume`, `preview`, and its limit.

use serde_json::{Value, json};

use crate::cli::client::{Client, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{ago, date_time, text};
use crate::cli::suggest;
use crate::clock;

pub(super) const ROWS_MAX: usize = 10_000;

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
    let mut pool = find(client, name)?;
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
    let change = json!({"is_paused": paused});
    set(
        client,
        json,
        name,
        &change,
        match paused {
            true => "is paused: no further flow run starts, those that run go on.".to_owned(),
            false => "is not paused.".to_owned(),
        },
    )
}

pub(crate) fn set_limit(client: &Client, json: bool, name: &str, limit: Option<u32>) -> Done {
    let change = json!({"concurrency_limit": limit});
    set(
        client,
        json,
        name,
        &change,
        match limit {
            Some(limit) => format!("runs at most {limit} flow runs at once."),
            None => "has no limit of its own.".to_owned(),
        },
    )
}

fn set(client: &Client, json: bool, name: &str, change: &Value, says: String) -> Done {
    let pool = find(client, name)?;
    let path = format!("/work_pools/{}", segment(&text(&pool, "name")));
    client.patch(&path, change)?;
    match json {
        true => out::json(&client.get(&path)?),
        false => out::line(format!("Work pool {name} {says}")),
    }
    Ok(Exit::Ok)
}

/// Flow runs that are planned to start within `hours`, first ones first.
pub(crate) fn preview(client: &Client, json: bool, name: Option<&str>, hours: u32) -> Done {
    let mut filter = json!({
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": {"before_": later(hours)},
        },
        "sort": "EXPECTED_START_TIME_ASC",
    });
    if let Some(name) = name {
        let pool = find(client, name)?;
        filter["work_pools"] = json!({"name": {"any_": [pool["name"]]}});
    }
    let runs = client.all("/flow_runs/filter", &filter, ROWS_MAX)?;
    if json {
        out::json(&Value::Array(runs));
        return Ok(Exit::Ok);
    }
    let rows = runs.iter().map(|run| {
        [
            text(run, "id"),
            date_time(run, "expected_start_time"),
            ago(run, "expected_start_time"),
            text(run, "work_pool_name"),
            text(run, "work_queue_name"),
            format!("{}/{}", text(run, "flow_name"), text(run, "deployment_name")),
        ]
    });
    let header = ["ID", "STARTS", "WHEN", "WORK POOL", "WORK QUEUE", "DEPLOYMENT"];
    let none = format!("No flow run is planned for the next {hours} hours.");
    out::table(header, rows.collect(), &none);
    Ok(Exit::Ok)
}

fn later(hours: u32) -> String {
    clock::rfc3339(clock::now().plus_ms(u64::from(hours) * 3_600_000))
}

pub(super) fn find(client: &Client, name: &str) -> Result<Value, Failure> {
    let found = client.get(&format!("/work_pools/{}", segment(name)));
    found.map_err(|failure| match failure.exit {
        Exit::NotFound => match client.all("/work_pools/filter", &json!({}), ROWS_MAX) {
            Ok(pools) => {
                let names = pools.iter().filter_map(|pool| pool["name"].as_str());
                suggest::unknown("work pool", name, names, "work-pool ls")
            }
            Err(failure) => failure,
        },
        _ => failure,
    })
}

pub(super) fn status(object: &Value) -> String {
    match object["is_paused"].as_bool() {
        Some(true) => "paused".to_owned(),
        _ => "ready".to_owned(),
    }
}

pub(super) fn limit(object: &Value) -> String {
    match &object["concurrency_limit"] {
        Value::Null => "none".to_owned(),
        limit => limit.to_string(),
    }
}
