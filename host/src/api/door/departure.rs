//! How long somebody who was let in may stay. A request is over in a moment, but a stream goes on for
//! days: it ends with the key that opened it.

use std::time::Duration;

use super::{Door, Visitor};
use crate::clock;

/// Whether somebody would be let in now.
enum Stay {
    Until(Duration),
    Always,
    No,
}

impl Door {
    /// Resolves when the visitor would not be let in any more.
    pub(in crate::api) fn let_out(&self, visitor: Visitor) -> impl Future<Output = ()> + Send + 'static + use<> {
        let door = self.clone();
        // Before the first look, so that no change falls between.
        let mut changes = self.0.changed.subscribe();
        async move {
            loop {
                let patience = match door.stay(&visitor) {
                    Stay::No => return,
                    Stay::Until(end) => end,
                    Stay::Always => Duration::MAX,
                };
                tokio::select! {
                    () = tokio::time::sleep(patience) => {}
                    changed = changes.changed() => if changed.is_err() {
                        return;
                    },
                }
            }
        }
    }

    fn stay(&self, visitor: &Visitor) -> Stay {
        let Visitor::Key { id, .. } = visitor else {
            let nobody_asks = !matches!(visitor, Visitor::Anyone { .. }) || !self.is_closed();
            return if nobody_asks { Stay::Always } else { Stay::No };
        };
        let (keys, now) = (self.0.keys.load(), clock::now());
        let held = keys.iter().find(|held| held.row.key.id == *id);
        match held.filter(|held| held.row.is_live(now)) {
            None => Stay::No,
            Some(held) => held.row.key.expires_at.map_or(Stay::Always, |end| {
                Stay::Until(Duration::from_millis(end.since_ms(now) + 1))
            }),
        }
    }
}
