//! Signals: the first one asks to stop, the second one stops at once.

#![allow(clippy::disallowed_methods, reason = "a second signal ends the program")]

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a program that a second signal ended, as shells have it for SIGINT.
const INTERRUPTED: i32 = 130;

#[derive(Debug, Clone)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// # Errors
    /// When the system does not let signals be handled.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
        let token = CancellationToken::new();
        let asked = token.clone();
        crate::task::spawn("signals", async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if asked.is_cancelled() {
                    tracing::warn!("second signal: stopping at once; the next start picks up what is left");
                    std::process::exit(INTERRUPTED);
                }
                asked.cancel();
            }
        });
        Ok(Self(token))
    }

    /// Resolves when the first signal has come.
    pub(crate) fn asked(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().cancelled_owned()
    }
}
