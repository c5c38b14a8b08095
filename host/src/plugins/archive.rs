//! Every build that serves, that served before, or that a suspended attempt needs, by its SHA-256;
//! and an index of which file held which build, so that a restart finds what was.
//!
//! What is read back has to have the digest that it is named by. Nothing here is executed from
//! disk: a build is verified like any file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::failure::Error;
use super::precompiled::{hex, read_bounded};
use super::registry::Registry;

/// Builds of a kind that are remembered; the one that serves counts.
const HISTORY: usize = 5;
/// Of those, how many are kept when nothing else needs them: the present one and the one before.
const KEPT: usize = 2;
const INDEX_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) struct Archive {
    dir: PathBuf,
    index: Mutex<Index>,
    /// Builds that nothing needed at the last look; needed by nothing again, they go.
    unneeded: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Index {
    /// File → the build that it last held and that was good.
    files: BTreeMap<String, File>,
    /// Kind → digests that served it, oldest first.
    history: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct File {
    digest: String,
    /// How it looked when the digest was taken.
    print: String,
}

impl Archive {
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| Error::Path {
            what: "the archive of plugin builds",
            path: dir.to_owned(),
            source,
        })?;
        let index = match read_bounded(&dir.join("index.json"), INDEX_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(dir = %dir.display(), %error, "the index of plugin builds is unreadable; it is written anew");
                Index::default()
            }),
            Err(_) => Index::default(),
        };
        Ok(Self {
            dir: dir.to_owned(),
            index: Mutex::new(index),
            unneeded: Mutex::default(),
        })
    }

    pub(super) fn keep(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        if path.is_file() {
            return Ok(());
        }
        write_atomically(&path, bytes, true)
    }

    /// # Errors
    /// When it is not there, too large, or not what its name says.
    pub(super) fn read(&self, digest: &str, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = read_bounded(&self.path(digest), limit as u64)?;
        if hex(&Sha256::digest(&bytes)) == digest {
            return Ok(bytes);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not what its name says",
        ))
    }

    /// Takes down what serves now. Of files that `stays` says no to, nothing is remembered.
    pub(super) fn note(&self, registry: &Registry, prints: &HashMap<PathBuf, String>, stays: impl Fn(&Path) -> bool) {
        let mut index = self.index();
        let before = index.clone();
        index.files.retain(|path, _| stays(Path::new(path)));
        for file in registry.files() {
            let path = file.path.to_string_lossy().into_owned();
            // A file that was refused looks as it does now, and holds another build.
            let good = registry.refusal(&file.path).is_none();
            let print = prints.get(&file.path).filter(|_| good).cloned();
            let print = print.unwrap_or_default();
            let digest = file.digest.to_string();
            index.files.insert(path, File { digest, print });
        }
        for kind in registry.iter() {
            let digest = &*kind.info.file.digest;
            let history = index.history.entry(kind.info.kind.clone()).or_default();
            if history.last().is_none_or(|last| last != digest) {
                history.push(digest.to_owned());
                let over = history.len().saturating_sub(HISTORY);
                history.drain(..over);
            }
        }
        if *index == before {
            return;
        }
        let text = serde_json::to_vec_pretty(&*index);
        drop(index);
        let written = text
            .map_err(io::Error::other)
            .and_then(|text| write_atomically(&self.dir.join("index.json"), &text, false));
        if let Err(error) = written {
            tracing::warn!(dir = %self.dir.display(), %error, "the index of plugin builds cannot be written: a restart will not know the builds of before");
        }
    }

    /// The build that the file held when it was last good.
    pub(super) fn last_good(&self, path: &Path) -> Option<Arc<str>> {
        let index = self.index();
        let file = index.files.get(&*path.to_string_lossy())?;
        Some(file.digest.as_str().into())
    }

    /// The digest of the file, when it looks as it did when that was taken, and its build is here.
    pub(super) fn digest_of(&self, path: &Path, print: &str) -> Option<[u8; 32]> {
        let index = self.index();
        let file = index
            .files
            .get(&*path.to_string_lossy())
            .filter(|file| file.print == print)?;
        let here = self.path(&file.digest).is_file();
        unhex(&file.digest).filter(|_| here)
    }

    /// The build that served the kind before `now`.
    pub(super) fn previous(&self, kind: &str, now: Option<&str>) -> Option<Arc<str>> {
        let index = self.index();
        let history = index.history.get(kind)?;
        let found = history.iter().rev().find(|digest| Some(digest.as_str()) != now)?;
        Some(found.as_str().into())
    }

    /// Whether the kind was ever served here.
    pub(super) fn knows(&self, kind: &str) -> bool {
        self.index().history.contains_key(kind)
    }

    /// Removes what was not needed at this look and the one before; how many.
    pub(super) fn collect(&self, needed: &HashSet<Arc<str>>) -> usize {
        let kept: HashSet<String> = {
            let index = self.index();
            let recent = index
                .history
                .values()
                .flat_map(|history| history.iter().rev().take(KEPT));
            index
                .files
                .values()
                .map(|file| &file.digest)
                .chain(recent)
                .cloned()
                .collect()
        };
        let Ok(entries) = fs::read_dir(&self.dir) else { return 0 };
        let mut unneeded = self.unneeded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *unneeded);
        let mut removed = 0;
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let digest = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_build = path.extension().is_some_and(|extension| extension == "wasm");
            if !is_build || kept.contains(&digest) || needed.contains(digest.as_str()) {
                continue;
            }
            if before.contains(&digest) {
                removed += usize::from(fs::remove_file(&path).is_ok());
            } else {
                unneeded.insert(digest);
            }
        }
        removed
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes().chunks_exact(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Whole or not at all: written beside, then renamed. What is not `durable` may be damaged after a
/// power cut, which its digest or its parser notices.
pub(super) fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.part", Uuid::new_v4()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&temporary)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| if durable { file.sync_all() } else { Ok(()) })
        .and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests;
