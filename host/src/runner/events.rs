//! What a shard does with an event: the engine decides, the draft takes the facts, and what has
//! become due is dispatched. The same walk over the agenda serves an event, the boot and the sweep.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grepx_engine::{
    Due, ErrorClass, Event, Fact, Mark, NodeId, Outcome, Record, Rejected, TaskError, Timestamp, Watched,
};
use tokio::sync::Semaphore;

use crate::broker::{Broker, SendError, Waiter};
use crate::failpoint::{self, Point};
use crate::store::LogRow;
use crate::traces::TraceId;

use super::live::{self, Live, Watching, Work};
use super::mail::{Answer, Done, Mail};
use super::tags::{Freed, TagSlots};
use super::{Runner, World, call, children, prepare, spans};

/// Takes the event and everything that follows from it.
pub(crate) fn apply(hands: &Hands, live: &mut Live, event: &Event, now: Timestamp) -> Result<(), Rejected> {
    let mut changed = take(hands, live, event, now)?;
    while changed && live.run.next_timer(now).is_some_and(|at| at <= now) {
        changed = take(hands, live, &Event::Tick, now).unwrap_or(false);
    }
    Ok(())
}

/// Whether it has changed the run.
fn take(hands: &Hands, live: &mut Live, event: &Event, now: Timestamp) -> Result<bool, Rejected> {
    let event = hands.bounded(event);
    let records = live.run.apply(&event, now)?;
    for record in &records {
        live.absorb(record, &hands.world);
        live.draft.record(&live.run, record);
    }
    if let Some(traces) = &hands.world.traces
        && traces.samples(TraceId::of(live.id()))
    {
        live.draft.spans(spans::ended(&live.run, &live.head.new, &records));
    }
    hands.dispatch(live);
    live.seal();
    Ok(!records.is_empty())
}

/// Carries out what is due, each thing once at a time.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) world: World,
    runner: Runner,
    tickets: AtomicU64,
    /// By the work that they are for.
    turns: [Arc<Semaphore>; Work::COUNT],
}

impl Hands {
    pub(crate) fn new(world: World, runner: Runner) -> Self {
        let turns = world.settings.turns;
        Self {
            world,
            runner,
            tickets: AtomicU64::new(1),
            turns: std::array::from_fn(|_| Arc::new(Semaphore::new(turns))),
        }
    }

    /// What has become due since the last look.
    pub(crate) fn dispatch(&self, live: &mut Live) {
        let after = live.mark;
        self.dispatch_after(live, after);
    }

    /// Everything that is due; what is being done already is left alone.
    pub(crate) fn dispatch_all(&self, live: &mut Live) {
        self.dispatch_after(live, Mark::default());
    }

    /// Retries that are due and need slots of tags begin as far as there are any. Whoever stands in
    /// line is told when it is its turn.
    pub(crate) fn begin_retries(&self, live: &mut Live, now: Timestamp) {
        if !live.plan.is_tagged() {
            return;
        }
        let mut due: Vec<NodeId> = live.run.retries_due(now).collect();
        self.world.tags.leave_out_waiting(live.id(), &mut due);
        for node in due {
            self.begin_retry(live, node, now);
        }
    }

    pub(crate) fn begin_retry(&self, live: &mut Live, node: NodeId, now: Timestamp) {
        match self.world.tags.take((live.id(), node), live.plan.tags(node)) {
            Ok(slot) => {
                if live.holds.remove(&node).is_some() {
                    live.draft.touch(node);
                }
                if let Err(rejected) = take(self, live, &Event::BeginAttempt { node }, now) {
                    tracing::debug!(run = %live.id(), %rejected, "a retry does not begin");
                }
                // An attempt that has begun holds slots itself by now; else they go back.
                drop(slot);
            }
            Err(reason) => live.hold(node, reason),
        }
    }

    fn dispatch_after(&self, live: &mut Live, after: Mark) {
        let (due, mark) = live.run.due(after);
        live.mark = mark;
        for one in due {
            self.start(live, &one);
        }
    }

    fn start(&self, live: &mut Live, due: &Due) {
        match due {
            Due::Slot => match live.head.new.work_pool {
                Some(_) => {
                    let head = live.head.clone();
                    live.draft.wait_for_slot(&head, crate::clock::now());
                }
                None => self.admit_freely(live),
            },
            Due::Call { node, attempt, step } if !self.is_pure(live, *node) => {
                if live.allowed.get(node) == Some(&(*attempt, *step)) {
                    self.perform(live, due);
                } else if !live.inflight.contains_key(&(*node, Work::Call)) {
                    live.draft.perform(due.clone());
                }
            }
            // A run that was started for an answer which is not on disk could lose its owner.
            Due::Watch { node, attempt, key }
                if matches!(live.run.watched(*node, *attempt, key), Some(Watched::Child(_))) =>
            {
                if live.is_submitted() {
                    self.perform(live, due);
                } else {
                    live.draft.perform(due.clone());
                }
            }
            Due::Watch { node, attempt, key } => self.watch(live, *node, *attempt, key),
            Due::Prepare { .. } | Due::Call { .. } | Due::Judge { .. } | Due::Stop { .. } => self.perform(live, due),
        }
    }

    /// Takes an answer, whatever the node was held for.
    pub(crate) fn answered(&self, live: &mut Live, node: NodeId, event: &Event) {
        if live.holds.remove(&node).is_some() {
            live.draft.touch(node);
        }
        live.allowed.remove(&node);
        if let Err(rejected) = apply(self, live, event, crate::clock::now()) {
            tracing::debug!(run = %live.id(), %rejected, "an answer came too late");
        }
    }

    /// Does what has waited for its commit.
    pub(crate) fn committed(&self, live: &mut Live, due: &Due) {
        if let Due::Call { node, attempt, step } = due {
            live.allowed.insert(*node, (*attempt, *step));
        }
        self.perform(live, due);
    }

    /// Does a piece of work in the background; its answer comes as mail.
    pub(crate) fn perform(&self, live: &mut Live, due: &Due) {
        if let Due::Watch { node, attempt, key } = due {
            if let Some(Watched::Child(child)) = live.run.watched(*node, *attempt, key) {
                children::start(&self.world, &self.runner, live, *node, *attempt, key, child);
            }
            return;
        }
        let (node, work, before, after) = match due {
            Due::Prepare { node } => (*node, Work::Prepare, Point::BeforePrepare, Point::AfterPrepare),
            Due::Call { node, step: 0, .. } => (*node, Work::Call, Point::BeforeStart, Point::AfterStart),
            Due::Call { node, .. } => (*node, Work::Call, Point::BeforeResume, Point::AfterResume),
            Due::Judge { node, .. } => (*node, Work::Judge, Point::BeforeJudge, Point::AfterJudge),
            Due::Stop { node, .. } => (*node, Work::Stop, Point::BeforeStop, Point::AfterStop),
            Due::Slot | Due::Watch { .. } => return,
        };
        if work == Work::Stop {
            live.abort(node, Work::Call);
        }
        if live.inflight.contains_key(&(node, work)) {
            return;
        }
        let later = match due {
            Due::Prepare { node } => prepare::prepare(&self.world, live, *node),
            Due::Call { node, attempt, step } => call::call(&self.world, live, *node, (*attempt, *step)),
            Due::Judge { node, .. } => call::judge(&self.world, live, *node),
            Due::Stop { node, .. } => call::stop(&self.world, live, *node),
            Due::Slot | Due::Watch { .. } => None,
        };
        let Some(later) = later else { return };
        let turns = self.turns[work as usize].clone();
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let (run, runner, in_line) = (live.id(), self.runner.clone(), self.runner.line.join());
        let handle = crate::task::spawn("work", async move {
            // Never closed.
            let _turn = turns.acquire().await;
            drop(in_line);
            failpoint::reach(before);
            let (answer, logs) = later().await;
            failpoint::reach(after);
            let done = Done {
                run,
                node,
                work,
                ticket,
                answer,
                logs,
            };
            let _ = runner.post(run, Mail::Done(Box::new(done))).await;
        });
        live.inflight.insert((node, work), (ticket, handle.abort_handle()));
    }

    fn is_pure(&self, live: &Live, node: NodeId) -> bool {
        self.world.kinds.is_pure(&live.plan.definition.task(node.task).kind)
    }

    /// A run without a work pool needs no slot.
    fn admit_freely(&self, live: &Live) {
        let (runner, run) = (self.runner.clone(), live.id());
        crate::task::spawn("admit", async move {
            let mail = Mail::Event {
                run,
                event: Event::Admitted,
                reply: None,
            };
            let _ = runner.post(run, mail).await;
        });
    }

    fn watch(&self, live: &mut Live, node: NodeId, attempt: u32, key: &str) {
        let Some(Watched::Reply { connection, key: reply }) = live.run.watched(node, attempt, key) else {
            return;
        };
        let known = live.watching.get(&node);
        if known.is_some_and(|known| known.iter().any(|one| *one.command == *key)) {
            return;
        }
        let waiter = Waiter {
            run: live.id(),
            node,
            attempt,
            key: key.to_owned(),
        };
        if let Err(error) = self.world.broker.watch(connection, reply.clone(), waiter) {
            return self.refused(live, node, attempt, key, &error);
        }
        let watching = Watching {
            command: key.into(),
            connection: connection.clone(),
            key: reply.clone(),
            attempt,
        };
        let known = live.watching.entry(node).or_default();
        known.reserve_exact(1);
        known.push(watching);
    }

    /// A command that cannot be carried out fails its attempt.
    fn refused(&self, live: &Live, node: NodeId, attempt: u32, key: &str, error: &SendError) {
        let (runner, run, key) = (self.runner.clone(), live.id(), key.to_owned());
        let error = TaskError::new(ErrorClass::Permanent, "not-watched", error.to_string());
        crate::task::spawn("refused", async move {
            runner.outcome(run, node, attempt, key, Outcome::Failed(error)).await;
        });
    }

    /// An answer within the limits of the configuration.
    fn bounded(&self, event: &Event) -> Event {
        let limit = self.world.settings.result_bytes;
        match event {
            Event::Answered {
                node,
                attempt,
                step,
                answer: grepx_engine::Step::Done(result),
                build,
            } if result.len() > limit => Event::Answered {
                node: *node,
                attempt: *attempt,
                step: *step,
                answer: grepx_engine::Step::Failed(call::too_large(result.len(), limit)),
                build: build.clone(),
            },
            other => other.clone(),
        }
    }
}

impl Live {
    /// Keeps what surrounds the run in step with its facts.
    fn absorb(&mut self, record: &Record, world: &World) {
        let broker = &world.broker;
        self.hold_tags(record, &world.tags);
        live::follow(&mut self.queued, record);
        match &record.fact {
            Fact::Succeeded {
                node,
                result: Some(result),
                ..
            }
            | Fact::MarkedDone {
                node,
                result: Some(result),
                ..
            } if self.plan.is_used(*node) => {
                self.results.insert(node.run_id(self.id()), result.clone());
            }
            Fact::Outcome { node, .. } => {
                self.holds.remove(node);
            }
            Fact::Cancelled { node }
            | Fact::Skipped { node, .. }
            | Fact::Failed { node, .. }
            | Fact::Stopped { node, .. }
            | Fact::MarkedDone { node, .. }
            | Fact::RetryPlanned { node, .. } => {
                self.holds.remove(node);
            }
            _ => {}
        }
        match &record.fact {
            Fact::Succeeded { node, .. } | Fact::AttemptFailed { node, .. } | Fact::StopAsked { node, .. } => {
                self.close(*node, broker);
            }
            Fact::CancelAsked { .. } | Fact::FlowTimedOut { .. } | Fact::Finished { .. } => self.close_over(broker),
            // What is still being done is for an attempt that is over.
            Fact::Reopened { .. } => self.abort_all(),
            _ => {}
        }
    }

    /// Slots of tags are held from the beginning of an attempt until its end is kept.
    fn hold_tags(&mut self, record: &Record, slots: &TagSlots) {
        let Some(node) = record.fact.node() else { return };
        let tags = self.plan.tags(node);
        if tags.is_empty() {
            return;
        }
        let place = (self.id(), node);
        match record.fact {
            Fact::AttemptStarted { attempt, .. } => slots.hold(place, attempt, tags),
            Fact::Mapped { .. } => {}
            _ if self.run.is_under_way(node) => {}
            _ => {
                slots.leave(place);
                let (attempt, tags) = (self.run.attempts(node), tags.to_vec());
                self.draft.free(Freed { node, attempt, tags });
            }
        }
    }

    /// What it holds of tags, as the run stands.
    pub(crate) fn settle_tags(&self, slots: &TagSlots) {
        if self.plan.is_tagged() {
            let under_way = self.run.under_way();
            let begun = under_way.map(|node| (node, self.run.attempts(node), self.plan.tags(node)));
            slots.settle(self.id(), begun);
        }
    }

    /// The attempt of a node is over: nobody waits for its replies.
    fn close(&mut self, node: NodeId, broker: &Broker) {
        let id = self.id();
        self.queued.remove(&node);
        self.holds.remove(&node);
        for watched in self.watching.remove(&node).into_iter().flatten() {
            unwatch(broker, id, node, &watched);
        }
    }

    /// As `close`, for every attempt that the run has given up.
    fn close_over(&mut self, broker: &Broker) {
        let (id, run) = (self.id(), &self.run);
        self.watching.retain(|node, known| {
            known.retain(|watched| {
                let open = run.watched(*node, watched.attempt, &watched.command).is_some();
                if !open {
                    unwatch(broker, id, *node, watched);
                }
                open
            });
            !known.is_empty()
        });
        self.holds.retain(|node, _| {
            run.node_state(*node)
                .is_some_and(|state| !state.state_type.is_terminal() && state.name != "Cancelling")
        });
        let watching = &self.watching;
        self.queued.retain(|node, _| watching.contains_key(node));
    }

    /// Whether the answer is that of the work that is under way.
    pub(crate) fn finish_work(&mut self, node: NodeId, work: Work, ticket: u64) -> bool {
        let current = self
            .inflight
            .get(&(node, work))
            .is_some_and(|(known, _)| *known == ticket);
        if current {
            self.inflight.remove(&(node, work));
        }
        current
    }

    fn abort(&mut self, node: NodeId, work: Work) {
        if let Some((_, handle)) = self.inflight.remove(&(node, work)) {
            handle.abort();
        }
    }

    fn abort_all(&mut self) {
        for (_, (_, handle)) in std::mem::take(&mut self.inflight) {
            handle.abort();
        }
    }

    /// Stops everything that runs on behalf of this run in this process.
    pub(crate) fn abandon(mut self, broker: &Broker) {
        let id = self.id();
        self.abort_all();
        for (node, known) in &self.watching {
            for watched in known {
                unwatch(broker, id, *node, watched);
            }
        }
    }
}

fn unwatch(broker: &Broker, run: grepx_engine::FlowRunId, node: NodeId, watched: &Watching) {
    let waiter = Waiter {
        run,
        node,
        attempt: watched.attempt,
        key: watched.command.to_string(),
    };
    broker.unwatch(&watched.connection, &watched.key, &waiter);
}

/// What work comes to, and what it has to say.
type Answered = (Answer, Vec<LogRow>);

/// Work that is put together when it is its turn: what is under way takes some kilobytes, and a
/// `for_each` makes thousands of nodes due at once.
pub(crate) type Later = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Answered> + Send>> + Send>;

pub(crate) fn later<F>(work: impl FnOnce() -> F + Send + 'static) -> Later
where
    F: Future<Output = Answered> + Send + 'static,
{
    Box::new(move || Box::pin(work()))
}
