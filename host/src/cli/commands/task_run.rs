//! `task-run ls`, `inspect`, `signal` and `mark-done`.

use serde_json::{Value, json};

use crate::cli::arguments::TaskRuns;
use crate::cli::client::{Client, id, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{ago, date_time, duration, list, short, text, why};
use crate::cli::wanted;

pub(crate) fn ls(client: &Client, json: bool, arguments: &TaskRuns) -> Done {
    let mut body = wanted::body(&arguments.wanted, "task_runs")?;
    if let Some(run) = &arguments.flow_run {
        body["task_runs"]["flow_run_id"] = json!({"any_": [id(run)?]});
    }
    if !arguments.task.is_empty() {
        body["task_runs"]["name"] = json!({"any_": arguments.task});
    }
    body["sort"] = "EXPECTED_START_TIME_DESC".into();
    body["limit"] = arguments.limit.into();
    let found = client.post("/task_runs/filter", &body)?;
    if json {
        out::json(&found);
        return Ok(Exit::Ok);
    }
    let rows = found.as_array().into_iter().flatten().map(|run| {
        [
            text(run, "id"),
            text(run, "name"),
            text(run, "state_name"),
            text(run, "attempt"),
            ago(&run["state"], "timestamp"),
            why(run),
        ]
    });
    let header = ["ID", "TASK", "STATE", "ATTEMPT", "SINCE", "WHY"];
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        wanted::mistyped(client, &arguments.wanted)
            .into_iter()
            .for_each(out::note);
    }
    out::table(header, rows, "No task runs.");
    Ok(Exit::Ok)
}

pub(crate) fn inspect(client: &Client, json: bool, run: &str) -> Done {
    let run_id = id(run)?;
    let mut run = client.get(&format!("/task_runs/{run_id}"))?;
    let result = match run["result_bytes"] {
        Value::Null => None,
        _ => Some(client.get(&format!("/task_runs/{run_id}/result"))?),
    };
    if json {
        run["result"] = result.unwrap_or_default();
        out::json(&run);
        return Ok(Exit::Ok);
    }
    let mut rows = vec![
        ("id", text(&run, "id")),
        ("task", text(&run, "name")),
        ("kind", text(&run, "kind")),
        ("flow run", text(&run, "flow_run_id")),
        ("state", text(&run, "state_name")),
        ("why", why(&run)),
        ("waits for", text(&run, "status")),
        ("attempt", text(&run, "attempt")),
        ("started", date_time(&run, "start_time")),
        ("ended", date_time(&run, "end_time")),
        ("run time", duration(&run, "total_run_time")),
        ("known outside as", text(&run, "external_id")),
        ("tags", list(&run, "tags")),
    ];
    if !run["input"].is_null() {
        rows.push(("input", short(&run["input"])));
    }
    if let Some(result) = &result {
        rows.push(("result", short(result)));
    }
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
    Ok(Exit::Ok)
}

pub(crate) fn signal(client: &Client, json: bool, run: &str, name: &str, data: &str) -> Done {
    let run_id = id(run)?;
    let payload: Value = serde_json::from_str(data).map_err(|error| {
        Failure::usage(format!(
            "--data is no JSON: {error}; write an object such as '{{\"by\": \"ann\"}}'"
        ))
    })?;
    let run = client.post(&format!("/task_runs/{run_id}/signal/{}", segment(name)), &payload)?;
    if json {
        out::json(&run);
        return Ok(Exit::Ok);
    }
    out::line(format!("{name} was brought to task run {}.", text(&run, "name")));
    Ok(Exit::Ok)
}

pub(crate) fn mark_done(client: &Client, json: bool, run: &str, note: &str, result: &str) -> Done {
    let run_id = id(run)?;
    let result: Value = serde_json::from_str(result).map_err(|error| {
        Failure::usage(format!(
            "--result is no JSON: {error}; write text in quotes, such as '\"done\"'"
        ))
    })?;
    let body = json!({"note": note, "result": result});
    let run = client.post(&format!("/task_runs/{run_id}/mark_done"), &body)?;
    if json {
        out::json(&run);
        return Ok(Exit::Ok);
    }
    out::line(format!(
        "Task run {} is {}.",
        text(&run, "name"),
        text(&run, "state_name")
    ));
    Ok(Exit::Ok)
}
