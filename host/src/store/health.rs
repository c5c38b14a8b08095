//! Whether the store takes changes. A disk that is full, a file that somebody has locked, a damaged
//! page concern every change alike: they are told once when they begin and once when they end, and
//! whoever wants to write can ask first.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::Error;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Health {
    trouble: Arc<watch::Sender<Option<Trouble>>>,
    path: PathBuf,
    /// Device and number of the file that was opened.
    file: Option<(u64, u64)>,
}

/// Why nothing can be written now, and since when.
#[derive(Debug, Clone)]
struct Trouble {
    error: Error,
    began: Instant,
}

impl Health {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            trouble: Arc::new(watch::Sender::new(None)),
            path: path.to_owned(),
            file: identity(path),
        }
    }

    /// What is written to a file that has no name any more is lost with the process.
    pub(super) fn still_there(&self) -> Result<(), Error> {
        if identity(&self.path) == self.file {
            return Ok(());
        }
        let path = self.path.clone();
        Err(Error::Gone { path })
    }

    /// Why nothing can be written now.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.borrow().as_ref().map(|trouble| trouble.error.clone())
    }

    /// Resolves as soon as nothing can be written, at once when that is so already.
    pub(super) async fn troubled(&self) -> Error {
        let mut trouble = self.trouble.subscribe();
        let found = trouble.wait_for(Option::is_some).await;
        let error = found
            .ok()
            .and_then(|trouble| trouble.as_ref().map(|one| one.error.clone()));
        error.unwrap_or(Error::Closed)
    }

    /// A damaged store is left alone until somebody has looked at it.
    pub(super) fn damage(&self) -> Option<Error> {
        self.trouble().filter(|error| matches!(error, Error::Corrupt { .. }))
    }

    /// The database's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn begins(&self, error: &Error) {
        let known = self.trouble.send_if_modified(|trouble| match trouble {
            Some(known) if known.error.is_as_bad_as(error) => false,
            Some(known) => {
                known.error = error.clone();
                true
            }
            None => {
                let began = Instant::now();
                *trouble = Some(Trouble {
                    error: error.clone(),
                    began,
                });
                true
            }
        });
        if known {
            tracing::error!(
                store = %self.path.display(),
                error = error as &dyn std::error::Error,
                "the run store takes no changes: what runs is held, nothing new is taken"
            );
        }
    }

    pub(super) fn ends(&self) {
        if self.trouble.borrow().is_none() {
            return;
        }
        let Some(ended) = self.trouble.send_replace(None) else {
            return;
        };
        tracing::info!(
            store = %self.path.display(),
            seconds = ended.began.elapsed().as_secs(),
            "the run store takes changes again: what was held goes on"
        );
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests;
