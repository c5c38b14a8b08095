//! What a filter says of where flow runs come from and of their state, which the tallies know, and
//! what it says beyond.

use super::super::filter::{Conditions, FlowRunFilter, Join};
use super::Clause;

/// What a filter says of where flow runs come from, and nothing else.
fn origin_part(filter: &FlowRunFilter) -> FlowRunFilter {
    FlowRunFilter {
        join: filter.join,
        flow_id: filter.flow_id.clone(),
        flow_name: filter.flow_name.clone(),
        deployment_id: filter.deployment_id.clone(),
        deployment_name: filter.deployment_name.clone(),
        work_pool: filter.work_pool.clone(),
        work_queue: filter.work_queue.clone(),
        parts: filter
            .parts
            .iter()
            .filter(|part| is_of_origins(part))
            .cloned()
            .collect(),
        ..FlowRunFilter::default()
    }
}

fn is_of_origins(filter: &FlowRunFilter) -> bool {
    *filter == origin_part(filter)
}

/// A filter without what the tallies know.
pub(super) fn beyond_tallies(filter: &FlowRunFilter) -> FlowRunFilter {
    let none = FlowRunFilter::default();
    FlowRunFilter {
        flow_id: none.flow_id,
        flow_name: none.flow_name,
        deployment_id: none.deployment_id,
        deployment_name: none.deployment_name,
        work_pool: none.work_pool,
        work_queue: none.work_queue,
        state_join: none.state_join,
        state_type: none.state_type,
        state_name: none.state_name,
        parts: filter
            .parts
            .iter()
            .filter(|part| !is_of_origins(part))
            .cloned()
            .collect(),
        ..filter.clone()
    }
}

fn origins(conditions: &mut Conditions, filter: &FlowRunFilter) {
    conditions.nested(filter.join, |all| {
        all.choice("o.flow_id", &filter.flow_id);
        all.text("o.flow_name", &filter.flow_name);
        all.choice("o.deployment_id", &filter.deployment_id);
        all.text("o.deployment_name", &filter.deployment_name);
        all.choice("o.work_pool", &filter.work_pool);
        all.choice("o.work_queue", &filter.work_queue);
        for part in &filter.parts {
            origins(all, part);
        }
    });
}

/// The origins that are asked for, if any are.
pub(super) fn of_origins(column: &str, filter: &FlowRunFilter) -> Option<Clause> {
    if filter.join == Join::Any {
        return None;
    }
    let found = Clause::of(|conditions| origins(conditions, &origin_part(filter)));
    if found.is_any() {
        return None;
    }
    let sql = format!("{column} IN (SELECT o.id FROM origins o WHERE {})", found.sql);
    Some(found.with(sql))
}
