//! The journal while the function runs: which round is shown, which commands were given, what
//! the function waits for.

use std::collections::BTreeMap;

use super::*;
use crate::journal::{COMMANDS_MAX, Given, key};
use crate::{Rng, Suspended};

/// What one poll of one future waits for, as places of commands.
pub(super) enum Need {
    Any(usize),
    All(Vec<usize>),
}

pub(super) struct Replay {
    /// As in the step that started the attempt; time and seed are not to be used.
    pub(super) ctx: Ctx,
    kind: &'static str,
    state_version: u32,
    journal: Journal,
    round: usize,
    given: usize,
    fresh: Vec<Command>,
    /// What is visible up to this round, by place.
    outcomes: BTreeMap<usize, Vec<Outcome>>,
    /// Place of a message → place of the ear that hears of its failure.
    heard_by: BTreeMap<usize, usize>,
    needs: Vec<Need>,
    wakers: Vec<Waker>,
    pub(super) status: Option<String>,
    pub(super) rng: Rng,
    /// By number: commands for `stop`.
    clean_up: BTreeMap<u32, Command>,
    next_clean_up: u32,
    broken: Option<Error>,
}

impl Replay {
    pub(super) fn new<J: Journaled>(ctx: &Ctx, journal: Journal) -> Self {
        let mut ctx = ctx.clone();
        ctx.settings_json = journal.settings.get().as_bytes().to_vec();
        Self {
            ctx,
            kind: J::KIND,
            state_version: J::STATE_VERSION,
            round: 0,
            given: 0,
            fresh: Vec::new(),
            outcomes: BTreeMap::new(),
            heard_by: BTreeMap::new(),
            needs: Vec::new(),
            wakers: Vec::new(),
            status: None,
            rng: Rng::seeded(journal.seed),
            clean_up: BTreeMap::new(),
            next_clean_up: 0,
            broken: None,
            journal,
        }
    }

    pub(super) fn input(&self) -> String {
        self.journal.input.get().to_owned()
    }

    pub(super) fn started_with(&self) -> u32 {
        self.journal.started_with
    }

    pub(super) fn last_round(&self) -> usize {
        self.journal.rounds.len() - 1
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.journal.rounds[self.round].now_ms
    }

    /// Shows a round; who has waited is to be woken.
    pub(super) fn begin(&mut self, round: usize) -> Vec<Waker> {
        self.round = round;
        self.needs.clear();
        self.status = None;
        for (place, kept) in &self.journal.rounds[round].events {
            let outcome = Outcome::from(kept);
            let failed = matches!(outcome, Outcome::Failed(_) | Outcome::Cancelled);
            let heard = self.heard_by.get(place).filter(|_| failed);
            self.outcomes.entry(*heard.unwrap_or(place)).or_default().push(outcome);
        }
        std::mem::take(&mut self.wakers)
    }

    /// Compares a round of history with what the function did. True: the attempt ended there.
    pub(super) fn finish_round(&mut self, ready: bool) -> Result<bool, Error> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        if self.round == self.last_round() {
            return Ok(false);
        }
        let next = self.journal.commands.get(self.given);
        if let Some(missed) = next.filter(|next| next.round <= self.round) {
            let (place, what) = (self.given, missed.what.clone());
            return Err(self.mismatch(format!("command {place} was `{what}`; it is not given any more")));
        }
        match (ready, self.journal.ended == Some(self.round)) {
            (true, true) => {
                // What arrived since then may be the failure of a last message.
                let _ = self.begin(self.last_round());
                Ok(true)
            }
            (false, false) => Ok(false),
            (true, false) => Err(self.mismatch(format!("it went on after command {}; now it ends there", self.given))),
            (false, true) => Err(self.mismatch(format!("it ended after command {}; now it goes on", self.given))),
        }
    }

    fn mismatch(&self, difference: String) -> Error {
        let (kind, started, now) = (self.kind, self.journal.started_with, self.state_version);
        Error::permanent(
            "journal-mismatch",
            format!(
                "the code of the kind {kind} no longer goes the way of this attempt (started with state version \
                 {started}, resumed with {now}): {difference}. Raise state_version with such a change, so that sleeping \
                 attempts keep their build, or take the old way where ctx.started_with() is {started}"
            ),
        )
    }

    /// Gives a command; its place.
    pub(super) fn give(&mut self, op: Op) -> usize {
        let place = self.given;
        self.given += 1;
        if self.broken.is_some() {
            return place;
        }
        let what = journal::what(&op);
        let history = self.round < self.last_round();
        match self.journal.commands.get(place) {
            Some(known) if known.what == what && known.round == self.round => {}
            Some(known) if known.what == what => {
                let text = format!(
                    "command {place} (`{what}`) was given in step {}, now in {}",
                    known.round, self.round
                );
                self.broken = Some(self.mismatch(text));
            }
            Some(known) => {
                let text = format!("command {place} was `{}`, now it is `{what}`", known.what);
                self.broken = Some(self.mismatch(text));
            }
            None if history => {
                self.broken = Some(self.mismatch(format!("command {place} (`{what}`) is new")));
            }
            None if place >= COMMANDS_MAX => {
                self.broken = Some(Error::permanent(
                    "journal-full",
                    format!(
                        "the kind {} has given {COMMANDS_MAX} commands, which is the limit of one attempt: divide \
                         the work over several task runs or flow runs",
                        self.kind
                    ),
                ));
            }
            None => {
                self.fresh.push(Command::new(key(place, &what), op));
                self.journal.commands.push(Given {
                    round: self.round,
                    what,
                });
            }
        }
        place
    }

    /// How many commands were given so far.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    pub(super) fn key_of(&self, place: usize) -> String {
        let what = self.journal.commands.get(place).map(|given| given.what.as_str());
        key(place, what.unwrap_or_default())
    }

    /// A failure of the message `sent` is told to who waits for `ear`.
    pub(super) fn link(&mut self, sent: usize, ear: usize) {
        self.heard_by.insert(sent, ear);
    }

    pub(super) fn outcome(&self, place: usize, taken: usize) -> Option<Outcome> {
        if self.broken.is_some() {
            return None;
        }
        self.outcomes.get(&place)?.get(taken).cloned()
    }

    pub(super) fn wait(&mut self, need: Need, waker: &Waker) {
        self.needs.push(need);
        self.wakers.push(waker.clone());
    }

    pub(super) fn on_stop(&mut self, command: Command) -> u32 {
        let number = self.next_clean_up;
        self.next_clean_up += 1;
        self.clean_up.insert(number, command);
        number
    }

    pub(super) fn forget_on_stop(&mut self, number: u32) {
        self.clean_up.remove(&number);
    }

    /// Withdraws what may still lie in a queue, then what the function asked for.
    pub(super) fn clean_up(&mut self) -> Vec<Command> {
        let sent = self.journal.commands.iter().enumerate();
        let open =
            sent.filter(|(place, given)| given.what.starts_with("enqueue ") && !self.outcomes.contains_key(place));
        let mut commands: Vec<Command> = open
            .map(|(place, given)| Command::cancel(key(place, &given.what)))
            .collect();
        commands.extend(std::mem::take(&mut self.clean_up).into_values());
        commands
    }

    /// A message that was never sent, and nobody who waits for its answer.
    pub(super) fn unheard_failure(&self) -> Option<Error> {
        self.journal.commands.iter().enumerate().find_map(|(place, given)| {
            let sent = given.what.starts_with("enqueue ") || given.what.starts_with("broadcast ");
            let outcomes = self.outcomes.get(&place).filter(|_| sent)?;
            outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Failed(error) => Some(error.clone()),
                _ => None,
            })
        })
    }

    pub(super) fn must_go_out(&self) -> bool {
        let last = self.last_round();
        let fresh = self.journal.commands.iter().filter(|given| given.round == last);
        self.journal.ended.is_none() && fresh.into_iter().any(|given| journal::must_go_out(&given.what))
    }

    /// The function has ended in this round; the next call answers for it.
    pub(super) fn end_here(&mut self) {
        self.journal.ended = Some(self.round);
        let place = self.journal.commands.len();
        self.journal.commands.push(Given {
            // Not of any round that is replayed: the function does not know of it.
            round: self.round + 1,
            what: "timer".to_owned(),
        });
        self.fresh.push(Command::timer_in(key(place, "timer"), Duration::ZERO));
        self.needs = vec![Need::Any(place)];
    }

    pub(super) fn suspend<O>(&mut self, why: Option<&str>) -> Result<Step<O, Journal>, Error> {
        if self.needs.is_empty() {
            return Err(Error::permanent(
                "journal-idle",
                format!(
                    "the kind {} waits for something that is no timer, reply, signal or flow run of ctx, so nothing can \
                     wake it",
                    self.kind
                ),
            ));
        }
        let keys = |places: &[usize]| places.iter().map(|place| self.key_of(*place)).collect();
        let wake = match self.needs.as_slice() {
            [Need::All(places)] => Wake::All(keys(places)),
            several => {
                let mut places: Vec<usize> = several
                    .iter()
                    .flat_map(|need| match need {
                        Need::Any(place) => vec![*place],
                        Need::All(places) => places.clone(),
                    })
                    .collect();
                places.sort_unstable();
                places.dedup();
                Wake::Any(keys(&places))
            }
        };
        let status = self.status.take().or_else(|| Some(format!("waits for {}", why?)));
        let status = status.or_else(|| Some(self.waits_for(&wake)));
        Ok(Step::Suspended(Suspended {
            state: self.journal.clone(),
            commands: std::mem::take(&mut self.fresh),
            wake: Some(wake),
            status,
        }))
    }

    /// For people: `waits for signal approve, timer`.
    fn waits_for(&self, wake: &Wake) -> String {
        const SHOWN: usize = 3;
        let (Wake::Any(keys) | Wake::All(keys)) = wake;
        let mut parts: Vec<String> = keys
            .iter()
            .take(SHOWN)
            .filter_map(|key| {
                let place: usize = key.split('-').next()?.parse().ok()?;
                Some(self.journal.commands.get(place)?.what.clone())
            })
            .collect();
        if keys.len() > SHOWN {
            parts.push(format!("{} more", keys.len() - SHOWN));
        }
        format!("waits for {}", parts.join(", "))
    }
}
