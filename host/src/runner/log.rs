//! What the host itself writes into the log of a run: one line per thing that a person would ask
//! about, from the first second on.

use grepx_engine::{Fact, NodeId, Record, Run, Skip, StopReason};

use crate::store::LogRow;

const INFO: u8 = 20;
const WARNING: u8 = 30;
const ERROR: u8 = 40;
/// Task runs that one line names at most.
const NAMED_MAX: usize = 20;

pub(crate) fn line(run: &Run, record: &Record) -> Option<LogRow> {
    let (level, message) = of_run(run, record).or_else(|| of_node(run, record))?;
    Some(LogRow {
        task_run: node(&record.fact).map(|node| node.run_id(run.id())),
        at: record.at,
        level,
        logger: "grepx.host".to_owned(),
        message,
    })
}

fn of_run(run: &Run, record: &Record) -> Option<(u8, String)> {
    Some(match &record.fact {
        Fact::Scheduled { .. } => (INFO, format!("Flow run of {:?} created.", run.definition().flow)),
        Fact::Late => (
            WARNING,
            "Flow run is late: its time was 15 s ago, and it still waits for a slot.".to_owned(),
        ),
        Fact::Started => (INFO, "Flow run started.".to_owned()),
        Fact::Paused => (
            INFO,
            "Flow run paused: what runs goes on, nothing new starts.".to_owned(),
        ),
        Fact::Resumed => (
            INFO,
            "Flow run resumed; it waits for a slot of its work pool.".to_owned(),
        ),
        Fact::CancelAsked { reason } => (WARNING, format!("Flow run is being cancelled: {reason}")),
        Fact::FlowTimedOut { limit_ms } => (
            ERROR,
            format!(
                "Flow run took longer than timeout_seconds = {}; it is being stopped.",
                limit_ms / 1_000
            ),
        ),
        Fact::Reopened { start_at } => {
            let wait = match start_at.since_ms(record.at) {
                0 => String::new(),
                ms => format!(" It starts in {} s.", ms.div_ceil(1_000)),
            };
            (INFO, format!("Flow run goes on after its end.{wait}"))
        }
        Fact::Renewed { nodes } => (INFO, format!("These begin anew: {}.", names(run, nodes))),
        Fact::Finished { .. } => {
            let state = run.state();
            let level = match state.name {
                "Completed" => INFO,
                "Cancelled" => WARNING,
                _ => ERROR,
            };
            (
                level,
                format!("Flow run ended {}. {}", state.name, state.message.unwrap_or_default()),
            )
        }
        _ => return None,
    })
}

fn of_node(run: &Run, record: &Record) -> Option<(u8, String)> {
    let name = name(run, node(&record.fact)?);
    Some(match &record.fact {
        Fact::Skipped { why, .. } => match why {
            Skip::Condition(why) | Skip::Rule(why) => (INFO, format!("{name} skipped: {why}")),
            Skip::UpstreamFailed(why) => (WARNING, format!("{name} cannot run: {why}")),
        },
        Fact::Mapped { items, .. } => (INFO, format!("{name} runs once for each of {} items.", items.len())),
        Fact::AttemptStarted { attempt: 1, .. } => (INFO, format!("{name} started.")),
        Fact::AttemptStarted { attempt, .. } => (INFO, format!("{name} started again: attempt {attempt}.")),
        Fact::Suspended { suspended, .. } => (INFO, format!("{name}: {}", suspended.status.as_ref()?)),
        Fact::Succeeded { bytes, .. } => (INFO, format!("{name} completed; its result has {bytes} bytes.")),
        Fact::AttemptFailed { attempt, error, .. } => (
            WARNING,
            format!("{name}, attempt {attempt}, failed: {} ({})", error.message, error.code),
        ),
        Fact::StopAsked {
            reason: StopReason::TimedOut,
            attempt,
            ..
        } => (
            WARNING,
            format!("{name}, attempt {attempt}, timed out; it is being stopped."),
        ),
        Fact::RetryPlanned { attempt, start_at, .. } => (
            INFO,
            format!(
                "{name} will be tried again in {} ms: attempt {attempt}.",
                start_at.since_ms(record.at)
            ),
        ),
        Fact::Failed { error, reason, .. } => (
            ERROR,
            format!(
                "{name} failed: {} ({}; {reason}){}",
                error.message,
                error.code,
                traceback(error)
            ),
        ),
        Fact::Cancelled { .. } => (WARNING, format!("{name} cancelled.")),
        Fact::MarkedDone { note, .. } => (WARNING, format!("{name} was marked as done: {note}")),
        _ => return None,
    })
}

fn traceback(error: &grepx_engine::TaskError) -> String {
    let details = error.details.as_ref().map(grepx_engine::Json::to_value);
    details
        .as_ref()
        .and_then(|details| details.get("traceback")?.as_str())
        .map_or_else(String::new, |text| format!("\n{}", text.trim_end()))
}

fn name(run: &Run, node: NodeId) -> String {
    format!("Task run {}", name_of(run, node))
}

fn name_of(run: &Run, node: NodeId) -> String {
    let task = &run.definition().task(node.task).name;
    match node.index {
        Some(index) => format!("{task}[{index}]"),
        None => task.clone(),
    }
}

fn names(run: &Run, nodes: &[NodeId]) -> String {
    let mut names: Vec<String> = nodes.iter().take(NAMED_MAX).map(|node| name_of(run, *node)).collect();
    match nodes.len().saturating_sub(NAMED_MAX) {
        _ if nodes.is_empty() => names.push("none".to_owned()),
        0 => {}
        more => names.push(format!("{more} more")),
    }
    names.join(", ")
}

fn node(fact: &Fact) -> Option<NodeId> {
    match fact {
        Fact::Skipped { node, .. }
        | Fact::Mapped { node, .. }
        | Fact::AttemptStarted { node, .. }
        | Fact::Suspended { node, .. }
        | Fact::Succeeded { node, .. }
        | Fact::AttemptFailed { node, .. }
        | Fact::StopAsked { node, .. }
        | Fact::RetryPlanned { node, .. }
        | Fact::Failed { node, .. }
        | Fact::Cancelled { node }
        | Fact::MarkedDone { node, .. } => Some(*node),
        _ => None,
    }
}

/// A line on why a node waits.
pub(crate) fn note(run: grepx_engine::FlowRunId, node: NodeId, reason: &str) -> LogRow {
    LogRow {
        task_run: Some(node.run_id(run)),
        at: crate::clock::now(),
        level: INFO,
        logger: "grepx.host".to_owned(),
        message: format!("Waiting: {reason}"),
    }
}
