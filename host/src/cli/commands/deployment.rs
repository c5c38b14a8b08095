//! `deployment run`, `ls`, `inspect`.

use serde_json::{Map, Value, json};

use super::start::start_at;
use super::watch;
use crate::cli::arguments::Run;
use crate::cli::client::{Client, segment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{date_time, list, text};
use crate::cli::suggest;

pub(super) const ROWS_MAX: usize = 10_000;

pub(crate) fn run(client: &Client, json: bool, arguments: &Run) -> Done {
    let body = request(arguments)?;
    let deployment = find(client, &arguments.name)?;
    let id = text(&deployment, "id");
    let run = client.post(&format!("/deployments/{id}/create_flow_run"), &body)?;
    if arguments.watch {
        return watch::watch(client, json, &run);
    }
    if json {
        out::json(&run);
        return Ok(Exit::Ok);
    }
    out::line(format!("Flow run {} ({})", text(&run, "name"), text(&run, "id")));
    if arguments.start_in.is_some() || arguments.start_at.is_some() {
        out::line(format!("starts at {}", date_time(&run, "expected_start_time")));
    }
    out::note(format!("watch it with: grepx-host flow-run watch {}", text(&run, "id")));
    Ok(Exit::Ok)
}

pub(crate) fn ls(client: &Client, json: bool, flows: &[String], limit: u16) -> Done {
    let mut filter = json!({"sort": "NAME_ASC"});
    if !flows.is_empty() {
        filter["flows"] = json!({"name": {"any_": flows}});
    }
    let deployments = client.all("/deployments/filter", &filter, limit.into())?;
    if json {
        out::json(&Value::Array(deployments));
        return Ok(Exit::Ok);
    }
    let rows = deployments.iter().map(|one| {
        let name = format!("{}/{}", text(one, "flow_name"), text(one, "name"));
        [name, schedules(one), text(one, "work_pool_name"), list(one, "tags")]
    });
    let header = ["DEPLOYMENT", "SCHEDULE", "WORK POOL", "TAGS"];
    out::table(header, rows.collect(), "No deployments.");
    Ok(Exit::Ok)
}

pub(crate) fn inspect(client: &Client, json: bool, name: &str) -> Done {
    let one = find(client, name)?;
    if json {
        out::json(&one);
        return Ok(Exit::Ok);
    }
    let limit = match &one["concurrency_limit"] {
        Value::Null => "none".to_owned(),
        limit => limit.to_string(),
    };
    let mut rows = vec![
        (
            "deployment",
            format!("{}/{}", text(&one, "flow_name"), text(&one, "name")),
        ),
        ("id", text(&one, "id")),
        ("description", text(&one, "description")),
        ("schedule", schedules(&one)),
        ("work pool", text(&one, "work_pool_name")),
        ("work queue", text(&one, "work_queue_name")),
        ("limit", limit),
        ("tags", list(&one, "tags")),
        ("parameters", one["parameters"].to_string()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
    Ok(Exit::Ok)
}

/// Pauses (`active` is false) or resumes.
pub(crate) fn switch(client: &Client, json: bool, name: &str, active: bool) -> Done {
    let one = find(client, name)?;
    let id = text(&one, "id");
    client.patch(&format!("/deployments/{id}"), &json!({"paused": !active}))?;
    if json {
        out::json(&client.get(&format!("/deployments/{id}"))?);
        return Ok(Exit::Ok);
    }
    let name = format!("{}/{}", text(&one, "flow_name"), text(&one, "name"));
    out::line(if active {
        format!("Deployment {name} resumed: its schedules start runs from now on")
    } else {
        format!(
            "Deployment {name} paused: its schedules start nothing; runs that waited are cancelled, what runs goes on"
        )
    });
    Ok(Exit::Ok)
}

/// By `flow/deployment` or by the deployment's name, which is unique.
pub(super) fn find(client: &Client, name: &str) -> Result<Value, Failure> {
    if let Some((flow, deployment)) = name.split_once('/') {
        let path = format!("/deployments/name/{}/{}", segment(flow), segment(deployment));
        return client.get(&path).map_err(|failure| match failure.exit {
            Exit::NotFound => unknown(client, name),
            _ => failure,
        });
    }
    let found = client.post(
        "/deployments/filter",
        &json!({"deployments": {"name": {"any_": [name]}}}),
    )?;
    match found.as_array().and_then(|found| found.first()) {
        Some(one) => Ok(one.clone()),
        None => Err(unknown(client, name)),
    }
}

fn unknown(client: &Client, name: &str) -> Failure {
    let all = match client.all("/deployments/filter", &json!({}), ROWS_MAX) {
        Ok(all) => all,
        Err(failure) => return failure,
    };
    let names: Vec<String> = all
        .iter()
        .map(|one| match name.contains('/') {
            true => format!("{}/{}", text(one, "flow_name"), text(one, "name")),
            false => text(one, "name"),
        })
        .collect();
    suggest::unknown("deployment", name, names.iter().map(String::as_str), "deployment ls")
}

fn request(arguments: &Run) -> Result<Value, Failure> {
    let parameters = parameters(arguments)?;
    let start_at = start_at(arguments).map_err(Failure::usage)?;
    let start_at = start_at.map(crate::clock::rfc3339);
    Ok(json!({
        "name": arguments.flow_run_name,
        "parameters": parameters,
        "tags": arguments.tag,
        "idempotency_key": arguments.idempotency_key,
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": start_at}},
    }))
}

/// `--params` and over it each `--param`.
pub(super) fn parameters(arguments: &Run) -> Result<Map<String, Value>, Failure> {
    let mut parameters = match &arguments.params {
        None => Map::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(other) => {
                return Err(Failure::usage(format!(
                    "--params has to be a JSON object, found {other}"
                )));
            }
            Err(error) => return Err(Failure::usage(format!("--params is no JSON: {error}"))),
        },
    };
    for (name, value) in &arguments.param {
        parameters.insert(name.clone(), json_or_text(value));
    }
    Ok(parameters)
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn schedules(deployment: &Value) -> String {
    let paused = deployment["paused"].as_bool() == Some(true);
    let all = deployment["schedules"].as_array().into_iter().flatten().map(|one| {
        let schedule = &one["schedule"];
        let zone = text(schedule, "timezone");
        let words = match () {
            () if one["problem"].is_string() => format!("refused: {}", text(one, "problem")),
            () if schedule["cron"].is_string() => format!("cron {} {zone}", text(schedule, "cron")),
            () if schedule["interval"].is_number() => format!("every {} s", text(schedule, "interval")),
            () => format!("rrule {} {zone}", text(schedule, "rrule")),
        };
        match paused || one["active"].as_bool() == Some(false) {
            true => format!("{} (paused)", words.trim_end()),
            false => words.trim_end().to_owned(),
        }
    });
    all.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
