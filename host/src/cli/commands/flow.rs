//! `flow ls`.

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit};
use crate::cli::out;
use crate::cli::show::{list, text};

pub(crate) fn ls(client: &Client, json: bool, limit: u16) -> Done {
    let flows = client.all("/flows/filter", &json!({"sort": "NAME_ASC"}), limit.into())?;
    if json {
        out::json(&Value::Array(flows));
        return Ok(Exit::Ok);
    }
    let rows = flows.iter().map(|flow| {
        [
            text(flow, "name"),
            text(flow, "tasks"),
            list(flow, "tags"),
            text(flow, "description"),
        ]
    });
    out::table(["FLOW", "TASKS", "TAGS", "DESCRIPTION"], rows.collect(), "No flows.");
    Ok(Exit::Ok)
}
