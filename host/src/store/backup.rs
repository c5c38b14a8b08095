//! Copies of the run store, and how one takes its place.
//!
//! A copy is one snapshot, read over a connection of its own while the host goes on: nobody waits
//! for it, and only the write-ahead log grows meanwhile. Restoring is one rename: what is to come
//! stands complete on the disk before what is there moves aside, and a start finishes what a crash
//! has interrupted.

#![allow(
    clippy::disallowed_methods,
    reason = "copies are databases beside the one that the store opens"
)]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grepx_engine::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::failpoint::{self, Point};

use super::check::{self, Depth, Found};
use super::{Error, FILE_NAME, lock, open};

/// Pages that are copied in one go, and the pause after them: what else the disk has to do goes on.
const PAGES_AT_ONCE: i32 = 256;
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("{} exists already: name another file, or overwrite it with --force", .path.display())]
    Exists { path: PathBuf },
    #[error("there is no run store in {}: check store.dir", .dir.display())]
    NoStore { dir: PathBuf },
    #[error("{} is the run store itself: name another file", .path.display())]
    Same { path: PathBuf },
    #[error("{} cannot be restored: {why}", .path.display())]
    Unfit { path: PathBuf, why: String },
    #[error("the copy {} is damaged ({why}): the run store may be, too, see `grepx-host gc --check`", .path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("cannot {doing} {}", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A copy that was made, or put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    pub flow_runs: u64,
    /// Where the store is that was there before.
    pub before: Option<PathBuf>,
}

/// Copies the store of a state directory into a new file, whether a host works on it or not.
///
/// # Errors
/// When there is no store, the file exists (and may not be overwritten), or the disk refuses.
pub fn backup(dir: &Path, to: &Path, overwrite: bool) -> Result<Copied, BackupError> {
    let from = dir.join(FILE_NAME);
    if !from.exists() {
        return Err(BackupError::NoStore { dir: dir.to_owned() });
    }
    if to.exists() {
        if same(&from, to) {
            return Err(BackupError::Same { path: to.to_owned() });
        }
        if !overwrite {
            return Err(BackupError::Exists { path: to.to_owned() });
        }
    }
    let source = open::reader(&from)?;
    let part = beside(to, ".part");
    let copied = copy(&source, &part);
    match copied {
        Ok(copied) => {
            failpoint::reach(Point::BackupCopied);
            put_in_place(&part, to)?;
            failpoint::reach(Point::BackupPlaced);
            Ok(copied)
        }
        Err(error) => {
            remove(&part)?;
            Err(error)
        }
    }
}

/// Puts a copy in the place of the store; what was there stays beside it.
///
/// # Errors
/// When a host works on the directory, or the file is damaged, newer, or no run store.
pub fn restore(dir: &Path, from: &Path, at: Timestamp) -> Result<Copied, BackupError> {
    let path = || from.to_owned();
    if !from.is_file() {
        let why = "there is no such file".to_owned();
        return Err(BackupError::Unfit { path: path(), why });
    }
    let _lock = lock::take(dir, None, at)?;
    finish(dir, at)?;
    let store = dir.join(FILE_NAME);
    if store.exists() && same(&store, from) {
        return Err(BackupError::Same { path: path() });
    }
    let mut source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(Error::from)?;
    match check::check(&mut source, Depth::Full, None)? {
        Found::Sound | Found::SoundSoFar => {}
        Found::Damage(why) => {
            return Err(BackupError::Unfit {
                path: path(),
                why: first_lines(&why),
            });
        }
    }
    if open::schema_that_we_know(&source, from)? == 0 {
        let why = "it is no run store of grepx-host".to_owned();
        return Err(BackupError::Unfit { path: path(), why });
    }
    let part = dir.join(format!("{FILE_NAME}.part"));
    let copied = copy(&source, &part).inspect_err(|_| drop(remove(&part)))?;
    failpoint::reach(Point::RestoreCopied);
    put_in_place(&part, &restoring(dir))?;
    failpoint::reach(Point::RestoreReady);
    let before = finish(dir, at)?;
    Ok(Copied { before, ..copied })
}

/// Goes on with a restoring that was interrupted. Where the store is that was there before.
pub(super) fn finish(dir: &Path, at: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    let (store, complete) = (dir.join(FILE_NAME), restoring(dir));
    if !complete.exists() {
        return Ok(None);
    }
    let stamp = crate::clock::to_chrono(at).format("%Y%m%dT%H%M%S%3fZ");
    let before = dir.join(format!("{FILE_NAME}.before-{stamp}"));
    let there = store.exists();
    if there {
        // Linked and not moved: until the rename there always is a store.
        for end in ["", "-wal"] {
            keep(&beside(&store, end), &beside(&before, end))?;
        }
    }
    failpoint::reach(Point::RestoreKept);
    for end in ["-wal", "-shm"] {
        remove(&beside(&store, end))?;
    }
    failpoint::reach(Point::RestoreCleared);
    put_in_place(&complete, &store)?;
    failpoint::reach(Point::RestorePlaced);
    Ok(there.then_some(before))
}

/// One snapshot of `source` as a single file, checked and on the disk.
fn copy(source: &Connection, to: &Path) -> Result<Copied, BackupError> {
    remove(to)?;
    let mut target = Connection::open(to).map_err(Error::from)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600)).map_err(failed("protect", to))?;
    // Synchronised once, at the end; half a copy is thrown away.
    let fast = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
    target.execute_batch(fast).map_err(Error::from)?;
    // Held open, so that writers in between do not start it anew.
    let snapshot = source.unchecked_transaction().map_err(Error::from)?;
    snapshot
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(Error::from)?;
    copy_pages(&snapshot, &mut target)?;
    drop(snapshot);
    // As one file that can be read anywhere; the host takes up its log again.
    target
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .map_err(Error::from)?;
    if let Found::Damage(why) = check::check(&mut target, Depth::Quick, None)? {
        let why = first_lines(&why);
        return Err(BackupError::Damaged {
            path: to.to_owned(),
            why,
        });
    }
    let flow_runs: i64 = target
        .query_row("SELECT count(*) FROM flow_runs WHERE planned = 0", [], |row| row.get(0))
        .or_else(|_| target.query_row("SELECT count(*) FROM flow_runs", [], |row| row.get(0)))
        .map_err(Error::from)?;
    drop(target);
    let file = File::open(to).map_err(failed("read", to))?;
    file.sync_all().map_err(failed("synchronise", to))?;
    let bytes = file.metadata().map_err(failed("read", to))?.len();
    Ok(Copied {
        bytes,
        flow_runs: u64::try_from(flow_runs).unwrap_or(0),
        before: None,
    })
}

fn copy_pages(source: &Connection, target: &mut Connection) -> Result<(), Error> {
    let copying = Backup::new(source, target)?;
    loop {
        match copying.step(PAGES_AT_ONCE)? {
            StepResult::Done => return Ok(()),
            _ => {
                failpoint::reach(Point::BackupCopying);
                std::thread::park_timeout(PAUSE);
            }
        }
    }
}

/// The rename, durable.
fn put_in_place(from: &Path, to: &Path) -> Result<(), BackupError> {
    std::fs::rename(from, to).map_err(failed("put in place", to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let folder = File::open(parent).map_err(failed("open", parent))?;
    folder.sync_all().map_err(failed("synchronise", parent))
}

fn keep(from: &Path, to: &Path) -> Result<(), BackupError> {
    if !from.exists() {
        return Ok(());
    }
    std::fs::hard_link(from, to)
        .or_else(|_| std::fs::copy(from, to).map(drop))
        .map_err(failed("keep", from))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn restoring(dir: &Path) -> PathBuf {
    dir.join(format!("{FILE_NAME}.restoring"))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some() && real(one) == real(other)
}

fn first_lines(findings: &str) -> String {
    findings.lines().take(3).collect::<Vec<_>>().join("; ")
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { doing, path, source }
}

#[cfg(test)]
mod tests;
