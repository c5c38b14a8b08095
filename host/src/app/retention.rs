//! Keeps the run store from growing for ever: what ended long ago goes, whenever there is time.

use std::time::Duration;

use crate::config::Retention;
use crate::store::{Cutoffs, Store};

/// How long one go may take before its counts are told.
const TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn watch(store: Store, settings: Retention) {
    let mut every = tokio::time::interval(settings.every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // What concerns the whole store, the store has told.
        while store.trouble().is_none() && remove(&store, &settings).await {}
    }
}

/// True when there is more to do.
async fn remove(store: &Store, settings: &Retention) -> bool {
    let began = std::time::Instant::now();
    // What was begun goes on, and what somebody has deleted goes, in any case.
    let cutoffs = match settings.enabled {
        true => Cutoffs::of(settings, crate::clock::now()),
        false => Cutoffs::default(),
    };
    let removed = match store.remove_ended(cutoffs, settings.rows_per_step, TIME_MAX).await {
        Ok(removed) => removed,
        Err(error) => {
            if !error.concerns_all() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "flow runs that ended long ago are not removed; it is tried again"
                );
            }
            return false;
        }
    };
    if removed.rows == 0 {
        return false;
    }
    tracing::info!(
        flow_runs = removed.flow_runs,
        rows = removed.rows,
        milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "flow runs that ended long ago were removed"
    );
    removed.more
}
