//! Compiled components on disk.
//!
//! wasmtime runs such a file as native code after a look at its header only, so a file that anyone
//! else could have written would be a way into this process. Each one therefore starts with an
//! HMAC-SHA256 over the component's digest, the engine's configuration and the code, under a key
//! that is kept in another place. A file that does not match is compiled anew and replaced. The
//! bytes that were checked are the bytes that are loaded: the file is not mapped.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::failure::Error;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
/// More than one machine's plugins over several versions; the oldest go first.
const FILES_MAX: usize = 256;
/// Compiled code is at most a few times its component.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

pub(super) struct Precompiled {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
}

impl Precompiled {
    pub(super) fn open(dir: &Path, key_file: &Path) -> Result<Self, Error> {
        let at = |what, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Path { what, path, source }
        };
        make_dir(dir).map_err(at("the cache of compiled plugins", dir))?;
        let key = read_key(key_file).map_err(at("the key of the plugin cache", key_file))?;
        let key = match key {
            Some(key) => key,
            None => make_key(key_file).map_err(at("the key of the plugin cache", key_file))?,
        };
        let found = key.len();
        let key = key.try_into().map_err(|_| Error::Key {
            path: key_file.to_owned(),
            found,
            expected: KEY_BYTES,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
        })
    }

    /// Known to this host alone.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The component whose file has `digest`, when it was compiled here by the same engine.
    #[allow(unsafe_code, reason = "the only door to native code; see the safety comment")]
    pub(super) fn load(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let path = self.path(engine, digest);
        let bytes = read_bounded(&path, FILE_BYTES_MAX).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
        if !same(tag, &self.tag(engine, digest, code)) {
            tracing::warn!(file = %path.display(), "compiled plugin was not written by this host or was altered; it is compiled anew");
            return None;
        }
        // SAFETY: `code` is what `Component::serialize` returned to this host: it is authenticated
        // under a key that only the host's user can read, together with the engine's configuration,
        // and it is held in memory since the check.
        let component = unsafe { Component::deserialize(engine, code) };
        component
            .inspect_err(|error| tracing::warn!(file = %path.display(), error = format!("{error:#}"), "compiled plugin does not load; it is compiled anew"))
            .ok()
    }

    /// Keeps the code of `component`. A failure costs time at the next start, nothing else.
    pub(super) fn save(&self, engine: &Engine, digest: &[u8; 32], component: &Component) {
        let path = self.path(engine, digest);
        let saved = component
            .serialize()
            .map_err(|error| io::Error::other(format!("{error:#}")))
            .and_then(|code| self.write(&path, &self.tag(engine, digest, &code), &code));
        if let Err(error) = saved {
            tracing::warn!(file = %path.display(), %error, "cannot keep the compiled plugin: the next start compiles it again");
        }
        prune(&self.dir);
    }

    fn write(&self, path: &Path, tag: &[u8], code: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(format!("{}.part", Uuid::new_v4()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file.write_all(tag).and_then(|()| file.write_all(code));
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    fn path(&self, engine: &Engine, digest: &[u8; 32]) -> PathBuf {
        self.dir
            .join(format!("{}-{:016x}.cwasm", hex(digest), compatibility(engine)))
    }

    fn tag(&self, engine: &Engine, digest: &[u8; 32], code: &[u8]) -> [u8; TAG_BYTES] {
        let compatibility = compatibility(engine).to_be_bytes();
        hmac(&self.key, &[b"grepx plugin code 1", digest, &compatibility, code])
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names the file; another toolchain's hasher costs a recompilation. wasmtime checks for itself.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// RFC 2104 with SHA-256; the key is shorter than a block. All parts but the last have a fixed
/// length, so their concatenation has one reading.
fn hmac(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; TAG_BYTES] {
    let mut block = [0_u8; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36));
    let inner = parts
        .iter()
        .fold(inner, |hash, part| hash.chain_update(part))
        .finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner).finalize().into()
}

/// Takes the same time wherever the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn read_key(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_bounded(path, 1024) {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Written beside and linked into place, so that two hosts that start together use one key.
fn make_key(path: &Path) -> io::Result<Vec<u8>> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    let seed = Sha256::new()
        .chain_update(Uuid::new_v4())
        .chain_update(Uuid::new_v4())
        .chain_update(Uuid::new_v4());
    let key = seed.finalize().to_vec();
    let temporary = path.with_extension(format!("{}.part", Uuid::new_v4()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error),
    }
}

pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Leaves the newest [`FILES_MAX`] files.
fn prune(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| {
            path.extension()
                .is_some_and(|extension| extension == "cwasm" || extension == "part")
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in files.drain(files.len().min(FILES_MAX)..) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
