//! What holds of every run, whatever happens to it.

use grepx_engine::{Event, Fact, Mark, NodeId, Record, Retry, Run, StateType, TriggerRule};

use super::Simulation;

/// How often what seldom happens has happened.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) reopened: u32,
    pub(crate) marked: u32,
    pub(crate) marked_in_an_ended_run: u32,
    pub(crate) marked_while_running: u32,
    pub(crate) items_renewed: u32,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Self) {
        self.reopened += other.reopened;
        self.marked += other.marked;
        self.marked_in_an_ended_run += other.marked_in_an_ended_run;
        self.marked_while_running += other.marked_while_running;
        self.items_renewed += other.items_renewed;
    }
}

impl Simulation {
    pub(super) fn check_reopened(&mut self, before: &Run, event: &Event) {
        self.seen.reopened += 1;
        assert_eq!(self.run.round(), before.round() + 1);
        assert!(
            self.run.renewals() > before.renewals(),
            "a run is reopened for nodes that begin anew"
        );
        assert_eq!(self.run.started_at(), before.started_at());
        assert_eq!(self.run.ended_at(), None);
        for node in every_node(before) {
            let (was, is) = (before.node_state(node), self.run.node_state(node));
            let (was, is) = (was.expect("it exists").state_type, is.map(|state| state.state_type));
            assert!(self.run.attempts(node) >= before.attempts(node) || is.is_none());
            let stays = match event {
                Event::Retry {
                    what: Retry::Failed, ..
                } => was == StateType::Completed && is.is_some(),
                Event::Retry {
                    what: Retry::Only(task),
                    ..
                } => node.task != *task,
                Event::MarkDone { node: marked, .. } => was == StateType::Completed && node.task != marked.task,
                _ => false,
            };
            if stays && before.items(node.task).is_none() {
                assert_eq!(is, Some(was), "it keeps its state");
            }
        }
    }

    pub(super) fn check(&mut self, before: &Run, record: &Record) {
        match &record.fact {
            Fact::Reopened { .. } => assert!(before.is_finished(), "only what has ended is reopened"),
            _ => assert!(!before.is_finished(), "a finished run stays as it is"),
        }
        self.count(before, record);
        let begins = match &record.fact {
            Fact::Mapped { node, .. } => Some(*node),
            Fact::AttemptStarted { node, attempt, .. } => {
                self.check_attempt(before, *node, *attempt);
                // Items begin with their task, and a further attempt with the first.
                (node.index.is_none() && before.tries(*node, *attempt) == 1).then_some(*node)
            }
            _ => None,
        };
        let Some(node) = begins else { return };
        let task = self.run.definition().task(node.task);
        let early = matches!(task.trigger_rule, TriggerRule::OneSuccess | TriggerRule::OneFailed);
        for &upstream in &task.upstreams {
            let state = before.node_state(NodeId::task(upstream)).expect("it exists");
            assert!(
                early || state.state_type.is_terminal(),
                "it starts before its upstreams"
            );
        }
    }

    fn check_attempt(&mut self, before: &Run, node: NodeId, attempt: u32) {
        let state = before.node_state(node).expect("it exists");
        assert!(
            matches!(state.state_type, StateType::Pending | StateType::Scheduled),
            "one attempt at a time"
        );
        assert_eq!(attempt, before.attempts(node) + 1);
        let last = self.attempts.insert(node, attempt).unwrap_or(0);
        assert!(attempt > last, "no two attempts share an id, over all rounds");
        assert!(
            !matches!(before.state().state_type, StateType::Paused | StateType::Scheduled),
            "nothing starts in a paused or waiting run"
        );
    }

    fn count(&mut self, before: &Run, record: &Record) {
        match &record.fact {
            Fact::MarkedDone { node, .. } => {
                self.seen.marked += 1;
                let state = before.node_state(*node).expect("it exists").state_type;
                self.seen.marked_while_running += u32::from(state == StateType::Running);
                self.seen.marked_in_an_ended_run += u32::from(before.state().state_type == StateType::Scheduled);
            }
            Fact::Renewed { nodes } => {
                self.seen.items_renewed += u32::from(nodes.iter().any(|node| node.index.is_some()));
            }
            _ => {}
        }
    }

    pub(super) fn check_end(&self) {
        assert_eq!(self.replayed(), self.run);
        assert!(
            self.run.due(Mark::default()).0.is_empty(),
            "a finished run wants nothing"
        );
        assert_eq!(self.run.next_timer(self.now), None);
        let mut state = Run::new(self.run.id(), self.run.definition().clone());
        for record in &self.log {
            let node = match &record.fact {
                Fact::Skipped { node, .. }
                | Fact::Succeeded { node, .. }
                | Fact::Failed { node, .. }
                | Fact::Cancelled { node }
                | Fact::MarkedDone { node, .. }
                | Fact::Gathered { node } => Some(*node),
                _ => None,
            };
            let ended = node.and_then(|node| state.node_state(node));
            assert!(
                ended.is_none_or(|state| !state.state_type.is_terminal()),
                "a node ends once, unless it begins anew"
            );
            state.fold(record);
        }
        for node in every_node(&self.run) {
            let state = self.run.node_state(node).expect("it exists");
            assert!(state.state_type.is_terminal(), "everything ends");
        }
        let completed = |node: NodeId| {
            let state = self.run.node_state(node).expect("it exists");
            state.state_type == StateType::Completed
        };
        assert!(
            self.run.state().state_type != StateType::Completed || every_node(&self.run).all(completed),
            "a run has completed when all of it has"
        );
    }
}

fn every_node(run: &Run) -> impl Iterator<Item = NodeId> {
    let tasks = 0..run.definition().tasks.len() as u32;
    tasks.flat_map(|task| {
        let items = run.items(task).unwrap_or(0);
        std::iter::once(NodeId::task(task)).chain((0..items).map(move |index| NodeId::item(task, index)))
    })
}
