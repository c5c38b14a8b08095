//! The spans that end with a change of a run: of an attempt when it is over, of the flow run when it
//! has ended. From the run alone, so that they are the same whoever folds its log.

use grepx_engine::{Fact, NodeId, Record, Run, StateType, TaskError, Timestamp};

use crate::store::NewRun;
use crate::traces::{Attribute, CALLER_LABEL, Place, Span, bounded};

/// The kind whose attempts are messages, by the name that OpenTelemetry has for it too.
const CELERY: &str = "celery";

type Attributes = Vec<(&'static str, Attribute)>;

/// How an attempt ended.
struct End<'a> {
    state_type: StateType,
    error: Option<&'a TaskError>,
}

/// Of what these records, which the run has folded, have ended.
pub(crate) fn ended(run: &Run, new: &NewRun, records: &[Record]) -> Vec<Span> {
    let of = |record: &Record| match &record.fact {
        Fact::Finished { .. } => Some(flow_run(run, new, record.at)),
        fact => {
            let (node, attempt, end) = over(run, fact)?;
            Some(of_attempt(run, node, attempt, &end, record.at))
        }
    };
    records.iter().filter_map(of).collect()
}

/// The attempt that is over with a fact.
fn over<'a>(run: &'a Run, fact: &'a Fact) -> Option<(NodeId, u32, End<'a>)> {
    let end = |state_type, error| End { state_type, error };
    Some(match fact {
        Fact::Succeeded { node, attempt, .. } => (*node, *attempt, end(StateType::Completed, None)),
        Fact::AttemptFailed {
            node, attempt, error, ..
        } => (*node, *attempt, end(StateType::Failed, Some(error))),
        Fact::Stopped { node, attempt, .. } => match run.failure(*node) {
            Some((_, error, _)) => (*node, *attempt, end(StateType::Failed, Some(error))),
            // Marked as done, or called off.
            None => (*node, *attempt, end(run.node_state(*node)?.state_type, None)),
        },
        _ => return None,
    })
}

fn of_attempt(run: &Run, node: NodeId, attempt: u32, end: &End<'_>, at: Timestamp) -> Span {
    let task = run.definition().task(node.task);
    let id = node.run_id(run.id());
    let external = id.attempt_key(attempt).to_string();
    let mut attributes: Attributes = vec![
        ("grepx.flow_run.id", run.id().to_string().as_str().into()),
        ("grepx.task_run.id", id.to_string().as_str().into()),
        ("grepx.task.name", task.name.as_str().into()),
        ("grepx.task.kind", task.kind.as_str().into()),
        ("grepx.attempt.number", attempt.into()),
        ("grepx.attempt.id", external.as_str().into()),
        ("grepx.state.type", end.state_type.as_str().into()),
    ];
    attributes.extend(node.index.map(|index| ("grepx.task.item", index.into())));
    let is_producer = task.kind == CELERY;
    if is_producer {
        attributes.extend([
            ("messaging.system", CELERY.into()),
            ("messaging.operation.type", "send".into()),
            ("messaging.message.id", external.as_str().into()),
        ]);
    }
    if let Some(error) = end.error {
        attributes.push(("error.type", error.code.as_str().into()));
    }
    Span {
        place: Place::of_attempt(run.id(), node, attempt),
        parent: Some(Place::of_run(run.id(), run.round()).span),
        links: Vec::new(),
        name: format!("task run {}", task.name),
        is_producer,
        start: run.attempt_started_at(node).unwrap_or(at),
        end: at,
        attributes,
        error: end.error.map(|error| bounded(&error.message)),
    }
}

fn flow_run(run: &Run, new: &NewRun, at: Timestamp) -> Span {
    let state = run.state();
    let mut attributes: Attributes = vec![
        ("grepx.flow_run.id", run.id().to_string().as_str().into()),
        ("grepx.flow_run.name", new.name.as_str().into()),
        ("grepx.flow_run.run_count", run.starts().into()),
        ("grepx.flow.name", new.flow_name.as_str().into()),
        ("grepx.state.type", state.state_type.as_str().into()),
    ];
    let known = [
        ("grepx.deployment.name", &new.deployment_name),
        ("grepx.work_pool.name", &new.work_pool),
        ("grepx.work_queue.name", &new.work_queue),
    ];
    let known = known.into_iter();
    attributes.extend(known.filter_map(|(key, value)| Some((key, value.as_deref()?.into()))));
    if !new.tags.is_empty() {
        attributes.push(("grepx.tags", Attribute::Texts(new.tags.clone())));
    }
    let failed = state.state_type == StateType::Failed;
    if failed {
        attributes.push(("error.type", state.name.into()));
    }
    Span {
        place: Place::of_run(run.id(), run.round()),
        parent: None,
        links: causes(new).collect(),
        name: format!("flow run {}", new.flow_name),
        is_producer: false,
        start: run.begun_at().unwrap_or(at),
        end: at,
        attributes,
        error: failed.then(|| bounded(state.message.as_deref().unwrap_or(state.name))),
    }
}

/// The attempt that started the flow run, and the client that asked for it. They are linked and not
/// made one trace with it: each run is known by its own id, and one may have thousands below it.
fn causes(new: &NewRun) -> impl Iterator<Item = Place> {
    let parent = new.parent.as_ref();
    let parent = parent.map(|parent| Place::of_attempt(parent.run, parent.node, parent.attempt));
    parent.into_iter().chain(caller(new))
}

fn caller(new: &NewRun) -> Option<Place> {
    // Most runs have no labels.
    new.labels.as_str().contains(CALLER_LABEL).then_some(())?;
    Place::parse(new.labels.to_value().get(CALLER_LABEL)?.as_str()?)
}

#[cfg(test)]
mod tests;
