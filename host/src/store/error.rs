//! Why the store could not do something, in words a person can act on. Cloneable, because one
//! failed group commit is the answer to everybody who was part of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use grepx_engine::FlowRunId;
use rusqlite::ErrorCode;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(
        "the state directory {} is in use by process {holder}: stop that grepx-host, or choose another state directory",
        .dir.display()
    )]
    Locked { dir: PathBuf, holder: String },
    #[error("cannot {doing} {}: check that it exists and that this user may write it", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
    #[error(
        "the run store {} has schema {found}, this grepx-host knows schemas up to {known}: run the newer grepx-host",
        .path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("cannot bring the run store {} to the current schema: restore a copy of it, or move it away to start empty", .path.display())]
    Migration {
        path: PathBuf,
        #[source]
        source: Arc<refinery::Error>,
    },
    #[error("the disk of the run store is full, nothing of this change was kept: free space and try again")]
    Full {
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error("the run store is damaged: stop grepx-host, then restore a copy of it or move it away to start empty")]
    Corrupt {
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error("another program keeps the run store locked: close it (a database browser, a backup) and try again")]
    Busy {
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error("the run store refused a statement")]
    Sql {
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error("flow run {run}: fact {seq} does not continue its log, which goes on at {next}: another writer was faster")]
    Fenced { run: FlowRunId, seq: u64, next: u64 },
    #[error("there is no flow run {0}: it was deleted, or the id is wrong")]
    UnknownRun(FlowRunId),
    #[error("flow run {0} exists already")]
    RunExists(FlowRunId),
    #[error("flow run {run} is {state}: only one that has ended can be deleted, cancel it first")]
    NotTerminal { run: FlowRunId, state: String },
    #[error("flow run {0} is planned by a schedule: cancel it, or pause the schedule")]
    Planned(FlowRunId),
    #[error("flow run {run}: {what} cannot be read: it was written by a newer grepx-host, or the run store is damaged")]
    Unreadable {
        run: FlowRunId,
        what: String,
        #[source]
        source: Option<Arc<serde_json::Error>>,
    },
    #[error("there is a key {0:?} already: revoke it first, or choose another name")]
    KeyNameTaken(String),
    #[error("there are {max} keys, the most that can be: revoke those that nobody needs")]
    KeysFull { max: usize },
    #[error("the run store has {limit} changes waiting and takes no more right now: try again")]
    QueueFull { limit: usize },
    #[error("the run store is closed: grepx-host is shutting down, or its writer has died (see the log)")]
    Closed,
}

impl Error {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source: Arc::new(source),
        }
    }

    /// Not the fault of one change: every other one would fail as well.
    pub(super) const fn concerns_all(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Corrupt { .. } | Self::Busy { .. })
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        let code = source.sqlite_error_code();
        let source = Arc::new(source);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full { source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { source },
            _ => Self::Sql { source },
        }
    }
}
