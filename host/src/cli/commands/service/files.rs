//! The pid file and the log file of a host in the background, in its state directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::out;

/// A log that has become larger is put aside as `.1`, in the place of the one before.
const LOG_BYTES_MAX: u64 = 10 << 20;
const LOG_LOOK: Duration = Duration::from_secs(5);
/// Of the log's end, at most.
const TAIL_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) pid: PathBuf,
    pub(crate) log: PathBuf,
}

impl Files {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            pid: dir.join("grepx-host.pid"),
            log: dir.join("grepx-host.log"),
        }
    }

    /// What the pid file says.
    pub(crate) fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid).ok()?.trim().parse().ok()
    }

    /// Written beside it and put in place, so that nobody reads half a number.
    pub(crate) fn note(&self, pid: u32) -> io::Result<()> {
        let new = self.pid.with_extension("pid.new");
        fs::write(&new, format!("{pid}\n"))?;
        fs::rename(new, &self.pid)
    }

    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.pid);
    }

    /// As the process that ends: another one may have written it since.
    pub(crate) fn forget_own(&self) {
        if self.pid() == Some(std::process::id()) {
            self.forget();
        }
    }

    /// The log, to be written on, and its length by now.
    pub(crate) fn open_log(&self) -> io::Result<(File, u64)> {
        if let Some(dir) = self.log.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    /// Lines of the log after `from`, the last `most` of them.
    pub(crate) fn log_tail(&self, from: u64, most: usize) -> Vec<String> {
        let read = || {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            let from = if from > length { 0 } else { from };
            file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[lines.len().saturating_sub(most)..].to_vec()
    }

    pub(super) fn show_log(&self, most: usize) {
        self.show_log_from(0, most);
    }

    pub(super) fn show_log_from(&self, from: u64, most: usize) {
        let lines = self.log_tail(from, most);
        if !lines.is_empty() {
            out::note(format!("last lines of {}:", self.log.display()));
            lines
                .iter()
                .for_each(|line| out::note(format!("  {}", out::plain(line))));
        }
    }
}

/// Keeps the log within twice [`LOG_BYTES_MAX`]. It is copied and cut, because standard error stays
/// open on it; a line that is written in between is lost.
pub(crate) async fn keep_log_small(log: PathBuf) {
    let mut every = tokio::time::interval(LOG_LOOK);
    loop {
        every.tick().await;
        let large = fs::metadata(&log).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
        if large && let Err(error) = put_aside(&log) {
            tracing::warn!(log = %log.display(), %error, "the log is large and cannot be put aside");
        }
    }
}

fn put_aside(log: &Path) -> io::Result<()> {
    let aside = log.with_extension("log.1");
    fs::copy(log, aside)?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

#[cfg(test)]
mod tests;
