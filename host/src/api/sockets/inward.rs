//! `/events/in`: events that clients emit, passed on to whoever listens. Nothing of the host hangs on
//! them: Prefect's engine reports its task runs here, and the host has its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::talk::{Close, Talk};
use crate::api::ApiState;
use crate::api::bus::News;
use crate::api::door::Visitor;
use crate::api::prefect_events::PrefectEvent;

/// Bytes of one event, as JSON.
const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Events that one client may send at once, and how long it takes for each to be forgotten.
const AT_ONCE: u32 = 500;
const EACH: Duration = Duration::from_millis(5);

pub(super) async fn take(state: &ApiState, talk: &mut Talk, visitor: &Visitor) -> Result<(), Close> {
    let mut rate = Rate::new(Instant::now());
    while let Some(event) = talk.receive().await? {
        let bytes = acceptable(&event)?;
        if !rate.allows(Instant::now()) {
            tracing::warn!(who = visitor.who(), "a client sends events too fast; it is sent away");
            return Err(Close::policy(&format!(
                "more than {AT_ONCE} events at once, or {} a second: send fewer",
                1_000 / EACH.as_millis()
            )));
        }
        state.events.tell([News::Client(Arc::new(event), bytes)]);
    }
    Ok(())
}

/// The bytes of an event that is one.
fn acceptable(event: &Value) -> Result<usize, Close> {
    let bytes = event.to_string().len();
    if bytes > EVENT_BYTES_MAX {
        return Err(Close::policy(&format!(
            "an event of {bytes} bytes: {EVENT_BYTES_MAX} are the limit"
        )));
    }
    match PrefectEvent::read(event, crate::clock::now()) {
        Ok(_) => Ok(bytes),
        Err(wrong) => Err(Close::protocol(&wrong)),
    }
}

/// A bucket that drains.
struct Rate {
    full_at: Instant,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let from = self.full_at.max(now);
        if from + EACH > now + EACH * AT_ONCE {
            return false;
        }
        self.full_at = from + EACH;
        true
    }
}

#[cfg(test)]
mod tests;
