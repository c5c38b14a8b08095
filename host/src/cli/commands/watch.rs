//! A flow run until it has ended: on a terminal a picture of its tasks that is drawn again and again,
//! elsewhere a line for each change, in the order in which they happened. Both are told by the server
//! (`GET /runs/{id}/stream`) and by nothing else.
//!
//! Ctrl-C ends the watching and not the run.
//!
//! Absent on purpose: anything that is counted or guessed here; what is shown was said by the server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;
use crate::cli::show::{level, short, text, time_of_day, why};
use crate::clock;

mod board;
mod draw;
mod stream;

use board::Board;
pub(super) use stream::{News, Stream};

/// Between two pictures at least; without news at most, so that durations go on.
const FRAME: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(500);
const TASK_RUNS_MAX: usize = 100_000;
/// Results shown at the end.
const RESULTS_MAX: usize = 20;
/// Log lines from which on they are shown above the picture.
const WARNING: u64 = 30;

/// With `json`, the run and its task runs once it has ended.
pub(crate) fn watch(client: &Client, json: bool, run: &Value) -> Done {
    let id = text(run, "id");
    let drawn = !json && out::terminal_size().is_some();
    if !json && !drawn {
        out::line(format!("Flow run {} ({id})", text(run, "name")));
    }
    let stream = Stream::open(client, &id);
    let ended = match drawn {
        true => on_terminal(client, &stream, run)?,
        false => in_lines(&stream, json)?,
    };
    match ended {
        Ended::Run => finish(client, json, &id),
        Ended::Interrupted => {
            out::note(format!(
                "The flow run goes on. Watch it again with: grepx-host flow-run watch {id}"
            ));
            Ok(Exit::Interrupted)
        }
    }
}

enum Ended {
    Run,
    Interrupted,
}

fn in_lines(stream: &Stream, json: bool) -> Result<Ended, Failure> {
    loop {
        match stream.next(TICK) {
            None => {}
            Some(News::Event(event)) => {
                if let Some(line) = line_of(&event.kind, &event.data).filter(|_| !json) {
                    out::line(line);
                }
            }
            Some(News::Away(why)) => out::note(why),
            Some(News::End) => return Ok(Ended::Run),
            Some(News::Gone(failure)) => return Err(failure),
            Some(News::Interrupted) => return Ok(Ended::Interrupted),
        }
    }
}

fn on_terminal(client: &Client, stream: &Stream, run: &Value) -> Result<Ended, Failure> {
    let mut board = Board::new(run, plan(client, run));
    let mut screen = draw::Screen::open();
    let ended = loop {
        let mut above = Vec::new();
        let mut news = stream.next(TICK);
        let mut ended = None;
        // What comes in a burst is one picture.
        while let Some(one) = news {
            match one {
                News::Event(event) if event.kind == "log" => {
                    if event.data["level"].as_u64().unwrap_or(0) >= WARNING {
                        above.push(out::plain(&log_line(&event.data)));
                    }
                }
                News::Event(event) => board.take(&event.kind, event.data),
                News::Away(why) => above.push(why),
                News::End => ended = Some(Ok(Ended::Run)),
                News::Gone(failure) => ended = Some(Err(failure)),
                News::Interrupted => ended = Some(Ok(Ended::Interrupted)),
            }
            if ended.is_some() {
                break;
            }
            news = stream.at_hand();
        }
        screen.show(&above, |columns, rows| {
            draw::picture(&board, clock::now(), columns, rows)
        });
        if let Some(ended) = ended {
            break ended;
        }
        stream.rest(FRAME);
    };
    screen.close();
    ended
}

/// The order of the tasks and what they wait for; without it, they are shown as they come.
fn plan(client: &Client, run: &Value) -> Option<Value> {
    let deployment = run["deployment_id"].as_str()?;
    let body = json!({"parameters": run["parameters"]});
    client.post(&format!("/deployments/{deployment}/plan"), &body).ok()
}

/// One change as a line; `None` for what a person need not see.
fn line_of(kind: &str, data: &Value) -> Option<String> {
    let name = match kind {
        "log" => return Some(out::plain(&log_line(data))),
        "flow_run" => "flow run".to_owned(),
        "task_run" => named(data),
        "flow_run_deleted" => return Some("The flow run was deleted.".to_owned()),
        _ => return None,
    };
    let state = &data["state"];
    let word = out::state(&text(state, "type"), &text(state, "name"));
    let attempt = match data["attempt"].as_u64() {
        Some(attempt) if attempt > 1 => format!(" (attempt {attempt})"),
        _ => String::new(),
    };
    let line = format!(
        "{}  {}  {word}{attempt}  {}",
        time_of_day(state, "timestamp"),
        out::plain(&name),
        out::plain(&why(data))
    );
    Some(line.trim_end().to_owned())
}

/// A task, or an item of it: `load[3]`.
fn named(task: &Value) -> String {
    let name = text(task, "name");
    match task["index"].as_u64() {
        Some(index) if !name.ends_with(']') => format!("{name}[{index}]"),
        _ => name,
    }
}

pub(super) fn log_line(line: &Value) -> String {
    let time = time_of_day(line, "timestamp");
    format!(
        "{time}  {:8}  {}: {}",
        level(line),
        text(line, "name"),
        text(line, "message")
    )
}

fn finish(client: &Client, json: bool, id: &str) -> Done {
    let mut run = client.get(&format!("/flow_runs/{id}"))?;
    let filter = json!({"task_runs": {"flow_run_id": {"any_": [id]}}, "sort": "DEFINITION_ASC"});
    let tasks = client.all("/task_runs/filter", &filter, TASK_RUNS_MAX)?;
    let completed = text(&run, "state_type") == "COMPLETED";
    let exit = if completed { Exit::Ok } else { Exit::Failed };
    if json {
        run["task_runs"] = Value::Array(tasks);
        out::json(&run);
        return Ok(exit);
    }
    if completed {
        results(client, &tasks)?;
    }
    let word = out::state(&text(&run, "state_type"), &text(&run, "state_name"));
    let line = format!(
        "Flow run {} ended as {word}. {}",
        text(&run, "name"),
        out::plain(&why(&run))
    );
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

#[cfg(test)]
mod tests;
