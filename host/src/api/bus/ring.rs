//! The last events, in the entries in which they were told. An entry goes as a whole, when what is
//! left is still enough or too much memory is taken; the newest one stays in any case.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use grepx_engine::Timestamp;

use super::{Event, Limits, News, What};
use crate::store::{Changed, RunChange};

/// Of an entry, beside its texts; of a row in it.
const ENTRY_BYTES: usize = 256;
const ROW_BYTES: usize = 384;
/// Of events and of bytes, clients have one in so many.
const CLIENTS_SHARE: usize = 4;

#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    limits: Limits,
    /// Of the last event.
    position: u64,
    events: usize,
    bytes: usize,
    clients: Clients,
    /// The position at which the host was started.
    start: u64,
}

/// What clients have sent, oldest first: it has a share of the ring, so that it does not push out
/// what has happened here.
#[derive(Debug, Default)]
struct Clients {
    positions: VecDeque<u64>,
    bytes: usize,
}

/// Events that were told together.
#[derive(Debug)]
pub struct Entry {
    /// Position of the event before its first.
    after: u64,
    count: usize,
    bytes: usize,
    told_at: Timestamp,
    news: News,
}

impl Ring {
    pub(super) const fn new(limits: Limits, start: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            limits,
            position: start,
            events: 0,
            bytes: 0,
            clients: Clients {
                positions: VecDeque::new(),
                bytes: 0,
            },
            start,
        }
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    pub(super) const fn kept(&self) -> Limits {
        Limits {
            events: self.events,
            bytes: self.bytes,
        }
    }

    /// The position before the first event that is kept.
    pub(super) fn before_first(&self) -> u64 {
        self.entries.front().map_or(self.position, |first| first.after)
    }

    pub(super) fn push(&mut self, news: News, told_at: Timestamp) {
        let entry = Entry {
            after: self.position,
            count: count(&news),
            bytes: bytes(&news),
            told_at,
            news,
        };
        if entry.count == 0 {
            return;
        }
        self.position += entry.count as u64;
        self.events += entry.count;
        self.bytes += entry.bytes;
        if entry.is_of_client() {
            self.clients.positions.push_back(entry.last());
            self.clients.bytes += entry.bytes;
        }
        self.entries.push_back(Arc::new(entry));
        self.bound_clients();
        while let Some(first) = self.entries.front()
            && self.entries.len() > 1
            && (self.events - first.count >= self.limits.events || self.bytes > self.limits.bytes)
        {
            self.remove(0);
        }
    }

    /// Leaves holes, which are told as gaps.
    fn bound_clients(&mut self) {
        let most = Limits {
            events: self.limits.events / CLIENTS_SHARE,
            bytes: self.limits.bytes / CLIENTS_SHARE,
        };
        while self.clients.positions.len() > 1
            && (self.clients.positions.len() > most.events || self.clients.bytes > most.bytes)
        {
            let oldest = self.clients.positions.front().copied().unwrap_or_default();
            self.remove(self.entries.partition_point(|entry| entry.last() < oldest));
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(gone) = self.entries.remove(place) else {
            return;
        };
        self.events -= gone.count;
        self.bytes -= gone.bytes;
        if gone.is_of_client() {
            // The oldest: whatever goes, goes from the front of its kind.
            self.clients.positions.pop_front();
            self.clients.bytes -= gone.bytes;
        }
    }

    /// The entries with events after a position, so many at most, without a hole between them.
    pub(super) fn after(&self, position: u64, most: usize) -> Vec<Arc<Entry>> {
        let from = self.entries.partition_point(|entry| entry.last() <= position);
        let mut last = None;
        let joined = |entry: &&Arc<Entry>| last.replace(entry.last()).is_none_or(|last| last == entry.after);
        self.entries
            .range(from..)
            .take(most)
            .take_while(joined)
            .cloned()
            .collect()
    }
}

impl Entry {
    /// Position of the event before its first.
    pub(super) const fn before(&self) -> u64 {
        self.after
    }

    /// Position of its last event.
    pub(super) const fn last(&self) -> u64 {
        self.after + self.count as u64
    }

    const fn is_of_client(&self) -> bool {
        matches!(self.news, News::Client(..))
    }

    /// What has happened.
    #[must_use]
    pub const fn news(&self) -> &News {
        &self.news
    }

    /// Its events after a position.
    pub fn events_after(&self, position: u64) -> impl Iterator<Item = Event<'_>> {
        let skipped = usize::try_from(position.saturating_sub(self.after)).unwrap_or(usize::MAX);
        (skipped..self.count).filter_map(move |place| self.event(place))
    }

    /// The event of this position, which is one of its own.
    pub(super) fn event_at(&self, position: u64) -> Option<Event<'_>> {
        let place = position.checked_sub(self.after + 1)?;
        self.event(usize::try_from(place).ok()?)
    }

    fn event(&self, place: usize) -> Option<Event<'_>> {
        Some(Event {
            position: self.after + place as u64 + 1,
            told_at: self.told_at,
            what: self.what(place)?,
        })
    }

    fn what(&self, place: usize) -> Option<What<'_>> {
        Some(match &self.news {
            News::Stored(Changed::Run(change)) => return of_run(change, place),
            News::Stored(Changed::Planned(identity)) => What::Planned(identity),
            News::Stored(Changed::Removed(run)) => What::Removed(*run),
            News::Stored(Changed::DeploymentSwitch {
                deployment,
                schedule,
                active,
            }) => What::DeploymentSwitch {
                deployment: *deployment,
                schedule: *schedule,
                active: *active,
            },
            News::Stored(Changed::PoolSwitch { pool, queue, switch }) => What::PoolSwitch {
                pool,
                queue: queue.as_deref(),
                switch: *switch,
            },
            News::Plugin(plugin) => What::Plugin(plugin),
            News::Definitions(definitions) => What::Definitions(*definitions),
            News::Client(event, _) => What::Client(event),
        })
    }
}

/// A flow run comes before its task runs and its lines, but its end comes after them.
fn of_run(change: &RunChange, place: usize) -> Option<What<'_>> {
    let state = change.state.as_ref();
    let ends = change
        .rows
        .state
        .as_ref()
        .is_some_and(|state| state.state.state_type.is_terminal());
    let (before, tasks, lines) = (usize::from(state.is_some() && !ends), change.tasks.len(), change.lines);
    let tasks: Range<usize> = before..before + tasks;
    let lines = tasks.end..tasks.end + lines;
    if tasks.contains(&place) {
        let (row, step) = change.tasks.get(place - tasks.start)?;
        let row = change.rows.tasks.get(usize::try_from(*row).ok()?)?;
        return Some(What::TaskRun(change, row, step));
    }
    if lines.contains(&place) {
        let (n, row) = change.line(place - lines.start)?;
        return Some(What::Log(change, n, row));
    }
    Some(What::FlowRun(change, state?))
}

fn count(news: &News) -> usize {
    match news {
        News::Stored(Changed::Run(change)) => usize::from(change.state.is_some()) + change.tasks.len() + change.lines,
        _ => 1,
    }
}

/// About the memory that an entry takes.
fn bytes(news: &News) -> usize {
    let News::Stored(Changed::Run(change)) = news else {
        return match news {
            News::Client(_, bytes) => ENTRY_BYTES + 2 * bytes,
            _ => 2 * ENTRY_BYTES,
        };
    };
    let rows = &change.rows;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let lines: usize = rows.logs.iter().map(|line| line.message.len() + ROW_BYTES / 4).sum();
    let tasks = rows.tasks.iter().map(|row| {
        let texts = [&row.state.message, &row.status, &row.reason];
        ROW_BYTES + texts.into_iter().map(text).sum::<usize>()
    });
    let message = rows.state.as_ref().map_or(0, |state| text(&state.state.message));
    ENTRY_BYTES + lines + tasks.sum::<usize>() + message
}
