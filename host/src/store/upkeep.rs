//! What commands do to a state directory without a host's store: who has it, is it sound, make it
//! small.

use std::path::Path;
use std::time::Duration;

use crate::failpoint::{self, Point};

use super::check::{self, Depth, Found};
use super::{Error, FILE_NAME, Holder, Settings, lock, open, tallies};

/// Who works on a state directory now.
#[must_use]
pub fn holder(dir: &Path) -> Option<Holder> {
    lock::held(dir)
}

/// Reads the whole file for damage, whether a host works on it or not.
///
/// # Errors
/// When it cannot be read.
pub fn check(dir: &Path) -> Result<Found, Error> {
    check::check(&mut open::reader(&dir.join(FILE_NAME))?, Depth::Full, None)
}

/// Where lists and counts say another number of runs than there are. A host may work on it.
///
/// # Errors
/// When it cannot be read.
pub fn miscounted(dir: &Path) -> Result<Vec<String>, Error> {
    let mut reader = open::reader(&dir.join(FILE_NAME))?;
    let transaction = reader.transaction()?;
    tallies::differences(&transaction)
}

/// As [`check`], every page and row within `limit`; what was read until then is the answer.
///
/// # Errors
/// When it cannot be read.
pub fn check_within(dir: &Path, limit: Duration) -> Result<Found, Error> {
    check::check(&mut open::reader(&dir.join(FILE_NAME))?, Depth::Quick, Some(limit))
}

/// Writes the file anew, without what is free in it. Meanwhile it needs the room of two more: one
/// where the system keeps temporary files (`SQLITE_TMPDIR` says another place), one in the log beside
/// the file.
///
/// # Errors
/// When a host works on the directory, or the disk refuses.
pub fn vacuum(settings: &Settings) -> Result<(), Error> {
    let _lock = lock::take(&settings.dir, None, settings.since)?;
    let connection = open::writer(&settings.dir.join(FILE_NAME), settings.durability)?;
    // Files of older hosts keep a map of their pages, which most commits have to write.
    connection.execute_batch("PRAGMA temp_store = FILE; PRAGMA auto_vacuum = NONE; VACUUM")?;
    failpoint::reach(Point::Vacuumed);
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
