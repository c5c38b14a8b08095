//! What the log of a flow run says, and what must be in it.

use std::collections::BTreeMap;

use grepx_engine::{Definition, Fact, FlowRunId, Json, NodeId, Record};
use serde_json::Value;

use super::flows::ABOVE;
use super::script::{RAISED, REVOKED};

/// By node the attempt that it has completed with, none when it was marked as done, and its result.
/// Only the last one is kept.
pub(super) fn results(log: &[Record]) -> BTreeMap<NodeId, (Option<u32>, &Json)> {
    let mut last = BTreeMap::new();
    for record in log {
        match &record.fact {
            Fact::Succeeded {
                node,
                attempt,
                result: Some(result),
                ..
            } => {
                last.insert(*node, (Some(*attempt), result));
            }
            Fact::MarkedDone {
                node,
                result: Some(result),
                ..
            } => {
                last.insert(*node, (None, result));
            }
            Fact::Renewed { nodes } => last.retain(|node, _| !begins_anew(nodes, *node)),
            _ => {}
        }
    }
    last
}

fn begins_anew(nodes: &[NodeId], node: NodeId) -> bool {
    nodes.contains(&node) || nodes.contains(&NodeId::task(node.task))
}

/// Attempts of a node are counted from 1, without a gap, however often it begins anew.
pub(super) fn attempts(run: FlowRunId, log: &[Record], wrong: &mut Vec<String>) {
    let mut last: BTreeMap<NodeId, u32> = BTreeMap::new();
    for record in log {
        if let Fact::AttemptStarted { node, attempt, .. } = &record.fact {
            let before = last.insert(*node, *attempt).unwrap_or(0);
            if *attempt != before + 1 {
                wrong.push(format!("{run} {node}: attempt {attempt} follows attempt {before}"));
            }
        }
    }
}

/// An attempt fails by an answer to itself.
pub(super) fn failures(run: FlowRunId, log: &[Record], wrong: &mut Vec<String>) {
    for record in log {
        let Fact::AttemptFailed {
            node, attempt, error, ..
        } = &record.fact
        else {
            continue;
        };
        let told = [RAISED, REVOKED].contains(&error.code.as_str());
        if told && error.message != node.run_id(run).attempt_key(*attempt).to_string() {
            wrong.push(format!("{run} {node}: attempt {attempt} failed as {}", error.message));
        }
    }
}

/// A task run begins with the results that there were, also those that somebody has given by hand.
pub(super) fn inputs(run: FlowRunId, definition: &Definition, log: &[Record], wrong: &mut Vec<String>) {
    let results = results(log);
    let changed = last_changes(log);
    for (place, record) in log.iter().enumerate() {
        let Fact::AttemptStarted {
            node,
            attempt,
            input: Some(input),
            ..
        } = &record.fact
        else {
            continue;
        };
        // Of results that were replaced later nothing is known.
        let Some(above) = above(definition, *node).filter(|above| changed.get(above).is_none_or(|at| *at < place))
        else {
            continue;
        };
        let result = results.get(&NodeId::task(above));
        let expected = result.map_or(Value::Null, |(_, result)| result.to_value());
        let found = &input.to_value()["kwargs"][ABOVE];
        if *found != expected {
            wrong.push(format!(
                "{run} {node}: attempt {attempt} began with {found}, the result is {expected}"
            ));
        }
    }
}

/// The task whose result is an input of the node.
fn above(definition: &Definition, node: NodeId) -> Option<u32> {
    let inputs = &definition.task(node.task).inputs;
    let (_, expression) = inputs.iter().find(|(name, _)| name == ABOVE)?;
    let name = expression.strip_prefix("results.")?.split(' ').next()?;
    let above = definition.find(name)?;
    // Else its items have the results.
    definition.task(above).for_each.is_none().then_some(above)
}

/// Where in the log a task last ended, was marked as done or began anew.
fn last_changes(log: &[Record]) -> BTreeMap<u32, usize> {
    let mut last = BTreeMap::new();
    for (place, record) in log.iter().enumerate() {
        match &record.fact {
            Fact::Succeeded { node, .. }
            | Fact::MarkedDone { node, .. }
            | Fact::Failed { node, .. }
            | Fact::Skipped { node, .. }
            | Fact::Cancelled { node } => {
                last.insert(node.task, place);
            }
            Fact::Renewed { nodes } => last.extend(nodes.iter().map(|node| (node.task, place))),
            _ => {}
        }
    }
    last
}
