//! Instances of an activity that answer several calls, where the operator allows it.
//!
//! A component of an interpreted language takes longer to start than most of its calls take. What
//! a call leaves in memory is there in the next one, though, so nothing is kept unasked, never
//! across kinds, builds or grants (it hangs on the kind), and never of durable kinds and policies,
//! whose answers have to be the same when they are asked again. Only an instance that has answered
//! is kept: a trap, an overrun limit or a dropped call ends it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Store;

use super::{Call, Turn, Watch};
use crate::plugins::bindings::activity::{ActivityPlugin, ActivityPluginPre};
use crate::plugins::bindings::types;
use crate::plugins::failure::Failure;
use crate::plugins::guest::Guest;
use crate::plugins::meter::Meter;

/// Instances that are kept, over all kinds.
pub(in crate::plugins) const PLACES: u32 = 32;

/// The kept instances of one build of a kind.
pub(in crate::plugins) struct Kept {
    calls_per_instance: u32,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    seat: Seat,
    /// Nothing was asked of it between two looks.
    unused: bool,
    _place: OwnedSemaphorePermit,
}

struct Seat {
    store: Store<Guest>,
    watch: Watch,
    plugin: Option<ActivityPlugin>,
    calls: u32,
}

/// What an activity is asked.
pub(in crate::plugins) struct Question<'a> {
    pub(in crate::plugins) kind: &'a str,
    pub(in crate::plugins) ctx: &'a types::Ctx,
    pub(in crate::plugins) input: &'a types::Json,
}

impl Kept {
    pub(in crate::plugins) fn new(calls_per_instance: u32, places: &Arc<Semaphore>) -> Self {
        Self {
            calls_per_instance,
            places: Arc::clone(places),
            idle: Mutex::default(),
        }
    }

    /// Calls `run`, in an instance that is kept or a new one.
    pub(in crate::plugins) async fn run(
        &self,
        call: Call<'_>,
        pre: &ActivityPluginPre<Guest>,
        question: Question<'_>,
    ) -> Result<Result<types::Json, types::Error>, Failure> {
        let turn = Turn::wait(&call).await?;
        let mut seat = self.take(&turn);
        let meter = Meter::new(call.limits.call_timeout);
        meter.arm(&mut seat.store);
        let (store, plugin) = (&mut seat.store, seat.plugin.take());
        let answering = async {
            let plugin = match plugin {
                Some(plugin) => plugin,
                None => pre.instantiate_async(&mut *store).await?,
            };
            let Question { kind, ctx, input } = question;
            let activity = plugin.grepx_plugin_activity();
            let answer = activity.call_run(&mut *store, kind, ctx, input).await?;
            Ok((answer, plugin))
        };
        let result = meter.run(answering).await;
        let answer = match result {
            Ok((answer, plugin)) => {
                seat.plugin = Some(plugin);
                Ok(answer)
            }
            Err(error) => Err(error),
        };
        let answer = turn.end(answer, &seat.watch)?;
        self.give_back(seat);
        Ok(answer)
    }

    /// Lets instances go that nobody has called since the last time.
    pub(in crate::plugins) fn tidy(&self) {
        self.idle()
            .retain_mut(|idle| !std::mem::replace(&mut idle.unused, true));
    }

    fn take(&self, turn: &Turn<'_>) -> Seat {
        // The one used last has the warmest memory.
        if let Some(Idle { mut seat, .. }) = self.idle().pop() {
            let call = turn.call;
            seat.watch.log.renew(Arc::clone(&call.sink));
            seat.store.data_mut().renew(call.world, call.rights);
            return seat;
        }
        let (store, watch) = turn.store();
        Seat {
            store,
            watch,
            plugin: None,
            calls: 0,
        }
    }

    fn give_back(&self, mut seat: Seat) {
        seat.calls += 1;
        if seat.calls >= self.calls_per_instance {
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        self.idle().push(Idle {
            seat,
            unused: false,
            _place: place,
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
