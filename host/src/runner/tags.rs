//! Limits of tags: how many task runs with a tag may be under way at once, over all flow runs.
//!
//! A slot is held from the beginning of an attempt until what comes of it is kept. While a retry waits
//! there is none: a flow run that is paused then would keep what others need to end, who hold the slot
//! of the work pool that it needs to go on. Who holds slots follows from the live runs: at boot it is
//! read off them before anything starts, and no count is kept anywhere that could drift. A slot that
//! was taken for an attempt which has not begun goes back by itself ([`Slot`]); a node that has several
//! reasons to hold one has one.
//!
//! Absent on purpose: an order among those who wait beyond first come, first asked again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grepx_engine::{FlowRunId, NodeId, TaskRunId};
use tokio::sync::mpsc;

use super::mail::Mail;
use super::{Error, Runner};
use crate::clock;
use crate::store::TAG_PREFIX;

/// A node of a run.
pub(crate) type Place = (FlowRunId, NodeId);

#[derive(Debug, Clone)]
pub(crate) struct TagSlots {
    slots: Arc<Mutex<Slots>>,
    /// Who should ask again. Bounded by those who wait, each of whom stands in one line once.
    woken: mpsc::UnboundedSender<Place>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Tags that are limited.
    limits: HashMap<String, u32>,
    holders: HashMap<String, BTreeMap<Place, Held>>,
    /// Those who were refused, by the tag that was full.
    lines: HashMap<String, VecDeque<Place>>,
    waiting: BTreeMap<Place, String>,
    /// Those who were told that this tag has a slot, and have not asked again yet.
    woken: BTreeMap<Place, String>,
    /// So far.
    takings: u64,
}

/// Why a node holds a slot.
#[derive(Debug, Default)]
struct Held {
    /// The latest attempt that has begun, until its end is kept.
    begun: Option<u32>,
    /// Takings for an attempt that may begin.
    taken: Vec<u64>,
}

/// Slots of an attempt whose end is about to be kept, and of those before it.
#[derive(Debug)]
pub(crate) struct Freed {
    pub(crate) node: NodeId,
    pub(crate) attempt: u32,
    pub(crate) tags: Vec<String>,
}

/// Slots that were taken for an attempt. This taking of them ends with the value; an attempt that has
/// begun by then holds them itself.
#[derive(Debug)]
#[must_use = "the slots go back at once"]
pub(crate) struct Slot {
    slots: TagSlots,
    place: Place,
    taking: u64,
    tags: Vec<String>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let taking = self.taking;
        self.slots.end(self.place, &self.tags, |held| {
            held.taken.retain(|other| *other != taking)
        });
    }
}

impl Runner {
    /// Lets task runs follow the limits of tags as the store has them.
    ///
    /// # Errors
    /// When they cannot be read; then those of before stay in force.
    pub async fn sync_tag_limits(&self) -> Result<(), Error> {
        let limits = self.store.concurrency_limits(clock::now()).await?;
        let of_tags = limits.into_iter().filter(|limit| limit.active).filter_map(|limit| {
            let tag = limit.name.strip_prefix(TAG_PREFIX)?;
            Some((tag.to_owned(), limit.slots))
        });
        self.tags.limit(of_tags.collect());
        Ok(())
    }

    /// The task runs that hold a slot of a tag.
    #[must_use]
    pub fn tag_holders(&self, tag: &str) -> Vec<TaskRunId> {
        self.tags.holders(tag)
    }
}

/// Who waits for a slot of a tag asks again as soon as one is free.
pub(super) async fn ask_again(runner: Runner, mut woken: mpsc::UnboundedReceiver<Place>) {
    while let Some((run, node)) = woken.recv().await {
        if runner.post(run, Mail::Again { run, node }).await.is_err() {
            return;
        }
    }
}

impl TagSlots {
    /// With those who should ask again.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Place>) {
        let (woken, receiver) = mpsc::unbounded_channel();
        let slots = Self {
            slots: Arc::default(),
            woken,
        };
        (slots, receiver)
    }

    /// Limits by tag, from now on. Whoever holds a slot beyond one keeps it.
    pub(crate) fn limit(&self, limits: HashMap<String, u32>) {
        let mut slots = self.lock();
        slots.limits = limits;
        slots.lines.clear();
        for (place, _) in std::mem::take(&mut slots.waiting) {
            let _ = self.woken.send(place);
        }
    }

    /// A slot of each tag, or none and the reason; then it is asked again when one is free.
    pub(crate) fn take(&self, place: Place, tags: &[String]) -> Result<Slot, String> {
        if tags.is_empty() {
            return Ok(self.slot(place, 0, tags));
        }
        let mut slots = self.lock();
        let woken = slots.woken.remove(&place);
        if let Some((tag, limit)) = slots.full(place, tags) {
            let tag = tag.to_owned();
            let reason = slots.wait(place, tag, limit);
            if let Some(tag) = woken {
                // What it was woken for is still there for others.
                self.wake(&mut slots, &tag);
            }
            return Err(reason);
        }
        slots.leave(place);
        slots.takings += 1;
        let taking = slots.takings;
        for tag in tags {
            slots.held_by(tag, place).taken.push(taking);
        }
        drop(slots);
        Ok(self.slot(place, taking, tags))
    }

    fn slot(&self, place: Place, taking: u64, tags: &[String]) -> Slot {
        Slot {
            slots: self.clone(),
            place,
            taking,
            tags: tags.to_vec(),
        }
    }

    /// Whether it was refused, and would be again.
    pub(crate) fn must_wait(&self, place: Place, tags: &[String]) -> bool {
        if tags.is_empty() {
            return false;
        }
        let slots = self.lock();
        slots.waiting.contains_key(&place) && slots.full(place, tags).is_some()
    }

    /// Leaves those of a run that stand in no line and were not told to ask.
    pub(crate) fn leave_out_waiting(&self, run: FlowRunId, nodes: &mut Vec<NodeId>) {
        if nodes.is_empty() {
            return;
        }
        let slots = self.lock();
        nodes.retain(|node| {
            let place = (run, *node);
            !slots.waiting.contains_key(&place) && !slots.woken.contains_key(&place)
        });
    }

    /// It has slots, whatever the limits say: its attempt is under way.
    pub(crate) fn hold(&self, place: Place, attempt: u32, tags: &[String]) {
        let mut slots = self.lock();
        for tag in tags {
            let held = slots.held_by(tag, place);
            held.begun = held.begun.max(Some(attempt));
        }
    }

    /// It waits for no slot any more.
    pub(crate) fn leave(&self, place: Place) {
        let mut slots = self.lock();
        slots.leave(place);
        self.pass_on(&mut slots, place);
    }

    /// It was told to ask again, and has taken nothing: the next one may.
    pub(crate) fn pass(&self, place: Place) {
        self.pass_on(&mut self.lock(), place);
    }

    fn pass_on(&self, slots: &mut Slots, place: Place) {
        if let Some(tag) = slots.woken.remove(&place) {
            self.wake(slots, &tag);
        }
    }

    /// An attempt of the run has ended, and that is kept: its slots are free, unless the next has begun.
    pub(crate) fn release(&self, run: FlowRunId, freed: &Freed) {
        self.end((run, freed.node), &freed.tags, |held| {
            held.begun = held.begun.filter(|begun| *begun > freed.attempt);
        });
    }

    /// A reason to hold slots is gone; the first who wait for what is free by that ask again.
    fn end(&self, place: Place, tags: &[String], reason: impl Fn(&mut Held)) {
        if tags.is_empty() {
            return;
        }
        let mut slots = self.lock();
        for tag in tags {
            if slots.free(tag, place, &reason) {
                self.wake(&mut slots, tag);
            }
        }
    }

    /// What a run holds is this and nothing else: as it was read back, or nothing when it is gone.
    pub(crate) fn settle<'t>(&self, run: FlowRunId, begun: impl IntoIterator<Item = (NodeId, u32, &'t [String])>) {
        let mut slots = self.lock();
        let of_run = |place: &&Place| place.0 == run;
        let waiting: Vec<Place> = slots.waiting.keys().filter(of_run).copied().collect();
        let woken: Vec<Place> = slots.woken.keys().filter(of_run).copied().collect();
        for place in waiting {
            slots.leave(place);
        }
        let mut freed = Vec::new();
        for (tag, holders) in &slots.holders {
            freed.extend(holders.keys().filter(of_run).map(|place| (tag.clone(), *place)));
        }
        for (tag, place) in &freed {
            slots.free(tag, *place, |held| *held = Held::default());
        }
        for (node, attempt, tags) in begun {
            for tag in tags {
                slots.held_by(tag, (run, node)).begun = Some(attempt);
            }
        }
        for place in woken {
            self.pass_on(&mut slots, place);
        }
        for (tag, _) in freed {
            self.wake(&mut slots, &tag);
        }
    }

    /// The first in line for a tag asks again, if there is a slot.
    fn wake(&self, slots: &mut Slots, tag: &str) {
        if slots.has_room(tag)
            && let Some(next) = slots.next(tag)
        {
            slots.woken.insert(next, tag.to_owned());
            let _ = self.woken.send(next);
        }
    }

    /// By flow run, then by task.
    pub(crate) fn holders(&self, tag: &str) -> Vec<TaskRunId> {
        let slots = self.lock();
        let holders = slots.holders.get(tag).into_iter().flatten();
        holders.map(|((run, node), _)| node.run_id(*run)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing is done under the lock that could leave it half done.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// The first of the tags that has no slot to give to this place, with its limit.
    fn full<'t>(&self, place: Place, tags: &'t [String]) -> Option<(&'t str, u32)> {
        tags.iter().find_map(|tag| {
            let limit = *self.limits.get(tag)?;
            let is_own = self
                .holders
                .get(tag)
                .is_some_and(|holders| holders.contains_key(&place));
            (!is_own && self.held(tag) >= limit as usize).then_some((tag.as_str(), limit))
        })
    }

    fn has_room(&self, tag: &str) -> bool {
        let limit = self.limits.get(tag);
        limit.is_none_or(|limit| self.held(tag) < *limit as usize)
    }

    fn held(&self, tag: &str) -> usize {
        self.holders.get(tag).map_or(0, BTreeMap::len)
    }

    fn held_by(&mut self, tag: &str, place: Place) -> &mut Held {
        self.holders
            .entry(tag.to_owned())
            .or_default()
            .entry(place)
            .or_default()
    }

    fn wait(&mut self, place: Place, tag: String, limit: u32) -> String {
        let held = self.held(&tag);
        if self.waiting.get(&place) != Some(&tag) {
            self.leave(place);
            self.lines.entry(tag.clone()).or_default().push_back(place);
            self.waiting.insert(place, tag.clone());
        }
        format!("tag {tag}: {held} of {limit} task runs are under way")
    }

    /// Whether it has held a slot, and holds none without this reason.
    fn free(&mut self, tag: &str, place: Place, reason: impl Fn(&mut Held)) -> bool {
        let Some(holders) = self.holders.get_mut(tag) else {
            return false;
        };
        let Some(held) = holders.get_mut(&place) else {
            return false;
        };
        reason(held);
        if held.begun.is_some() || !held.taken.is_empty() {
            return false;
        }
        holders.remove(&place);
        if holders.is_empty() {
            self.holders.remove(tag);
        }
        true
    }

    /// Out of the line that it stands in.
    fn leave(&mut self, place: Place) {
        let Some(tag) = self.waiting.remove(&place) else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&tag) {
            line.retain(|other| *other != place);
        }
    }

    /// The first in line for a tag, who goes to its end when it is refused again.
    fn next(&mut self, tag: &str) -> Option<Place> {
        let line = self.lines.get_mut(tag)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(tag);
        }
        let next = next?;
        self.waiting.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
mod tests;
