//! What happens in a flow run, line by line, until it has ended: states of the run, states of its
//! task runs, and log lines, in the order of their times.
//!
//! Absent on purpose: a stream. Polling with a pace that follows what happens survives a restart
//! of the server and works with any server that has Prefect's API.

#![allow(
    clippy::disallowed_methods,
    reason = "a command line client waits between two questions"
)]

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{level, short, text, time_of_day, why};

/// Between two looks: from the first while things happen, to the second while nothing does.
const WAIT_MIN: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_millis(200);
/// How long a server may be away, for a restart.
const PATIENCE: Duration = Duration::from_secs(30);
/// Log lines between two looks.
const LOGS_MAX: usize = 100_000;
const TASK_RUNS_MAX: usize = 100_000;
/// Results shown at the end.
const RESULTS_MAX: usize = 20;

pub(crate) fn watch(client: &Client, json: bool, run: &Value) -> Done {
    let mut follow = Follow::new(run);
    let mut pace = Pace::default();
    let mut away_since = None;
    if !json {
        out::line(format!("Flow run {} ({})", text(run, "name"), text(run, "id")));
    }
    loop {
        let look = match follow.look(client) {
            Ok(look) => look,
            Err(failure) => {
                wait_for_server(failure, &mut away_since)?;
                continue;
            }
        };
        away_since = None;
        if !json {
            look.lines.iter().for_each(out::line);
        }
        if is_over(&look.run) {
            return finish(client, json, &look.run, &look.tasks);
        }
        pace.wait(!look.lines.is_empty());
    }
}

/// Sleeps when the server may come back; gives its absence back when it has been away too long.
fn wait_for_server(failure: Failure, away_since: &mut Option<Instant>) -> Result<(), Failure> {
    let since = away_since.unwrap_or_else(|| {
        out::note(format!(
            "{}; waiting for it for {} s",
            failure.error,
            PATIENCE.as_secs()
        ));
        Instant::now()
    });
    *away_since = Some(since);
    if failure.exit != Exit::Unreachable || since.elapsed() > PATIENCE {
        return Err(failure);
    }
    sleep(WAIT_MAX);
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command has one thread and nothing else to do"
)]
fn sleep(time: Duration) {
    thread::sleep(time);
}

pub(crate) fn is_over(run: &Value) -> bool {
    matches!(
        run["state_type"].as_str(),
        Some("COMPLETED" | "FAILED" | "CANCELLED" | "CRASHED")
    )
}

pub(crate) fn log_line(line: &Value) -> String {
    let time = time_of_day(line, "timestamp");
    format!(
        "{time}  {:8}  {}: {}",
        level(line),
        text(line, "name"),
        text(line, "message")
    )
}

/// How long to wait for the next look.
#[derive(Debug, Default)]
pub(crate) struct Pace(Duration);

impl Pace {
    pub(crate) fn wait(&mut self, something_new: bool) {
        self.0 = match something_new {
            true => WAIT_MIN,
            false => (self.0 * 2).clamp(WAIT_MIN, WAIT_MAX),
        };
        sleep(self.0);
    }
}

/// What has been seen of a flow run.
#[derive(Debug)]
pub(crate) struct Follow {
    run: String,
    /// Latest state of the flow run and of each task run.
    states: HashMap<String, String>,
    /// Log lines: of one run they are listed as written, so new ones come last.
    logs: usize,
}

struct Look {
    run: Value,
    tasks: Vec<Value>,
    lines: Vec<String>,
}

impl Follow {
    pub(crate) fn new(run: &Value) -> Self {
        Self {
            run: text(run, "id"),
            states: HashMap::new(),
            logs: 0,
        }
    }

    fn look(&mut self, client: &Client) -> Result<Look, Failure> {
        // The run first: once it has ended, what is read after it is complete.
        let run = client.get(&format!("/flow_runs/{}", self.run))?;
        let filter = json!({"task_runs": {"flow_run_id": {"any_": [self.run]}}, "sort": "DEFINITION_ASC"});
        let tasks = client.all("/task_runs/filter", &filter, TASK_RUNS_MAX)?;
        let mut lines: Vec<(String, String)> = self
            .new_logs(client)?
            .iter()
            .map(|line| (text(line, "timestamp"), log_line(line)))
            .collect();
        for task in &tasks {
            lines.extend(self.new_state(task, &text(task, "name")));
        }
        lines.extend(self.new_state(&run, "flow run"));
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Look {
            run,
            tasks,
            lines: lines.into_iter().map(|(_, line)| line).collect(),
        })
    }

    fn new_state(&mut self, run: &Value, name: &str) -> Option<(String, String)> {
        let state = &run["state"];
        let now = format!("{} {}", text(state, "id"), why(run));
        if self
            .states
            .insert(text(run, "id"), now.clone())
            .is_some_and(|before| before == now)
        {
            return None;
        }
        let word = out::state(&text(state, "type"), &text(state, "name"));
        let attempt = match run["attempt"].as_u64() {
            Some(attempt) if attempt > 1 => format!(" (attempt {attempt})"),
            _ => String::new(),
        };
        let line = format!(
            "{}  {name}  {word}{attempt}  {}",
            time_of_day(state, "timestamp"),
            why(run)
        );
        Some((text(state, "timestamp"), line.trim_end().to_owned()))
    }

    /// Log lines that were not there before, in order.
    pub(crate) fn new_logs(&mut self, client: &Client) -> Result<Vec<Value>, Failure> {
        let filter = json!({"logs": {"flow_run_id": {"any_": [self.run]}}, "sort": "TIMESTAMP_ASC"});
        let lines = client.all_after(self.logs, "/logs/filter", &filter, LOGS_MAX)?;
        self.logs += lines.len();
        Ok(lines)
    }
}

fn finish(client: &Client, json: bool, run: &Value, tasks: &[Value]) -> Done {
    let completed = text(run, "state_type") == "COMPLETED";
    let exit = if completed { Exit::Ok } else { Exit::Failed };
    if json {
        let mut run = run.clone();
        run["task_runs"] = Value::Array(tasks.to_vec());
        out::json(&run);
        return Ok(exit);
    }
    if completed {
        results(client, tasks)?;
    }
    let word = out::state(&text(run, "state_type"), &text(run, "state_name"));
    let line = format!("Flow run {} ended as {word}. {}", text(run, "name"), why(run));
    out::line(line.trim_end());
    Ok(exit)
}

fn results(client: &Client, tasks: &[Value]) -> Result<(), Failure> {
    let with: Vec<&Value> = tasks.iter().filter(|task| !task["result_bytes"].is_null()).collect();
    for task in with.iter().take(RESULTS_MAX) {
        let result = client.get(&format!("/task_runs/{}/result", text(task, "id")))?;
        out::line(format!("  {} = {}", text(task, "name"), short(&result)));
    }
    if with.len() > RESULTS_MAX {
        out::line(format!("  … and {} more results", with.len() - RESULTS_MAX));
    }
    Ok(())
}
