//! `flow-run logs` and `task-run logs`.

use std::time::Duration;

use serde_json::{Value, json};

use super::watch::{self, News, Stream};
use crate::cli::arguments::Logs;
use crate::cli::client::{Client, id};
use crate::cli::exit::{Done, Exit};
use crate::cli::out;
use crate::cli::show::text;

/// As Prefect's command line has it, for `--head` and `--tail`.
const LINES_DEFAULT: u32 = 20;
/// More than a run may have (`limits.log_lines_per_run`).
const LINES_MAX: usize = 10_000_000;

/// Between two looks at whether the server is there.
const LOOK: Duration = Duration::from_secs(1);

/// Whose log it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    FlowRun,
    TaskRun,
}

impl Of {
    const fn route(self) -> &'static str {
        match self {
            Self::FlowRun => "/flow_runs",
            Self::TaskRun => "/task_runs",
        }
    }

    const fn field(self) -> &'static str {
        match self {
            Self::FlowRun => "flow_run_id",
            Self::TaskRun => "task_run_id",
        }
    }
}

pub(crate) fn logs(client: &Client, json: bool, of: Of, asked: &Logs) -> Done {
    let run = client.get(&format!("{}/{}", of.route(), id(&asked.id)?))?;
    if asked.follow {
        return follow(client, json, of, &run);
    }
    let newest_first = asked.tail || asked.reverse;
    let sort = if newest_first {
        "TIMESTAMP_DESC"
    } else {
        "TIMESTAMP_ASC"
    };
    let mut filter = json!({"sort": sort});
    filter["logs"][of.field()] = json!({"any_": [run["id"]]});
    let limited = asked.head || asked.tail;
    let most = match asked.num_lines.or(limited.then_some(LINES_DEFAULT)) {
        Some(most) => most as usize,
        None => LINES_MAX,
    };
    let mut lines = client.all("/logs/filter", &filter, most)?;
    if asked.tail && !asked.reverse {
        lines.reverse();
    }
    lines.iter().for_each(|line| show(json, line));
    Ok(Exit::Ok)
}

/// As it is written, from its beginning to the end of the flow run.
fn follow(client: &Client, json: bool, of: Of, run: &Value) -> Done {
    let (flow_run, task_run) = match of {
        Of::FlowRun => (text(run, "id"), None),
        Of::TaskRun => (text(run, "flow_run_id"), Some(&run["id"])),
    };
    let stream = Stream::open(client, &flow_run);
    loop {
        match stream.next(LOOK) {
            None => {}
            Some(News::Event(event))
                if event.kind == "log" && task_run.is_none_or(|id| event.data["task_run_id"] == *id) =>
            {
                show(json, &event.data);
            }
            Some(News::Event(_)) => {}
            Some(News::Away(why)) => out::note(why),
            Some(News::End) => return Ok(Exit::Ok),
            Some(News::Gone(failure)) => return Err(failure),
            Some(News::Interrupted) => return Ok(Exit::Interrupted),
        }
    }
}

/// With `--json`, one document a line: nobody has to wait for the end of a list.
fn show(json: bool, line: &Value) {
    match json {
        true => out::line(line.to_string()),
        false => out::line(out::plain(&watch::log_line(line))),
    }
}
