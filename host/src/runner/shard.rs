//! One shard: the runs that it owns, their mail, their timers.

mod answers;
mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use grepx_engine::{Definition, Event, FlowRunId, Run, StateType, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::failpoint::{self, Point};
use crate::store::{self, Created, NewRun, Planned};

use super::commits::{self, Committing};
use super::events::{self, Hands};
use super::live::{Head, Live};
use super::mail::Mail;
use super::plan::Plan;
use super::watchdog::Watchdog;
use super::{Error, Runner, Triggered, World, lost};

type Reply = oneshot::Sender<Result<(), Error>>;

/// Events that wait for a run to be read back.
const KEPT_EVENTS: usize = 1_024;

/// Mail that is taken before the next commit.
const BATCH: usize = 512;
/// Sweeps between two looks at everything.
const FULL_SWEEP: u32 = 30;

pub(crate) struct Shard {
    world: World,
    runner: Runner,
    mail: mpsc::Receiver<Mail>,
    /// One per commit that the store has taken, and it takes only so many: this queue is bounded by
    /// that, and must not be by itself, or the shard and its mailbox could wait for each other.
    commits: mpsc::UnboundedSender<Committing>,
    live: BTreeMap<FlowRunId, Live>,
    plans: HashMap<usize, Weak<Plan>>,
    timers: BTreeSet<(Timestamp, FlowRunId)>,
    dirty: Vec<FlowRunId>,
    hands: Hands,
    /// Runs that are being read back, with the events that came meanwhile.
    reloading: HashMap<FlowRunId, Vec<(Event, Option<Reply>)>>,
    sweeps: u32,
    watchdog: Watchdog,
    draining: Vec<oneshot::Sender<()>>,
}

impl Shard {
    pub(crate) fn new(world: World, runner: Runner, mail: mpsc::Receiver<Mail>) -> Self {
        let (commits, waiting) = mpsc::unbounded_channel();
        crate::task::spawn("commits", commits::follow(runner.clone(), world.clone(), waiting));
        Self {
            hands: Hands::new(world.clone(), runner.clone()),
            world,
            runner,
            mail,
            commits,
            live: BTreeMap::new(),
            plans: HashMap::new(),
            timers: BTreeSet::new(),
            dirty: Vec::new(),
            reloading: HashMap::new(),
            sweeps: 0,
            watchdog: Watchdog::default(),
            draining: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self, live: Vec<Live>) {
        for one in live {
            self.adopt(one);
        }
        let mut sweep = tokio::time::interval(self.world.settings.sweep);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.settle().await;
            let timer = self.until_next_timer();
            tokio::select! {
                // What is due by time first: mail may never end.
                biased;
                () = tokio::time::sleep(timer) => self.tick(),
                _ = sweep.tick() => self.sweep(),
                mail = self.mail.recv() => match mail {
                    Some(mail) => self.take_batch(mail),
                    None => return,
                },
            }
        }
    }

    fn take_batch(&mut self, first: Mail) {
        self.take(first);
        for _ in 1..BATCH {
            match self.mail.try_recv() {
                Ok(mail) => self.take(mail),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, mail: Mail) {
        match mail {
            Mail::Create {
                new,
                planned,
                definition,
                reply,
            } => self.create(*new, planned, definition, reply),
            Mail::Created { run, outcome, reply } => self.created(run, outcome, reply),
            Mail::Event { run, event, reply } => self.event(run, event, reply),
            Mail::Displace { run, reason } => {
                let stopping = |live: &Live| live.run.state().state_type == StateType::Cancelling;
                if self.live.get(&run).is_some_and(|live| !stopping(live)) {
                    self.event(run, Event::Cancel { reason }, None);
                }
            }
            Mail::Signal {
                run,
                node,
                attempt,
                name,
                payload,
                reply,
            } => self.signal(run, (node, attempt), name, payload, reply),
            Mail::Done(done) => self.done(*done),
            Mail::Committed { run, perform } => {
                if let Some(live) = self.live.get_mut(&run) {
                    for due in perform {
                        self.hands.committed(live, &due);
                    }
                }
            }
            Mail::Reload { run } => self.reload(run),
            Mail::Reloaded { run, read } => self.reloaded(run, read),
            Mail::Explained { run, nodes, reason } => self.explained(run, &nodes, reason.as_ref()),
            Mail::Sought(found) => self.sought(&found),
            Mail::Builds { reply } => {
                let known = self.reloading.is_empty();
                let builds = self.live.values().flat_map(|live| live.run.builds().cloned());
                let _ = reply.send(known.then(|| builds.collect()));
            }
            Mail::Look => self.look(false),
            Mail::Again { run, node } => self.again(run, node),
            Mail::Drain { reply } => {
                // Answered when everything before this mail is in the store.
                self.draining.push(reply);
            }
        }
    }

    fn create(
        &mut self,
        new: NewRun,
        planned: Option<Planned>,
        definition: Arc<Definition>,
        reply: oneshot::Sender<Result<Triggered, Error>>,
    ) {
        if reply.is_closed() {
            // Whoever asked has been told that the store takes nothing, or is gone.
            return;
        }
        if let Some(known) = self.live.get(&new.id) {
            // A planned time that has its run already, or has it if the store takes it.
            let _ = reply.send(match known.creating {
                false => Ok(Triggered::Existing(new.id)),
                true => Err(Error::BeingMade(new.id)),
            });
            return;
        }
        let now = clock::now();
        let id = new.id;
        let mut run = Run::new(id, definition.clone());
        let records = run.schedule(new.expected_start, now);
        let plan = self.plan(&definition);
        let mut live = Live::new(run, Head::new(new.clone()), plan);
        live.creating = true;
        for record in &records {
            live.draft.record(&live.run, record);
        }
        self.hands.dispatch(&mut live);
        let commit = live.take_first_commit();
        self.adopt_quietly(live);
        let (store, runner) = (self.world.store.clone(), self.runner.clone());
        crate::task::spawn("create", async move {
            let outcome = store.create(new, planned, commit).await;
            let mail = Mail::Created {
                run: id,
                outcome,
                reply,
            };
            let _ = runner.post(id, mail).await;
        });
    }

    fn created(
        &mut self,
        run: FlowRunId,
        outcome: Result<Created, store::Error>,
        reply: oneshot::Sender<Result<Triggered, Error>>,
    ) {
        let answer = match outcome {
            Ok(Created::New) => {
                failpoint::reach(Point::Created);
                if let Some(live) = self.live.get_mut(&run) {
                    live.creating = false;
                    self.dirty.push(run);
                }
                Ok(Triggered::New(run))
            }
            Ok(Created::Existing(known)) => {
                self.forget(run);
                Ok(Triggered::Existing(known))
            }
            Ok(Created::Skipped) => {
                self.forget(run);
                Ok(Triggered::Skipped)
            }
            Err(error) => {
                self.forget(run);
                Err(Error::Store(error))
            }
        };
        let _ = reply.send(answer);
    }

    fn event(&mut self, run: FlowRunId, event: Event, reply: Option<Reply>) {
        if let Some(kept) = self.reloading.get_mut(&run)
            && kept.len() < KEPT_EVENTS
        {
            kept.push((event, reply));
            return;
        }
        let Some(live) = self.live.get_mut(&run) else {
            let being_read = self.reloading.contains_key(&run);
            let refusal = match event {
                _ if being_read => Error::ReadBack(run),
                Event::Retry { .. } | Event::MarkDone { .. } => return self.bring_back(run, event, reply),
                _ => Error::NotLive(run),
            };
            if let Some(reply) = reply {
                let _ = reply.send(Err(refusal));
            }
            return;
        };
        match events::apply(&self.hands, live, &event, clock::now()) {
            Ok(()) => live.draft_reply(reply),
            Err(rejected) => {
                tracing::debug!(%run, %rejected, "an event changed nothing");
                if let Some(reply) = reply {
                    let _ = reply.send(Err(rejected.into()));
                }
            }
        }
        self.dirty.push(run);
    }

    /// Takes a run into memory and does everything that is due.
    fn adopt(&mut self, mut live: Live) {
        self.hands.dispatch(&mut live);
        self.adopt_quietly(live);
    }

    fn adopt_quietly(&mut self, live: Live) {
        let id = live.id();
        self.live.insert(id, live);
        self.dirty.push(id);
    }

    /// It is in no store: whatever it holds is free.
    fn forget(&mut self, run: FlowRunId) {
        let tagged = self.live.get(&run).is_some_and(|live| live.plan.is_tagged());
        self.let_go(run);
        if tagged {
            self.world.tags.settle(run, []);
        }
    }

    /// Its slots of tags stay its own.
    fn let_go(&mut self, run: FlowRunId) {
        if let Some(live) = self.live.remove(&run) {
            if let Some(at) = live.armed {
                self.timers.remove(&(at, run));
            }
            live.abandon(&self.world.broker);
        }
    }

    /// Sends the commits of all runs that changed, and forgets those that have ended.
    async fn settle(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for run in dirty {
            let Some(live) = self.live.get_mut(&run) else { continue };
            if live.creating {
                continue;
            }
            let now = clock::now();
            // At the same instant: what is due then has asked, and what is not has its timer.
            self.hands.begin_retries(live, now);
            rearm(&mut self.timers, live, now);
            let finished = live.run.is_finished();
            for (commit, after) in live.take_commits() {
                let permit = match self.world.store.reserve().await {
                    Ok(permit) => permit,
                    Err(error) => {
                        tracing::error!(%run, %error, "nothing can be committed any more; a restart goes on from the log");
                        return;
                    }
                };
                let receipt = permit.submit(commit);
                if self.commits.send((receipt, run, after)).is_err() {
                    return;
                }
            }
            if finished {
                // What it holds of tags goes with the commits that free it.
                self.let_go(run);
            }
        }
        if self.draining.is_empty() {
            return;
        }
        // The store makes changes in their order, so an empty one is a barrier.
        let _ = self.world.store.drop_sends(Vec::new()).await;
        for reply in self.draining.drain(..) {
            let _ = reply.send(());
        }
    }

    fn until_next_timer(&self) -> Duration {
        self.timers.first().map_or(Duration::from_secs(3_600), |(at, _)| {
            Duration::from_millis(at.since_ms(clock::now()))
        })
    }

    fn tick(&mut self) {
        let now = clock::now();
        while let Some(&(at, run)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            let Some(live) = self.live.get_mut(&run) else { continue };
            live.armed = None;
            failpoint::reach(Point::TimerFired);
            if let Err(rejected) = events::apply(&self.hands, live, &Event::Tick, now) {
                tracing::debug!(%run, %rejected, "a timer changed nothing");
            }
            self.dirty.push(run);
        }
    }

    /// Looks again at what is held, and now and then at everything.
    fn sweep(&mut self) {
        self.sweeps = self.sweeps.wrapping_add(1);
        self.look(self.sweeps.is_multiple_of(FULL_SWEEP));
        self.watchdog.look(&self.world, &self.runner, &self.live);
        lost::look(&self.world, &self.runner, self.live.values_mut());
    }

    fn look(&mut self, all: bool) {
        for (run, live) in &mut self.live {
            if live.creating || (!all && live.holds.is_empty()) {
                continue;
            }
            self.hands.dispatch_all(live);
            self.hands.begin_retries(live, clock::now());
            if !live.draft.is_empty() {
                self.dirty.push(*run);
            }
        }
    }

    fn plan(&mut self, definition: &Arc<Definition>) -> Arc<Plan> {
        let place = Arc::as_ptr(definition) as usize;
        let known = self.plans.get(&place).and_then(Weak::upgrade);
        match known {
            Some(plan) if Arc::ptr_eq(&plan.definition, definition) => plan,
            _ => {
                self.plans.retain(|_, plan| plan.strong_count() > 0);
                let plan = Arc::new(Plan::new(definition.clone()));
                self.plans.insert(place, Arc::downgrade(&plan));
                plan
            }
        }
    }
}

/// Keeps the shard's timer for the run at its next one.
fn rearm(timers: &mut BTreeSet<(Timestamp, FlowRunId)>, live: &mut Live, now: Timestamp) {
    let next = live.run.next_timer(now);
    if next == live.armed {
        return;
    }
    if let Some(at) = live.armed {
        timers.remove(&(at, live.id()));
    }
    if let Some(at) = next {
        timers.insert((at, live.id()));
    }
    live.armed = next;
}

#[cfg(test)]
mod tests;
