//! `flow-run ls`, `inspect`, `watch`, `pause`, `resume`, and one flow run's `cancel`.

use serde_json::{Value, json};

use super::watch;
use crate::cli::arguments::FlowRuns;
use crate::cli::client::{Client, id};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{ago, date_time, duration, list, text, why};
use crate::cli::wanted;

/// Task runs shown with a flow run.
const TASK_RUNS_MAX: usize = 10_000;

pub(crate) fn ls(client: &Client, json: bool, arguments: &FlowRuns) -> Done {
    let mut body = wanted::body(&arguments.wanted, "flow_runs")?;
    body["sort"] = "EXPECTED_START_TIME_DESC".into();
    body["limit"] = arguments.limit.into();
    let found = client.post("/flow_runs/filter", &body)?;
    if json {
        out::json(&found);
        return Ok(Exit::Ok);
    }
    let rows = found.as_array().into_iter().flatten().map(|run| {
        [
            text(run, "id"),
            text(run, "flow_name"),
            text(run, "name"),
            text(run, "state_name"),
            ago(&run["state"], "timestamp"),
            why(run),
        ]
    });
    let header = ["ID", "FLOW", "NAME", "STATE", "SINCE", "WHY"];
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        wanted::mistyped(client, &arguments.wanted)
            .into_iter()
            .for_each(out::note);
    }
    out::table(header, rows, "No flow runs.");
    Ok(Exit::Ok)
}

pub(crate) fn inspect(client: &Client, json: bool, run: &str) -> Done {
    let run_id = id(run)?;
    let mut run = client.get(&format!("/flow_runs/{run_id}"))?;
    let filter = json!({"task_runs": {"flow_run_id": {"any_": [run_id]}}, "sort": "DEFINITION_ASC"});
    let tasks = client.all("/task_runs/filter", &filter, TASK_RUNS_MAX)?;
    if json {
        run["task_runs"] = Value::Array(tasks);
        out::json(&run);
        return Ok(Exit::Ok);
    }
    let mut rows = vec![
        ("flow run", text(&run, "name")),
        ("id", text(&run, "id")),
        ("flow", text(&run, "flow_name")),
        ("deployment", text(&run, "deployment_name")),
        ("state", text(&run, "state_name")),
        ("why", why(&run)),
        ("work pool", text(&run, "work_pool_name")),
        ("work queue", text(&run, "work_queue_name")),
        ("expected start", date_time(&run, "expected_start_time")),
        ("started", date_time(&run, "start_time")),
        ("ended", date_time(&run, "end_time")),
        ("run time", duration(&run, "total_run_time")),
        ("tags", list(&run, "tags")),
        ("parameters", run["parameters"].to_string()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
    let rows = tasks.iter().map(|task| {
        [
            text(task, "name"),
            text(task, "state_name"),
            text(task, "attempt"),
            duration(task, "total_run_time"),
            why(task),
        ]
    });
    out::line("");
    out::table(
        ["TASK", "STATE", "ATTEMPT", "RUN TIME", "WHY"],
        rows.collect(),
        "No task runs yet.",
    );
    Ok(Exit::Ok)
}

pub(crate) fn watch(client: &Client, json: bool, run: &str) -> Done {
    let run = client.get(&format!("/flow_runs/{}", id(run)?))?;
    watch::watch(client, json, &run)
}

pub(crate) fn set_state(client: &Client, json: bool, run: &str, state_type: &str) -> Done {
    let body = json!({"state": {"type": state_type, "message": Value::Null}});
    let run = id(run)?;
    let answer = client.post(&format!("/flow_runs/{run}/set_state"), &body)?;
    settled(json, run, &answer, state_type)
}

pub(crate) fn resume(client: &Client, json: bool, run: &str) -> Done {
    let run = id(run)?;
    let answer = client.post(&format!("/flow_runs/{run}/resume"), &json!({}))?;
    settled(json, run, &answer, "SCHEDULED")
}

/// A rejection that leaves the run in the state that was wanted is a success: it is cancelled at once,
/// or it is cancelling already.
fn settled(json: bool, run: uuid::Uuid, answer: &Value, wanted: &str) -> Done {
    let state_type = text(&answer["state"], "type");
    let status = text(answer, "status");
    let ends = |state: &str| matches!(state, "CANCELLING" | "CANCELLED");
    let done = status == "ACCEPT" || (status == "REJECT" && ends(wanted) && ends(&state_type));
    if json {
        out::json(answer);
        return Ok(if done { Exit::Ok } else { Exit::Failed });
    }
    if done {
        out::line(format!("Flow run {run} is {}.", text(&answer["state"], "name")));
        return Ok(Exit::Ok);
    }
    let reason = text(&answer["details"], "reason");
    Err(Failure::says(
        Exit::Failed,
        format!("flow run {run} stays as it is: {reason}"),
    ))
}
