//! A subscription event by event. What was taken of the ring stays in its entries until the listener
//! comes for it, so nothing is made of an event that nobody has room for.

use std::sync::Arc;
use std::vec::IntoIter;

use super::ring::Entry;
use super::{Event, Gap, Subscription, Taken};

#[derive(Debug)]
pub struct Reader {
    subscription: Subscription,
    taken: IntoIter<Arc<Entry>>,
    entry: Option<Arc<Entry>>,
    /// Of the last event that was told, or passed over.
    position: u64,
}

/// What comes next.
#[derive(Debug)]
pub enum Told {
    Event(Happened),
    /// Events are gone before they were told.
    Gap(Gap),
}

/// An event, with the entry that it is in.
#[derive(Debug)]
pub struct Happened {
    entry: Arc<Entry>,
    position: u64,
}

impl Happened {
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        self.entry.event_at(self.position).expect("looked at when it was told")
    }
}

impl Reader {
    #[must_use]
    pub fn new(subscription: Subscription) -> Self {
        Self {
            position: subscription.position(),
            subscription,
            taken: Vec::new().into_iter(),
            entry: None,
        }
    }

    /// Of the last event that was told, or passed over.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Waits for what comes next; `None` when the bus is closed. Nothing is lost when it is not waited
    /// for to the end.
    pub async fn next(&mut self) -> Option<Told> {
        self.next_in(|_| true).await
    }

    /// As [`Self::next`], of the entries that are wanted.
    pub async fn next_in(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Told> {
        loop {
            if let Some(happened) = self.at_hand(&wanted) {
                return Some(Told::Event(happened));
            }
            match self.subscription.next().await? {
                Taken::Gap(gap) => {
                    self.position = gap.until;
                    return Some(Told::Gap(gap));
                }
                Taken::Entries { after, entries } => {
                    self.position = after;
                    self.taken = entries.into_iter();
                }
            }
        }
    }

    /// Goes on after this position.
    pub fn go_to(&mut self, position: u64) {
        self.subscription.go_to(position);
        self.position = position;
        self.taken = Vec::new().into_iter();
        self.entry = None;
    }

    fn at_hand(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Happened> {
        loop {
            let entry = match self.entry.take() {
                Some(entry) => entry,
                None => self.taken.next()?,
            };
            let next = self.position.max(entry.before()) + 1;
            let found = match wanted(&entry) {
                true => (next..=entry.last()).find(|position| entry.event_at(*position).is_some()),
                false => None,
            };
            let Some(position) = found else {
                self.position = entry.last();
                continue;
            };
            self.position = position;
            self.entry = Some(Arc::clone(&entry));
            return Some(Happened { entry, position });
        }
    }
}
