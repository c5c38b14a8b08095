//! `work-queue ls`, `inspect`, `pause`, `resume`, `set-concurrency-limit`, `clear-concurrency-limit`.

use serde_json::{Value, json};

use super::work_pool::{ROWS_MAX, limit, status};
use crate::cli::arguments::OneQueue;
use crate::cli::client::{Client, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::text;
use crate::cli::suggest;

pub(crate) fn ls(client: &Client, json: bool, pool: Option<&str>) -> Done {
    let queues = all(client, pool)?;
    if json {
        out::json(&Value::Array(queues));
        return Ok(Exit::Ok);
    }
    let rows = queues.iter().map(|queue| {
        [
            text(queue, "name"),
            text(queue, "work_pool_name"),
            text(queue, "priority"),
            status(queue),
            limit(queue),
            text(queue, "held"),
            text(queue, "waiting"),
        ]
    });
    let header = [
        "WORK QUEUE",
        "WORK POOL",
        "PRIORITY",
        "STATUS",
        "LIMIT",
        "RUNNING",
        "WAITING",
    ];
    out::table(header, rows.collect(), "No work queues.");
    Ok(Exit::Ok)
}

pub(crate) fn inspect(client: &Client, json: bool, which: &OneQueue) -> Done {
    let queue = find(client, which)?;
    if json {
        out::json(&queue);
        return Ok(Exit::Ok);
    }
    out::pairs(&[
        ("work queue", text(&queue, "name")),
        ("id", text(&queue, "id")),
        ("work pool", text(&queue, "work_pool_name")),
        ("priority", text(&queue, "priority")),
        ("status", status(&queue)),
        ("limit", limit(&queue)),
        ("running", text(&queue, "held")),
        ("waiting", text(&queue, "waiting")),
    ]);
    Ok(Exit::Ok)
}

pub(crate) fn set_paused(client: &Client, json: bool, which: &OneQueue, paused: bool) -> Done {
    set(
        client,
        json,
        which,
        &json!({"is_paused": paused}),
        |name| match paused {
            true => format!("Work queue {name} is paused: no further flow run starts, those that run go on."),
            false => format!("Work queue {name} is not paused."),
        },
    )
}

pub(crate) fn set_limit(client: &Client, json: bool, which: &OneQueue, limit: Option<u32>) -> Done {
    set(
        client,
        json,
        which,
        &json!({"concurrency_limit": limit}),
        |name| match limit {
            Some(limit) => format!("Work queue {name} runs at most {limit} flow runs at once."),
            None => format!("Work queue {name} has no limit of its own."),
        },
    )
}

fn set(client: &Client, json: bool, which: &OneQueue, change: &Value, says: impl Fn(&str) -> String) -> Done {
    let queue = find(client, which)?;
    let path = format!("/work_queues/{}", text(&queue, "id"));
    client.patch(&path, change)?;
    match json {
        true => out::json(&client.get(&path)?),
        false => out::line(says(&format!(
            "{}/{}",
            text(&queue, "work_pool_name"),
            text(&queue, "name")
        ))),
    }
    Ok(Exit::Ok)
}

fn all(client: &Client, pool: Option<&str>) -> Result<Vec<Value>, Failure> {
    match pool {
        None => client.all("/work_queues/filter", &json!({}), ROWS_MAX),
        Some(pool) => {
            let pool = super::work_pool::find(client, pool)?;
            let path = format!("/work_pools/{}/queues/filter", segment(&text(&pool, "name")));
            client.all(&path, &json!({}), ROWS_MAX)
        }
    }
}

fn find(client: &Client, which: &OneQueue) -> Result<Value, Failure> {
    let queues = all(client, which.pool.as_deref())?;
    let found: Vec<&Value> = queues
        .iter()
        .filter(|queue| queue["name"] == which.name.as_str() || queue["id"] == which.name.as_str())
        .collect();
    match found[..] {
        [only] => Ok(only.clone()),
        [] => {
            let names: Vec<String> = queues.iter().map(|queue| text(queue, "name")).collect();
            let names = names.iter().map(String::as_str);
            Err(suggest::unknown("work queue", &which.name, names, "work-queue ls"))
        }
        _ => {
            let pools: Vec<String> = found.iter().map(|queue| text(queue, "work_pool_name")).collect();
            Err(Failure::usage(format!(
                "several work pools have a work queue {:?}: choose one with --pool ({})",
                which.name,
                pools.join(", ")
            )))
        }
    }
}
