//! `server status`: what answers at the API URL, by Prefect's name. `grepx-host status` is about this
//! machine's own host instead.

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::size;

pub(crate) fn status(client: &Client, as_json: bool) -> Done {
    let probe = client.probe()?;
    let exit = match probe.why_not {
        None => Exit::Ok,
        Some(_) => Exit::Failed,
    };
    // A key of the scope `read` is needed for the rest; without one, the rest is left out.
    let live = live_flow_runs(client).ok();
    let store = client.get("/store").ok();
    if as_json {
        out::json(&json!({
            "url": client.shown_url(),
            "version": probe.version,
            "ready": probe.why_not.is_none(),
            "why_not": probe.why_not,
            "flow_runs": live,
            "store": store,
        }));
        return Ok(exit);
    }
    let ready = match &probe.why_not {
        None => "ready".to_owned(),
        Some(why) => format!("takes no work: {why}"),
    };
    let mut rows = vec![
        ("server", client.shown_url().to_owned()),
        ("version", probe.version),
        ("status", ready),
    ];
    if let Some(live) = live {
        rows.push(("flow runs", live_in_words(&live)));
    }
    if let Some(bytes) = store.as_ref().and_then(|store| store["bytes"].as_u64()) {
        rows.push(("run store", size(bytes)));
    }
    out::pairs(&rows);
    Ok(exit)
}

/// How many flow runs are in each of the states that are not the last.
pub(crate) fn live_flow_runs(client: &Client) -> Result<Value, Failure> {
    let count = |state: Value| client.post("/flow_runs/count", &json!({"flow_runs": {"state": state}}));
    let of_type = |state_type: &str| count(json!({"type": {"any_": [state_type]}}));
    Ok(json!({
        "running": of_type("RUNNING")?,
        "pending": of_type("PENDING")?,
        "paused": of_type("PAUSED")?,
        "cancelling": of_type("CANCELLING")?,
        "waiting": count(json!({"name": {"any_": ["AwaitingConcurrencySlot", "Late"]}}))?,
    }))
}

pub(crate) fn live_in_words(live: &Value) -> String {
    let counts = live.as_object().into_iter().flatten();
    let words: Vec<String> = counts
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    match words.is_empty() {
        true => "none live".to_owned(),
        false => words.join(", "),
    }
}
