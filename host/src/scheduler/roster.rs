//! All schedules that are in force, by when their next run starts. Follows the definitions and
//! what was switched at run time; pure but for the rows that it is given and gives back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use grepx_engine::Timestamp;
use uuid::Uuid;

use crate::definitions::Catalog;
use crate::store::ScheduleRow;

use super::entry::{Change, Entry, Rule};

/// Switches of deployments (`None`) and of their schedules; `true` is on.
pub(super) type Switches = BTreeMap<(Uuid, Option<Uuid>), bool>;

#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: HashMap<Uuid, Entry>,
    due: BTreeSet<(Timestamp, Uuid)>,
    /// Schedules whose next planned runs have to be written down: not before when, and before which
    /// start.
    to_plan: BTreeSet<(Timestamp, Timestamp, Uuid)>,
}

/// What a new reading took away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) schedules: Vec<Uuid>,
    /// Deployments that have been paused.
    pub(super) paused: BTreeSet<Uuid>,
    /// Schedules that count from now on, and whether they have counted otherwise before.
    pub(super) begun: Vec<(Uuid, bool)>,
}

impl Roster {
    /// Takes over what the definitions say. `stored` is what an earlier host left, at the first
    /// time only.
    pub(super) fn sync(
        &mut self,
        catalog: &Catalog,
        switches: &Switches,
        stored: &mut HashMap<Uuid, ScheduleRow>,
        now: Timestamp,
    ) -> Gone {
        let mut before = std::mem::take(&mut self.entries);
        let mut stopped = HashSet::new();
        let about = catalog.deployments.len();
        let mut entries = HashMap::with_capacity(about);
        // Sets of many are made at once: that sorts, where one insertion after the other searches.
        let mut due = Vec::with_capacity(about);
        let mut to_plan = Vec::new();
        let mut first_instants = HashMap::new();
        let mut begun = Vec::new();
        for deployment in &catalog.deployments {
            if !deployment.is_active(switches.get(&(deployment.id, None)).copied()) {
                stopped.insert(deployment.id);
                continue;
            }
            for (place, spec) in deployment.schedules.iter().enumerate() {
                let switch = switches.get(&(deployment.id, Some(spec.id)));
                if !switch.copied().unwrap_or(spec.active) {
                    continue;
                }
                let Some(mut entry) = Entry::new(deployment, place) else {
                    continue;
                };
                let (follows, known) = match (before.remove(&spec.id), stored.remove(&spec.id)) {
                    (Some(known), _) => (entry.follow(&known, now), true),
                    (None, Some(row)) => (entry.restore(&row, now), true),
                    (None, None) => {
                        entry.begin_like(&mut first_instants, now);
                        (Follows::Begun, false)
                    }
                };
                if follows == Follows::Begun {
                    begun.push((spec.id, known));
                }
                let at = entry.due_at();
                if follows != Follows::On {
                    to_plan.push((now, at.unwrap_or(now), spec.id));
                }
                due.extend(at.map(|at| (at, spec.id)));
                entries.insert(spec.id, entry);
            }
        }
        let planned = std::mem::take(&mut self.to_plan);
        to_plan.extend(planned.into_iter().filter(|(_, _, id)| entries.contains_key(id)));
        self.to_plan = to_plan.into_iter().collect();
        self.due = due.into_iter().collect();
        self.entries = entries;
        let paused = before.values().map(|entry| entry.deployment.id);
        Gone {
            paused: paused.filter(|id| stopped.contains(id)).collect(),
            begun,
            schedules: before.into_keys().chain(stored.drain().map(|(id, _)| id)).collect(),
        }
    }

    /// The clock has been set back: what has not come yet on the new clock is to come again. Runs
    /// that were made stay the only ones of their instants.
    pub(super) fn step_back(&mut self, now: Timestamp) {
        let ids: Vec<Uuid> = self.entries.keys().copied().collect();
        for id in ids {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if entry.progress.handled_until <= now {
                continue;
            }
            if let Some(at) = entry.due_at() {
                self.due.remove(&(at, id));
            }
            entry.begin(now);
            self.due.extend(entry.due_at().map(|at| (at, id)));
            self.to_plan.insert((now, now, id));
        }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn next_plan(&self) -> Option<Timestamp> {
        self.to_plan.first().map(|(at, ..)| *at)
    }

    /// Takes up to `most` schedules whose next run should have started; each comes back by
    /// [`Roster::put_back`].
    pub(super) fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<Uuid> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            taken.push(id);
        }
        taken
    }

    /// Due again at its next instant, or at `retry_at` when its runs could not be made. Its planned
    /// runs are made up to the full number at `plan_at`.
    pub(super) fn put_back(&mut self, id: Uuid, retry_at: Option<Timestamp>, plan_at: Timestamp) {
        let Some(entry) = self.entries.get(&id) else { return };
        let at = entry.due_at().map(|at| retry_at.map_or(at, |retry| at.max(retry)));
        self.due.extend(at.map(|at| (at, id)));
        self.to_plan.insert((plan_at, plan_at, id));
    }

    /// Takes a schedule that has to be planned now, the next to start first.
    pub(super) fn take_to_plan(&mut self, now: Timestamp) -> Option<Uuid> {
        let (at, _, id) = self.to_plan.first().copied()?;
        if at > now {
            return None;
        }
        self.to_plan.pop_first();
        Some(id)
    }

    pub(super) fn plan_again(&mut self, id: Uuid, at: Timestamp) {
        self.to_plan.insert((at, at, id));
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: Uuid) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// How a schedule goes on under a new reading of the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// As before.
    On,
    /// As before, and its planned runs have to be made.
    Planned,
    /// It counts from now on, and its planned runs have to be made.
    Begun,
}

impl Entry {
    fn follow(&mut self, known: &Self, now: Timestamp) -> Follows {
        self.take_over(known);
        match self.rule.change_from(Some(known.rule)) {
            Change::None => Follows::On,
            Change::What => {
                self.plan_anew();
                Follows::Planned
            }
            Change::When => {
                self.begin(now);
                Follows::Begun
            }
        }
    }

    fn restore(&mut self, row: &ScheduleRow, now: Timestamp) -> Follows {
        let change = self.rule.change_from(Rule::read(&row.rule));
        // Ahead of the clock: the clock has been set back since.
        if change == Change::When || row.progress.handled_until > now {
            self.begin(now);
            return Follows::Begun;
        }
        self.go_on(row.progress, row.planned_until);
        if change == Change::What {
            self.plan_anew();
        }
        // The host may have stopped after the note that it began, or before what follows a start.
        let nothing_planned = row.planned_until <= row.progress.handled_until;
        if change == Change::What || nothing_planned {
            Follows::Planned
        } else {
            Follows::On
        }
    }
}

#[cfg(test)]
mod tests;
