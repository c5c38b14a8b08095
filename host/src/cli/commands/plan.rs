//! `deployment run --dry-run`: what the run would do, before it does. Told by the server, or, where
//! none answers, made of the definitions database and the plugin folder.

use serde_json::{Map, Value, json};

use super::deployment::{find, parameters};
use super::{definitions, plugin};
use crate::api::describe_run_plan;
use crate::cli::arguments::{Global, Run};
use crate::cli::client::{Client, load_settings};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out::{self, Colour};
use crate::cli::show::{list, short, text};
use crate::cli::suggest;

pub(crate) fn plan(global: &Global, arguments: &Run) -> Done {
    let own = parameters(arguments)?;
    let plan = match of_server(global, arguments, &own) {
        Err(failure) if failure.exit == Exit::Unreachable && global.api_url.is_none() => {
            offline(global, &arguments.name, &own)?
        }
        asked => asked?,
    };
    match global.json {
        true => out::json(&plan),
        false => show(&plan),
    }
    let stuck = tasks(&plan).any(|task| task["problem"].is_string() || fails(task).is_some());
    Ok(if stuck { Exit::Failed } else { Exit::Ok })
}

fn of_server(global: &Global, arguments: &Run, own: &Map<String, Value>) -> Result<Value, Failure> {
    let client = Client::new(global)?;
    let id = text(&find(&client, &arguments.name)?, "id");
    client.post(&format!("/deployments/{id}/plan"), &json!({"parameters": own}))
}

fn offline(global: &Global, name: &str, own: &Map<String, Value>) -> Result<Value, Failure> {
    let settings = load_settings(global, Vec::new())?;
    let catalog = definitions::catalog(&settings)?;
    let (runtime, plugins, _) = plugin::open(&settings)?;
    let (flow, deployment) = match name.split_once('/') {
        Some((flow, deployment)) => (Some(flow), deployment),
        None => (None, name),
    };
    let found = catalog.deployment(deployment);
    let found = found.filter(|found| flow.is_none_or(|flow| found.flow.name == flow));
    let Some(found) = found else {
        let names: Vec<String> = catalog
            .deployments
            .iter()
            .map(|one| match flow {
                Some(_) => format!("{}/{}", one.flow.name, one.name),
                None => one.name.clone(),
            })
            .collect();
        return Err(suggest::unknown(
            "deployment",
            name,
            names.iter().map(String::as_str),
            "export",
        ));
    };
    out::note("no server answers: this plan is made of the definitions database; who holds slots is not known");
    let plan = runtime.block_on(describe_run_plan(&plugins, found, own, None));
    plan.map_err(Failure::usage)
}

fn tasks(plan: &Value) -> impl Iterator<Item = &Value> {
    plan["tasks"].as_array().into_iter().flatten()
}

/// The first expression of a task that will have no value.
fn fails(task: &Value) -> Option<&str> {
    let inputs = task["inputs"].as_object().into_iter().flatten().map(|(_, input)| input);
    let mut all = inputs.chain([&task["run_if"], &task["for_each"]]);
    all.find_map(|one| one["fails"].as_str())
}

fn show(plan: &Value) {
    let name = format!("{}/{}", text(plan, "flow"), text(plan, "deployment"));
    out::line(format!(
        "Plan of {}: nothing is started",
        out::in_colour(Colour::Bold, &out::plain(&name))
    ));
    let limit = match plan["concurrency_limit"].as_u64() {
        None => String::new(),
        Some(limit) => format!("{limit} live at once, then {}", text(plan, "overlap")),
    };
    let timeout = match plan["timeout_seconds"].as_u64() {
        None => String::new(),
        Some(seconds) => format!("{seconds} s for the whole flow run"),
    };
    let mut rows = vec![
        ("parameters", plan["parameters"].to_string()),
        ("tags", list(plan, "tags")),
        ("work pool", place(&plan["work_pool"])),
        ("work queue", place(&plan["work_queue"])),
        ("flow runs", limit),
        ("timeout", timeout),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    out::pairs(&rows);
    for task in tasks(plan) {
        out::line("");
        show_task(task);
    }
}

/// `default: 3 of 10 slots free`
fn place(one: &Value) -> String {
    let name = text(one, "name");
    let slots = &one["slots"];
    if slots.is_null() {
        return name;
    }
    let free = match (slots["free"].as_u64(), slots["limit"].as_u64()) {
        (Some(free), Some(limit)) => format!("{free} of {limit} slots free"),
        _ => "no limit".to_owned(),
    };
    let waiting = match slots["waiting"].as_u64() {
        None | Some(0) => String::new(),
        Some(waiting) => format!(", {waiting} flow runs wait"),
    };
    let paused = match slots["paused"].as_bool() {
        Some(true) => ", paused: nothing starts",
        _ => "",
    };
    format!("{name}: {free}{waiting}{paused}")
}

fn show_task(task: &Value) {
    let stage = task["stage"].as_u64().unwrap_or(0) + 1;
    let mut what = text(task, "kind");
    if let Some(work) = task["celery_task_name"].as_str() {
        what.push_str(&format!(" {work}"));
    }
    for route in task["routes"].as_array().into_iter().flatten() {
        let queue = match route["queue"].as_str() {
            None | Some("") => "the default queue".to_owned(),
            Some(queue) => format!("queue {queue}"),
        };
        what.push_str(&format!(" → {queue} of {}", text(route, "connection")));
    }
    let name = out::in_colour(Colour::Bold, &out::plain(&text(task, "name")));
    out::line(format!("{stage:>3}  {name}  {}", out::plain(&what)));
    let mut rows: Vec<(String, String)> = Vec::new();
    if let Some(problem) = task["problem"].as_str() {
        rows.push(("problem".to_owned(), problem.to_owned()));
    }
    let after = list(task, "upstreams");
    if !after.is_empty() {
        rows.push(("after".to_owned(), after));
    }
    match task["trigger_rule"].as_str() {
        Some("all_success") | None => {}
        Some(rule) => rows.push(("trigger rule".to_owned(), rule.to_owned())),
    }
    for (key, word) in [("run_if", "run if"), ("for_each", "for each")] {
        if !task[key].is_null() {
            rows.push((word.to_owned(), condition(key, &task[key])));
        }
    }
    rows.extend(arguments(task));
    rows.extend(limits(task));
    let width = rows.iter().map(|(name, _)| out::width(name)).max().unwrap_or(0);
    for (name, value) in rows {
        let padding = width.saturating_sub(out::width(&name));
        out::line(format!(
            "       {}{:padding$}  {}",
            out::plain(&name),
            "",
            out::one_line(&value)
        ));
    }
}

/// What becomes of the task by it.
fn condition(key: &str, one: &Value) -> String {
    let expression = text(one, "expression");
    let follows = match (key, one.get("value")) {
        _ if one["fails"].is_string() => format!("fails: {}", text(one, "fails")),
        (_, None) => "known when it runs".to_owned(),
        ("run_if", Some(Value::Bool(true))) => "true".to_owned(),
        ("run_if", Some(Value::Bool(false))) => "false: it is skipped".to_owned(),
        ("for_each", Some(Value::Array(items))) => format!("{} items: {}", items.len(), short(&one["value"])),
        (_, Some(other)) => format!("fails: {other} is of the wrong type"),
    };
    format!("{expression}  ({follows})")
}

/// Positional and keyword arguments; `inputs` win over the row's own.
fn arguments(task: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if task["args"].as_array().is_some_and(|args| !args.is_empty()) {
        rows.push(("args".to_owned(), short(&task["args"])));
    }
    let inputs = task["inputs"].as_object();
    let own = task["kwargs"].as_object().into_iter().flatten();
    let own = own.filter(|(name, _)| !inputs.is_some_and(|inputs| inputs.contains_key(*name)));
    rows.extend(own.map(|(name, value)| (format!("{name} ="), short(value))));
    rows.extend(inputs.into_iter().flatten().map(|(name, input)| {
        let shown = match (input.get("value"), input["fails"].as_str()) {
            (Some(value), _) => short(value),
            (None, Some(why)) => format!("{}  (fails: {why})", text(input, "expression")),
            (None, None) => format!("{}  (known when it runs)", text(input, "expression")),
        };
        (format!("{name} ="), shown)
    }));
    if task["config"].as_object().is_some_and(|config| !config.is_empty()) {
        rows.push(("config".to_owned(), short(&task["config"])));
    }
    rows
}

fn limits(task: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if let Some(words) = retries(&task["retry_config"]) {
        rows.push(("retries".to_owned(), words));
    }
    if let Some(seconds) = task["timeout_seconds"].as_u64() {
        rows.push(("timeout".to_owned(), format!("{seconds} s an attempt")));
    }
    rows
}

/// `3, 30 s apart`, and the rest of the row as it is.
fn retries(config: &Value) -> Option<String> {
    let most = config["max_retries"].as_u64().filter(|most| *most > 0)?;
    let mut words = format!("up to {most}");
    match &config["retry_delay_seconds"] {
        Value::Null => {}
        Value::Array(delays) => {
            let delays: Vec<String> = delays.iter().map(Value::to_string).collect();
            words.push_str(&format!(", after {} s", delays.join(", ")));
        }
        delay => words.push_str(&format!(", {delay} s apart")),
    }
    let known = ["max_retries", "retry_delay_seconds"];
    let further = config.as_object().into_iter().flatten();
    for (name, value) in further.filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null()) {
        words.push_str(&format!(", {name} {value}"));
    }
    Some(words)
}

#[cfg(test)]
mod tests;
