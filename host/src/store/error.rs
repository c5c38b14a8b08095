//! Why the store could not do something, in words a person can act on. Cloneable, because one
//! failed group commit is the answer to everybody who was part of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use grepx_engine::FlowRunId;
use rusqlite::ErrorCode;

use super::lock::Holder;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(
        "the state directory {} is in use by {holder}: stop that grepx-host, or choose another state directory (store.dir)",
        .dir.display()
    )]
    Locked { dir: PathBuf, holder: Box<Holder> },
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
    #[error("a restored run store cannot be put in its place")]
    Restore(#[source] Arc<super::BackupError>),
    #[error("cannot bring the run store {} to the current schema: restore a copy of it, or move it away to start empty", .path.display())]
    Migration {
        path: PathBuf,
        #[source]
        source: Arc<refinery::Error>,
    },
    #[error("the disk of the run store is full, nothing of this change was kept: free space and try again")]
    Full {
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the disk of the run store fails, nothing of this change was kept: check that it is there, sound, and mounted so that this user may write"
    )]
    Disk {
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the run store is damaged and is not written any further: stop grepx-host, then `grepx-host restore FILE` with \
         the newest backup, or move it away to start empty; `grepx-host gc --check` lists what is damaged"
    )]
    Corrupt {
        #[source]
        source: Arc<rusqlite::Error>,
    },
    #[error(
        "the run store {} was moved, removed or replaced under the running grepx-host: put it back, or restart \
         grepx-host to work with what is there now",
        .path.display()
    )]
    Gone { path: PathBuf },
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
    #[error("there is a concurrency limit {0:?} already")]
    LimitNameTaken(String),
    #[error("there are {max} concurrency limits, the most that can be: delete those that nobody needs")]
    LimitsFull { max: u64 },
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

    /// What a check has found.
    pub(super) fn damaged(findings: impl Into<String>) -> Self {
        let first: String = findings.into().lines().take(3).collect::<Vec<_>>().join("; ");
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Self::Corrupt {
            source: Arc::new(rusqlite::Error::SqliteFailure(code, Some(first))),
        }
    }

    /// What the disk said when it was tried outside of the database.
    pub(super) fn of_disk(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full {
                source: Arc::new(error),
            },
            _ => Self::Disk {
                source: Arc::new(error),
            },
        }
    }

    /// Not the fault of one change: every other one would fail as well.
    #[must_use]
    pub const fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::Disk { .. } | Self::Gone { .. } | Self::Corrupt { .. } | Self::Busy { .. }
        )
    }

    /// Of errors that concern all: nothing worse is told by the other one.
    pub(super) fn is_as_bad_as(&self, other: &Self) -> bool {
        matches!(self, Self::Corrupt { .. }) || std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        let code = source.sqlite_error_code();
        let source = Arc::new(source);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full { source },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Self::Disk { source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { source },
            _ => Self::Sql { source },
        }
    }
}
