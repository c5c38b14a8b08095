//! Compiled components on disk.
//!
//! wasmtime runs such a file as native code after a look at its header only, so a file that anyone
//! else could have written would be a way into this process. Each one therefore ends with a
//! keyed BLAKE3 hash over the component's digest, the engine's configuration and the code, under a
//! key that is kept in another place. (BLAKE3 because all of the code is hashed at every start: it
//! takes a third of the time of SHA-256.) A file that does not match, or that others may write, is
//! compiled anew and replaced.
//!
//! Beside the code lies what the component said of itself, under a hash of the same kind: a start
//! calls nothing to know it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::types::Descriptor;
use super::failure::Error;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = blake3::OUT_LEN;
/// Permission bits: writable by the group or by everybody.
const OTHERS_WRITE: u32 = 0o022;
/// More than one machine's plugins over several versions; the oldest go first.
const FILES_MAX: usize = 512;
/// Compiled code is at most a few times its component.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The descriptors of a component that has more are asked for at every start.
const DESCRIPTION_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is kept of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Description,
}

impl Part {
    fn extension(self) -> &'static str {
        match self {
            Self::Code => "cwasm",
            Self::Description => "described",
        }
    }

    /// Begins what is hashed, so that no part passes for the other. What a component says is asked
    /// for again by another version of the host.
    fn context(self) -> &'static [u8] {
        match self {
            Self::Code => b"grepx plugin code 2",
            Self::Description => concat!("grepx plugin description ", env!("CARGO_PKG_VERSION")).as_bytes(),
        }
    }

    fn bytes_max(self) -> u64 {
        match self {
            Self::Code => FILE_BYTES_MAX,
            Self::Description => DESCRIPTION_BYTES_MAX,
        }
    }
}

pub(super) struct Precompiled {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    /// Of the key's file.
    owner: u32,
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
        let owner = fs::metadata(key_file)
            .map_err(at("the key of the plugin cache", key_file))?
            .uid();
        Ok(Self {
            dir: dir.to_owned(),
            key,
            owner,
        })
    }

    /// Known to this host alone.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The component whose file has `digest`, when it was compiled here by the same engine.
    #[allow(unsafe_code, reason = "the only door to native code; see the safety comment")]
    pub(super) fn load(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let (path, _) = self.authentic(Part::Code, engine, digest)?;
        // SAFETY: the file is what `Component::serialize` returned to this host: it is authenticated
        // under a key that only the host's user can read, together with the engine's configuration.
        // It and its folder belong to the key's owner and nobody else may write them, so it is the
        // same file when it is mapped; the host itself replaces such files by renaming only.
        let component = unsafe { Component::deserialize_file(engine, &path) };
        component
            .inspect_err(|error| tracing::warn!(file = %path.display(), error = format!("{error:#}"), "compiled plugin does not load; it is compiled anew"))
            .ok()
    }

    /// What the component answered when it was asked by this version of the host.
    pub(super) fn description(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Vec<Descriptor>> {
        let (_, text) = self.authentic(Part::Description, engine, digest)?;
        serde_json::from_slice(&text).ok()
    }

    /// Where the part is and, of a description, what it says; when nobody else can have written it.
    fn authentic(&self, part: Part, engine: &Engine, digest: &[u8; 32]) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.path(part, engine, digest);
        match self.read(part, engine, digest, &path) {
            Ok(Some(text)) => Some((path, text)),
            Ok(None) => {
                tracing::warn!(file = %path.display(), "this was not written by this host or was altered; it is made anew");
                None
            }
            Err(_) => None,
        }
    }

    /// `None` when somebody else can have written the file, or it does not end with its tag.
    fn read(&self, part: Part, engine: &Engine, digest: &[u8; 32], path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut file = fs::File::open(path)?;
        let (metadata, folder) = (file.metadata()?, fs::metadata(&self.dir)?);
        let only_ours = |data: &fs::Metadata| data.uid() == self.owner && data.mode() & OTHERS_WRITE == 0;
        if !only_ours(&metadata) || !only_ours(&folder) || metadata.len() > part.bytes_max() {
            return Ok(None);
        }
        let Some(length) = metadata.len().checked_sub(TAG_BYTES as u64) else {
            return Ok(None);
        };
        let mut hasher = self.hasher(part, engine, digest);
        let mut content = Read::by_ref(&mut file).take(length);
        let mut text = Vec::new();
        match part {
            // It is mapped, not read.
            Part::Code => drop(hasher.update_reader(&mut content)?),
            Part::Description => {
                content.read_to_end(&mut text)?;
                hasher.update(&text);
            }
        }
        let mut tag = [0; TAG_BYTES];
        file.read_exact(&mut tag)?;
        // Compared in constant time.
        Ok((hasher.finalize() == tag).then_some(text))
    }

    /// Keeps the code of `component`. A failure costs time at the next start, nothing else.
    pub(super) fn save(&self, engine: &Engine, digest: &[u8; 32], component: &Component) {
        let code = component
            .serialize()
            .map_err(|error| io::Error::other(format!("{error:#}")));
        self.keep(Part::Code, engine, digest, code);
    }

    /// Keeps what the component answered, once that was found to be in order.
    pub(super) fn save_description(&self, engine: &Engine, digest: &[u8; 32], found: &[Descriptor]) {
        let text = serde_json::to_vec(found).map_err(io::Error::other);
        self.keep(Part::Description, engine, digest, text);
    }

    fn keep(&self, part: Part, engine: &Engine, digest: &[u8; 32], content: io::Result<Vec<u8>>) {
        let path = self.path(part, engine, digest);
        let kept = content.and_then(|content| {
            let tag = self.hasher(part, engine, digest).update(&content).finalize();
            self.write(&path, &content, tag.as_bytes())
        });
        if let Err(error) = kept {
            tracing::warn!(file = %path.display(), %error, "cannot keep the compiled plugin: the next start takes longer");
        }
        prune(&self.dir);
    }

    fn write(&self, path: &Path, content: &[u8], tag: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(format!("{}.part", Uuid::new_v4()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file.write_all(content).and_then(|()| file.write_all(tag));
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    fn path(&self, part: Part, engine: &Engine, digest: &[u8; 32]) -> PathBuf {
        let name = format!("{}-{:016x}.{}", hex(digest), compatibility(engine), part.extension());
        self.dir.join(name)
    }

    /// For the content that follows. The parts before it have fixed lengths within a context, so
    /// their concatenation has one reading.
    fn hasher(&self, part: Part, engine: &Engine, digest: &[u8; 32]) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(part.context()).update(digest);
        hasher.update(&compatibility(engine).to_be_bytes());
        hasher
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
            let extension = path.extension().unwrap_or_default();
            extension == Part::Code.extension() || extension == Part::Description.extension() || extension == "part"
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in files.drain(files.len().min(FILES_MAX)..) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
