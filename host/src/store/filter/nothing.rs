//! Whether a filter leaves anything out. Whoever changes many runs has to say which: a filter that
//! only looks as if it named some must not pass for one.

use super::{Choice, Creator, FlowRunFilter, Period, Tags, TaskRunFilter, Text};

/// However the conditions are joined: without one, there is nothing to join.
impl FlowRunFilter {
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        let Self {
            join: _,
            id,
            name,
            flow_id,
            flow_name,
            deployment_id,
            deployment_name,
            state_join: _,
            state_type,
            state_name,
            tags,
            definition,
            expected_start,
            next_start,
            start_time,
            end_time,
            work_pool,
            work_queue,
            parent_run,
            parent_task_run,
            idempotency_key,
            creator,
            holds_slot,
            task_run,
            parts,
            id_before,
            parent_outside,
        } = self;
        id.asks_nothing()
            && parent_run.asks_nothing()
            && parent_task_run.asks_nothing()
            && state_type.asks_nothing()
            && [flow_id, deployment_id].into_iter().all(Choice::asks_nothing)
            && [name, flow_name, deployment_name].into_iter().all(Text::asks_nothing)
            && [state_name, definition, work_pool, work_queue, idempotency_key]
                .into_iter()
                .all(Choice::asks_nothing)
            && tags.asks_nothing()
            && [expected_start, next_start, start_time, end_time]
                .into_iter()
                .all(|period| *period == Period::default())
            && creator.asks_nothing()
            && !holds_slot
            && task_run.as_ref().is_none_or(|tasks| tasks.asks_nothing())
            && parts.iter().all(Self::asks_nothing)
            && id_before.is_none()
            && parent_outside.is_none()
    }
}

impl TaskRunFilter {
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        let Self {
            join: _,
            id,
            run,
            name,
            kind,
            state_join: _,
            state_type,
            state_name,
            tags,
            expected_start,
            start_time,
            end_time,
            has_child,
            flow_run,
        } = self;
        id.asks_nothing()
            && run.asks_nothing()
            && name.asks_nothing()
            && state_type.asks_nothing()
            && [kind, state_name].into_iter().all(Choice::asks_nothing)
            && tags.asks_nothing()
            && [expected_start, start_time, end_time]
                .into_iter()
                .all(|period| *period == Period::default())
            && has_child.is_none()
            && flow_run.as_ref().is_none_or(|runs| runs.asks_nothing())
    }
}

impl<T> Choice<T> {
    /// A list of what is left out may be empty; an empty list of what is wanted wants nothing at all.
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.any.is_none() && self.not.as_ref().is_none_or(Vec::is_empty) && self.is_null.is_none()
    }
}

impl Text {
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.choice.asks_nothing() && self.like.as_ref().is_none_or(String::is_empty)
    }
}

impl Tags {
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.all.as_ref().is_none_or(Vec::is_empty) && self.any.is_none() && self.is_null.is_none()
    }
}

impl Creator {
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.id.is_none() && self.kind.is_none() && self.is_null.is_none()
    }
}

#[cfg(test)]
mod tests;
