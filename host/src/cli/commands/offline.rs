//! The run store without a server: for what has to work before one serves. While one does, it has
//! the store to itself and is asked instead.

use tokio::runtime::Runtime;

use crate::app::store_settings;
use crate::cli::arguments::Global;
use crate::cli::client::load_settings;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out;
use crate::clock;
use crate::config::Settings;
use crate::store::{self, AuditEntry, FILE_NAME, Store};

/// HTTP's words, which the audit log uses for commands too.
const DONE: u16 = 200;
const REFUSED: u16 = 409;

pub(super) struct Offline {
    pub(super) store: Store,
    pub(super) runtime: Runtime,
}

impl Offline {
    /// `failure` is why the server was not asked; another one than that none answers stays.
    pub(super) fn instead(global: &Global, failure: Failure) -> Result<Self, Failure> {
        if failure.exit != Exit::Unreachable || global.api_url.is_some() {
            return Err(failure);
        }
        let settings = load_settings(global, Vec::new())?;
        let offline = Self::open(&settings).map_err(|error| match error {
            store::Error::Locked { .. } => Failure::says(
                Exit::Unreachable,
                format!("{error}, or name its address with --api-url: {}", failure.error),
            ),
            error => Failure::broken(error),
        })?;
        out::note(format!(
            "no server answers: this is about the run store in {}",
            settings.store.dir.display()
        ));
        Ok(offline)
    }

    fn open(settings: &Settings) -> Result<Self, store::Error> {
        let opened = Store::open(&store_settings(settings))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            store: opened.store,
            runtime: runtime.map_err(|_| store::Error::Closed)?,
        })
    }

    /// Makes a change, with its record in the audit log.
    pub(super) fn change<T>(
        &self,
        command: &str,
        what: &str,
        change: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, store::Error> {
        let mark = self.store.record(AuditEntry {
            at: clock::now(),
            who: "operator".to_owned(),
            address: None,
            method: "CLI".to_owned(),
            route: command.to_owned(),
            path: what.to_owned(),
        })?;
        let made = self.runtime.block_on(change);
        self.store
            .record_end(mark, if made.is_ok() { DONE } else { REFUSED }, None);
        made
    }
}

/// Notes what a command has changed outside of the store, where there is a store and nobody has it:
/// a host that serves notes by itself what it finds changed.
pub(super) fn note(settings: &Settings, command: &str, what: &str) {
    if !settings.store.dir.join(FILE_NAME).exists() {
        return;
    }
    match Offline::open(settings).and_then(|offline| offline.change(command, what, async { Ok(()) })) {
        Ok(()) | Err(store::Error::Locked { .. }) => {}
        Err(error) => out::note(format!("not written into the audit log: {error}")),
    }
}
