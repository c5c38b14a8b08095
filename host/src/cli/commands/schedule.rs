//! `schedule preview`, which needs no server for a rule, and `deployment schedule ls`, `pause`,
//! `resume`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::deployment::{ROWS_MAX, find};
use super::start::seconds;
use crate::cli::arguments::{Global, OneSchedule, Preview};
use crate::cli::client::{Client, load_settings};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::text;
use crate::clock;
use crate::definitions::{self, ScheduleType, Timing};

pub(crate) fn preview(global: &Global, arguments: &Preview) -> Done {
    let from = match &arguments.from {
        None => clock::to_chrono(clock::now()),
        Some(text) => DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|_| {
            Failure::usage(format!(
                "--from {text:?} is no time: write one such as 2026-03-01T12:00:00Z"
            ))
        })?,
    };
    let most = usize::from(arguments.n);
    let what = arguments.what.as_deref().unwrap_or_default();
    let rule = match (&arguments.r#type, ScheduleType::parse(what)) {
        (Some(word), _) => Some(row(global, word)?),
        (None, Some(schedule_type)) => Some((schedule_type, config(schedule_type, arguments)?)),
        (None, None) => None,
    };
    let Some((schedule_type, config)) = rule else {
        if arguments.rule.is_some() {
            return Err(Failure::usage(format!(
                "{what:?} is no kind of schedule: write cron, interval or rrule before a rule"
            )));
        }
        return of_deployment(global, what, from, most);
    };
    let timing = Timing::parse(schedule_type, &config, None).map_err(Failure::usage)?;
    show(global.json, &definitions::preview(&timing, from, most));
    Ok(Exit::Ok)
}

/// `--type` and `--config`, as a row has them.
fn row(global: &Global, word: &str) -> Result<(ScheduleType, Map<String, Value>), Failure> {
    let schedule_type = ScheduleType::parse(word)
        .ok_or_else(|| Failure::usage(format!("--type {word:?} is unknown: write cron, interval or rrule")))?;
    let text = global.config.as_ref().map(|text| text.to_string_lossy());
    let config = match text {
        None => Map::new(),
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!(
                "with --type, --config is a row's schedule_config, a JSON object: {error}"
            ))
        })?,
    };
    Ok((schedule_type, config))
}

fn config(schedule_type: ScheduleType, arguments: &Preview) -> Result<Map<String, Value>, Failure> {
    let mut config = Map::new();
    let rule = arguments.rule.as_deref();
    if let Some(rule) = rule {
        match schedule_type {
            ScheduleType::Cron => config.insert("cron_string".to_owned(), rule.into()),
            ScheduleType::Rrule => config.insert("rrule".to_owned(), rule.into()),
            ScheduleType::Interval => config.insert("interval_seconds".to_owned(), interval(rule)?),
        };
    } else {
        return Err(Failure::usage(format!(
            "the rule is missing: schedule preview {} RULE",
            schedule_type.as_str()
        )));
    }
    let further = [
        ("timezone", arguments.timezone.as_deref().map(Value::from)),
        ("anchor_date", arguments.anchor.as_deref().map(Value::from)),
        ("day_or", arguments.day_or.map(Value::from)),
    ];
    for (key, value) in further {
        match value {
            Some(_) if !schedule_type.keys().contains(&key) => {
                return Err(Failure::usage(format!(
                    "{key} means nothing to a schedule of type {}",
                    schedule_type.as_str()
                )));
            }
            Some(value) => {
                config.insert(key.to_owned(), value);
            }
            None => {}
        }
    }
    Ok(config)
}

/// Seconds, or `15m`.
fn interval(rule: &str) -> Result<Value, Failure> {
    match serde_json::from_str::<serde_json::Number>(rule) {
        Ok(number) => Ok(Value::Number(number)),
        Err(_) => seconds("interval", rule).map(Value::from).map_err(Failure::usage),
    }
}

/// Asks the server; without one, reads the definitions database.
fn of_deployment(global: &Global, name: &str, from: DateTime<Utc>, most: usize) -> Done {
    let client = Client::new(global)?;
    let from_text = from.to_rfc3339();
    let body = json!({"deployment": name, "from": from_text, "n": most});
    let found = match find(&client, name) {
        Ok(_) => client.post("/schedules/preview", &body)?,
        Err(failure) if failure.exit == Exit::Unreachable => offline(global, name, from, most)?,
        Err(failure) => return Err(failure),
    };
    if global.json {
        out::json(&found);
        return Ok(Exit::Ok);
    }
    let all = found["schedules"].as_array().cloned().unwrap_or_default();
    if all.is_empty() {
        out::line("The deployment has no schedule: it is started by hand.");
    }
    for one in &all {
        let state = match (found["paused"].as_bool(), one["active"].as_bool()) {
            (Some(true), _) => " (the deployment is paused)",
            (_, Some(false)) => " (paused)",
            _ => "",
        };
        out::line(format!("{}{state}", text(one, "slug")));
        match one["problem"].as_str() {
            Some(problem) => out::line(format!("refused: {problem}")),
            None => show(false, one),
        }
    }
    Ok(Exit::Ok)
}

fn offline(global: &Global, name: &str, from: DateTime<Utc>, most: usize) -> Result<Value, Failure> {
    let settings = load_settings(global, Vec::new())?;
    let catalog = super::definitions::catalog(&settings)?;
    let own = name.rsplit('/').next().unwrap_or(name);
    let Some(deployment) = catalog.deployment(own) else {
        let message = format!("there is no deployment {name:?} in {}", settings.database.db_url);
        return Err(Failure::says(Exit::NotFound, message));
    };
    let schedules: Vec<Value> = deployment
        .schedules
        .iter()
        .map(|spec| {
            let mut one = match &spec.timing {
                Ok(timing) => definitions::preview(timing, from, most),
                Err(problem) => json!({"problem": problem, "instants": []}),
            };
            one["slug"] = spec.key.as_str().into();
            one["active"] = spec.active.into();
            one
        })
        .collect();
    Ok(json!({
        "deployment": format!("{}/{}", deployment.flow.name, deployment.name),
        "paused": deployment.paused,
        "schedules": schedules,
    }))
}

fn show(json: bool, preview: &Value) {
    if json {
        return out::json(preview);
    }
    out::line(text(preview, "description"));
    for note in preview["notes"].as_array().into_iter().flatten() {
        out::line(format!("note: {}", note.as_str().unwrap_or_default()));
    }
    let rows = preview["instants"].as_array().into_iter().flatten().map(|one| {
        let local = text(one, "local");
        let mut mark = if one["dst"].as_bool() == Some(true) {
            "summer time".to_owned()
        } else {
            String::new()
        };
        if let Some(change) = one["clock_change"].as_str() {
            let comma = if mark.is_empty() { "" } else { ", " };
            mark = format!("{mark}{comma}clock {change}");
        }
        [
            text(one, "weekday"),
            local
                .get(..local.len().saturating_sub(6))
                .unwrap_or(&local)
                .replace('T', " "),
            text(one, "offset"),
            text(one, "utc"),
            mark,
        ]
    });
    out::table(
        ["DAY", "LOCAL", "OFFSET", "UTC", "CLOCK"],
        rows.collect(),
        "No instant from there on: the rule has ended.",
    );
}

pub(crate) fn ls(client: &Client, json: bool, name: Option<&str>) -> Done {
    let deployments = match name {
        Some(name) => vec![find(client, name)?],
        None => client.all("/deployments/filter", &json!({"sort": "NAME_ASC"}), ROWS_MAX)?,
    };
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for deployment in &deployments {
        let name = format!("{}/{}", text(deployment, "flow_name"), text(deployment, "name"));
        let paused = deployment["paused"].as_bool() == Some(true);
        for one in deployment["schedules"].as_array().into_iter().flatten() {
            let state = match (one["problem"].is_string(), paused, one["active"].as_bool()) {
                (true, ..) => "refused",
                (_, true, _) => "deployment paused",
                (_, _, Some(true)) => "active",
                _ => "paused",
            };
            let says = if one["problem"].is_string() {
                "problem"
            } else {
                "description"
            };
            rows.push([
                name.clone(),
                text(one, "slug"),
                state.to_owned(),
                text(one, says),
                text(one, "id"),
            ]);
            all.push(one.clone());
        }
    }
    if json {
        out::json(&Value::Array(all));
        return Ok(Exit::Ok);
    }
    out::table(["DEPLOYMENT", "SLUG", "STATE", "SCHEDULE", "ID"], rows, "No schedules.");
    Ok(Exit::Ok)
}

/// Pauses (`active` is false) or resumes one schedule, or all of a deployment.
pub(crate) fn switch(client: &Client, json: bool, which: &OneSchedule, active: bool) -> Done {
    let deployment = find(client, &which.name)?;
    let id = text(&deployment, "id");
    let schedules = deployment["schedules"].as_array().cloned().unwrap_or_default();
    let chosen = choose(&schedules, which)?;
    for one in &chosen {
        let path = format!("/deployments/{id}/schedules/{}", text(one, "id"));
        client.patch(&path, &json!({"active": active}))?;
        if !json {
            let done = if active { "resumed" } else { "paused" };
            out::line(format!("Schedule {} of {} {done}", text(one, "slug"), which.name));
        }
    }
    if json {
        out::json(&client.get(&format!("/deployments/{id}/schedules"))?);
    }
    Ok(Exit::Ok)
}

fn choose(schedules: &[Value], which: &OneSchedule) -> Result<Vec<Value>, Failure> {
    let slugs = || {
        let slugs: Vec<String> = schedules.iter().map(|one| text(one, "slug")).collect();
        slugs.join(", ")
    };
    match (&which.schedule, schedules) {
        (_, []) => Err(Failure::says(
            Exit::NotFound,
            format!("deployment {:?} has no schedule", which.name),
        )),
        (None, _) if which.all => Ok(schedules.to_vec()),
        (None, [only]) => Ok(vec![only.clone()]),
        (None, _) => Err(Failure::usage(format!("which one? it has {}; or write --all", slugs()))),
        (Some(wanted), _) => {
            let found = schedules
                .iter()
                .find(|one| text(one, "slug") == *wanted || text(one, "id") == *wanted);
            let none = || {
                Failure::says(
                    Exit::NotFound,
                    format!("there is no schedule {wanted:?}: it has {}", slugs()),
                )
            };
            found.map(|one| vec![one.clone()]).ok_or_else(none)
        }
    }
}
