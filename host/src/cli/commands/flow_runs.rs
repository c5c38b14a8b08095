//! `flow-run cancel`, `retry` and `delete`: of one flow run by its id, or of all that options name.
//! The server takes many in bounded steps; here they are made one after the other, until none is
//! left.
//!
//! Absent on purpose: a question. What concerns many wants `--yes`, and `--dry-run` shows it.

use grepx_engine::Timestamp;
use serde_json::{Value, json};

use super::flow_run;
use crate::cli::arguments::{Cancels, Retries, Which};
use crate::cli::client::{Client, id};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::text;
use crate::cli::wanted::{self, Names};
use crate::clock;

/// What is done, in the words of the route and of the answer.
#[derive(Debug, Clone, Copy)]
struct Action {
    route: &'static str,
    done: &'static str,
    /// The time that an age is counted from.
    since: &'static str,
}

const CANCEL: Action = Action {
    route: "cancel",
    done: "cancelled",
    since: "expected_start_time",
};
const RETRY: Action = Action {
    route: "retry",
    done: "retried",
    since: "end_time",
};
const DELETE: Action = Action {
    route: "delete",
    done: "deleted",
    since: "end_time",
};

pub(crate) fn cancel(client: &Client, json: bool, asked: &Cancels) -> Done {
    let (which, force) = (&asked.which, asked.force);
    match &which.id {
        Some(run) if force => flow_run::set_state(client, json, run, "CANCELLED"),
        Some(run) => flow_run::set_state(client, json, run, "CANCELLING"),
        None => many(client, json, CANCEL, which, json!({"force": force})),
    }
}

pub(crate) fn retry(client: &Client, json: bool, asked: &Retries) -> Done {
    let mut body = json!({"from": if asked.from_start { "start" } else { "failed" }});
    if let Some(task) = &asked.from_task {
        body = json!({"from_task": task});
    }
    if let Some(task) = &asked.only_task {
        body = json!({"only_task": task});
    }
    let Some(run) = &asked.which.id else {
        return many(client, json, RETRY, &asked.which, body);
    };
    let run = client.post(&format!("/flow_runs/{}/retry", id(run)?), &body)?;
    if json {
        out::json(&run);
        return Ok(Exit::Ok);
    }
    let (name, state) = (text(&run, "name"), text(&run, "state_name"));
    out::line(format!("Flow run {name} goes on: it is {state}."));
    Ok(Exit::Ok)
}

pub(crate) fn delete(client: &Client, json: bool, which: &Which) -> Done {
    let Some(run) = &which.id else {
        return many(client, json, DELETE, which, json!({}));
    };
    let run = id(run)?;
    client.delete(&format!("/flow_runs/{run}"))?;
    if json {
        out::json(&json!({"deleted": run}));
    } else {
        out::line(format!("Flow run {run} is deleted."));
    }
    Ok(Exit::Ok)
}

fn many(client: &Client, json: bool, action: Action, which: &Which, more: Value) -> Done {
    let mut body = filter(which, action)?;
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    let path = format!("/flow_runs/bulk/{}", action.route);
    if which.dry_run || !which.yes {
        body["dry_run"] = json!(true);
        let answer = client.post(&path, &body)?;
        if answer["matched"] == 0 {
            explain(client, which);
        }
        return preview(json, action, which, &answer);
    }
    let (mut done, mut refused, mut refusals) = (0_u64, 0_u64, Vec::new());
    loop {
        let step = client.post(&path, &body)?;
        done += step["done"].as_u64().unwrap_or(0);
        refused += step["refused"].as_u64().unwrap_or(0);
        refusals.extend(step["refusals"].as_array().into_iter().flatten().cloned());
        if step["next"].is_null() {
            break;
        }
        body["before"] = step["next"].clone();
    }
    if done + refused == 0 {
        explain(client, which);
    }
    if json {
        out::json(&json!({"action": action.route, "done": done, "refused": refused, "refusals": refusals}));
    } else {
        out::line(format!("{} {}.", runs(done), action.done));
        for one in &refusals {
            out::note(format!("{}: {}", text(one, "name"), text(one, "reason")));
        }
    }
    Ok(if refused > 0 { Exit::Failed } else { Exit::Ok })
}

fn preview(json: bool, action: Action, which: &Which, answer: &Value) -> Done {
    let matched = answer["matched"].as_u64().unwrap_or(0);
    if !which.dry_run {
        return Err(Failure::usage(format!(
            "{} would be {}: add --yes to do it, or --dry-run to see which",
            runs(matched),
            action.done
        )));
    }
    if json {
        out::json(answer);
        return Ok(Exit::Ok);
    }
    let listed = answer["flow_runs"].as_array().into_iter().flatten();
    let rows: Vec<[String; 3]> = listed
        .map(|run| [text(run, "id"), text(run, "name"), text(run, "state_name")])
        .collect();
    let more = matched.saturating_sub(rows.len() as u64);
    out::table(["ID", "NAME", "STATE"], rows, "No flow runs.");
    if more > 0 {
        out::line(format!("and {more} more"));
    }
    out::line(format!("{} would be {}.", runs(matched), action.done));
    Ok(Exit::Ok)
}

fn filter(which: &Which, action: Action) -> Result<Value, Failure> {
    if Names::from(which).is_empty() && which.older_than.is_none() {
        return Err(Failure::usage(
            "give the id of a flow run, or name many with --state, --flow, --deployment, --older-than",
        ));
    }
    let mut body = wanted::body(which, "flow_runs")?;
    if let Some(age) = which.older_than {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(clock::now().0.saturating_sub(age));
        body["flow_runs"][action.since] = json!({"before_": clock::rfc3339(before)});
    }
    Ok(body)
}

/// Why nothing was found, when a name is the reason.
fn explain(client: &Client, which: &Which) {
    if let Some(mistyped) = wanted::mistyped(client, which) {
        out::note(mistyped);
    }
}

fn runs(count: u64) -> String {
    match count {
        1 => "1 flow run".to_owned(),
        many => format!("{many} flow runs"),
    }
}
