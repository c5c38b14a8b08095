//! The open commands of an attempt by their keys. They are two or three, in each of a hundred
//! thousand attempts that wait at the same time: so a sorted list of just their length, and no tree
//! with room for eleven.

use std::sync::Arc;

use crate::agenda::Mark;
use crate::{ChildRun, Timestamp};

/// An open command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wait {
    Timer(Timestamp),
    /// In the outbox; only a failure comes back.
    Send,
    Signal(Box<str>),
    /// Something that the shell has to look after for as long as it is open.
    Watch {
        mark: Mark,
        what: Watched,
    },
}

/// What [`Due::Watch`](crate::Due::Watch) stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// Values under a key of a connection.
    Reply {
        connection: Arc<str>,
        key: Arc<str>,
    },
    Child(Box<ChildRun>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Waits(Vec<(Box<str>, Wait)>);

impl Waits {
    pub(crate) fn get(&self, key: &str) -> Option<&Wait> {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    /// Takes the place of what was open under the key.
    pub(crate) fn insert(&mut self, key: &str, wait: Wait) {
        match self.place(key) {
            Ok(at) => self.0[at].1 = wait,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (key.into(), wait));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Wait> {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// In the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Wait)> {
        self.0.iter().map(|(key, wait)| (&**key, wait))
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(key))
    }
}
