//! Whether a connection is up: both of its links are. One log line and one notice per change.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::broker::delivery::Deliveries;
use crate::broker::{Notice, lock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Broker = 0,
    Backend = 1,
}

#[derive(Debug, Clone)]
enum State {
    /// Not tried to the end yet.
    Unknown,
    Up,
    Down(String),
}

struct Inner {
    sides: [State; 2],
    /// What was last announced.
    up: Option<bool>,
    since: SystemTime,
    server: Option<String>,
}

pub(crate) struct Health {
    name: String,
    deliveries: Arc<Deliveries>,
    inner: Mutex<Inner>,
}

pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) since: SystemTime,
    pub(crate) reason: Option<String>,
    pub(crate) server: Option<String>,
}

impl Health {
    pub(crate) fn new(name: &str, deliveries: Arc<Deliveries>) -> Self {
        Self {
            name: name.to_owned(),
            deliveries,
            inner: Mutex::new(Inner {
                sides: [State::Unknown, State::Unknown],
                up: None,
                since: crate::clock::system(),
                server: None,
            }),
        }
    }

    pub(crate) async fn up(&self, side: Side, server: Option<String>) {
        let became_up = {
            let mut inner = lock(&self.inner);
            inner.sides[side as usize] = State::Up;
            if side == Side::Broker {
                inner.server = server;
            }
            let all = inner.sides.iter().all(|side| matches!(side, State::Up));
            all && inner.announce(true)
        };
        if became_up {
            let connection = self.name.clone();
            // Without a listener the host is closing.
            let _ = self.deliveries.notify(Notice::Up { connection }).await;
        }
    }

    pub(crate) async fn down(&self, side: Side, reason: &str) {
        let became_down = {
            let mut inner = lock(&self.inner);
            inner.sides[side as usize] = State::Down(reason.to_owned());
            inner.announce(false)
        };
        if became_down {
            let connection = self.name.clone();
            let reason = reason.to_owned();
            // Without a listener the host is closing.
            let _ = self.deliveries.notify(Notice::Down { connection, reason }).await;
        }
    }

    /// Why `side` is down, for whoever finds no connection.
    pub(crate) fn reason(&self, side: Side) -> String {
        match &lock(&self.inner).sides[side as usize] {
            State::Down(reason) => reason.clone(),
            State::Unknown | State::Up => "not connected yet".into(),
        }
    }

    /// Whether it was tried, and failed.
    pub(crate) fn is_down(&self, side: Side) -> bool {
        matches!(lock(&self.inner).sides[side as usize], State::Down(_))
    }

    pub(crate) fn report(&self) -> Report {
        let inner = lock(&self.inner);
        let reason = inner.sides.iter().find_map(|side| match side {
            State::Down(reason) => Some(reason.clone()),
            State::Unknown | State::Up => None,
        });
        let up = inner.up == Some(true);
        Report {
            up,
            since: inner.since,
            reason: reason.or_else(|| (!up).then(|| "not connected yet".into())),
            server: inner.server.clone(),
        }
    }
}

impl Inner {
    /// True when that is a change.
    fn announce(&mut self, up: bool) -> bool {
        if self.up == Some(up) {
            return false;
        }
        self.up = Some(up);
        self.since = crate::clock::system();
        true
    }
}
