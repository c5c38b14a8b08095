//! Who else on this machine may read what the host writes: nobody. What is made here is made for
//! its owner only; what was wider before is told, not changed, because somebody may want it so.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bits of the group and of everybody.
const OTHERS: u32 = 0o077;
/// Beside the database: SQLite makes them with the permissions of the database.
const SIDES: [&str; 3] = ["", "-wal", "-shm"];

/// The database, so that SQLite finds it made for its owner only.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    made.map(drop)
}

/// What of the state directory, and of these files, others may read, with the modes.
#[must_use]
pub fn too_wide(dir: &Path, files: &[&Path]) -> Vec<(PathBuf, u32)> {
    let database = SIDES.map(|side| dir.join(format!("{}{side}", super::FILE_NAME)));
    let files = files.iter().map(|file| (*file).to_owned());
    let all = [dir.to_owned(), dir.join("lock")]
        .into_iter()
        .chain(database)
        .chain(files);
    all.filter_map(|path| {
        let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o777;
        (mode & OTHERS != 0).then_some((path, mode))
    })
    .collect()
}

#[cfg(test)]
mod tests;
