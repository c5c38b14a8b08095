//! How a file comes to serve, stops to serve, and how the build of before comes back.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::archive::write_atomically;
use super::failure::Problem;
use super::precompiled::{hex, read_bounded};
use super::registry::{Provider, Refused, Registry};
use super::types::FileInfo;
use super::verify::{Source, verify};
use super::{Plugins, Retired};

/// Looks at a file that was written here, before it counts as changing all the time.
const WRITTEN_LOOKS: usize = 4;

/// How a file looks from outside; another print is another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) modified: SystemTime,
    pub(super) size: u64,
    /// Device and number: a rename brings another file of the same time and size.
    place: (u64, u64),
    /// When anything about it was changed last, which nobody can set back.
    changed: (i64, i64),
}

impl Print {
    /// Follows symbolic links: what counts is what would be read.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let data = std::fs::metadata(path)?;
        if !data.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
        }
        Ok(Self {
            modified: data.modified()?,
            size: data.len(),
            place: (data.dev(), data.ino()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// The same for the same print, over restarts.
    pub(super) fn text(&self) -> String {
        let modified = self.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ((device, number), (seconds, nanoseconds)) = (self.place, self.changed);
        format!(
            "{}-{}-{device}-{number}-{seconds}-{nanoseconds}",
            modified.as_nanos(),
            self.size
        )
    }
}

impl Plugins {
    /// Verifies the file and then serves its kinds, in place of those that the same path had.
    ///
    /// # Errors
    /// When the file does not load; what was loaded before stays, and the reason is kept beside it.
    pub async fn install(&self, path: &Path) -> Result<FileInfo, Problem> {
        let taken = self.try_install(path).await?;
        taken.ok_or_else(|| Problem::new(path, "has changed again", "its newest content is looked at next"))
    }

    /// `None` when a later look at the file has overtaken this one.
    async fn try_install(&self, path: &Path) -> Result<Option<FileInfo>, Problem> {
        let ticket = self.take(path);
        let read = {
            let (path, limit) = (path.to_owned(), self.0.settings.file_bytes);
            tokio::task::spawn_blocking(move || read(&path, limit)).await
        };
        let (print, read) = read.unwrap_or_else(|e| {
            let reason = format!("cannot be read: {e}");
            (None, Err(Problem::new(path, reason, "try again")))
        });
        if let Some(print) = print {
            self.taken(path, print);
        }
        let verified = match read {
            Ok(source) => {
                if let Some(file) = self.same(&source).await {
                    return Ok(Some(file));
                }
                self.verified(source).await
            }
            Err(problem) => Err(problem),
        };
        self.take_over(path, ticket, verified).await
    }

    /// As [`Self::install`] at the start: a file that looks exactly as when its digest was taken,
    /// and whose compiled code is there, is not read again.
    pub(super) async fn install_known(&self, path: &Path) -> Result<FileInfo, Problem> {
        let known = Print::of(path)
            .ok()
            .and_then(|print| Some((print, self.0.archive.digest_of(path, &print.text())?)));
        let Some((print, digest)) = known else {
            return self.install(path).await;
        };
        let ticket = self.take(path);
        self.taken(path, print);
        match self.verified(Source::known(path, digest, print)).await {
            Ok(verified) => match self.take_over(path, ticket, Ok(verified)).await? {
                Some(file) => Ok(file),
                None => self.install(path).await,
            },
            Err(_) => self.install(path).await,
        }
    }

    /// Verifies a component and only then writes it into the directory, as `name`, or as the file
    /// that serves its first kind, or as `<kind>.wasm`.
    ///
    /// # Errors
    /// When it does not load or cannot be written; nothing has changed then.
    pub async fn install_bytes(&self, bytes: Vec<u8>, name: Option<&str>) -> Result<FileInfo, Problem> {
        let shown = PathBuf::from(name.unwrap_or("the component"));
        if bytes.len() > self.0.settings.file_bytes {
            return Err(too_large(&shown, self.0.settings.file_bytes));
        }
        if let Some(name) = name.filter(|name| !is_file_name(name)) {
            return Err(Problem::new(
                name,
                "is no name for a plugin file",
                "use letters, digits and `._-`, with .wasm at the end",
            ));
        }
        let source = Source::new(&shown, bytes, crate::clock::system());
        let (provider, source) = self.verified(source).await?;
        let path = match (name, provider.kinds.first()) {
            (Some(name), _) => self.0.settings.dir.join(name),
            (None, Some(kind)) => {
                let kind = &kind.info.kind;
                let registry = self.kinds();
                let served = registry.get(kind).map(|info| info.file.path.clone());
                served.unwrap_or_else(|| self.0.settings.dir.join(format!("{}.wasm", kind.replace(':', "_"))))
            }
            (None, None) => {
                return Err(Problem::new(
                    shown,
                    "describes no kind",
                    "report it to the plugin's author",
                ));
            }
        };
        self.write(&path, source.bytes.unwrap_or_default()).await?;
        self.install_written(&path).await
    }

    /// A file that was just written here. The watcher may come across it at the same time: whoever
    /// looks last takes it over, so it is looked at until that was this call.
    async fn install_written(&self, path: &Path) -> Result<FileInfo, Problem> {
        for _ in 0..WRITTEN_LOOKS {
            if let Some(file) = self.try_install(path).await? {
                return Ok(file);
            }
        }
        self.install(path).await
    }

    /// Lets the build serve again that served `kind` before the present one: it takes the place of
    /// the file. Done twice, the present one is back.
    ///
    /// # Errors
    /// When there is none, or it does not load any more.
    pub async fn roll_back(&self, kind: &str) -> Result<FileInfo, Problem> {
        let registry = self.kinds();
        let served = registry.get(kind).map(|info| &info.file);
        let path = served.map_or_else(
            || self.0.settings.dir.join(format!("{}.wasm", kind.replace(':', "_"))),
            |file| file.path.clone(),
        );
        let Some(digest) = self.0.archive.previous(kind, served.map(|file| &*file.digest)) else {
            return Err(Problem::new(
                path,
                format!("no other build has served the kind `{kind}` here"),
                "install the build that should serve it",
            ));
        };
        let bytes = self.archived(&digest).await.map_err(|e| {
            let reason = format!("the build {digest} of `{kind}` is not in the archive any more ({e})");
            Problem::new(&path, reason, "install the build that should serve it")
        })?;
        let source = Source::new(&path, bytes, crate::clock::system());
        let (_, source) = self.verified(source).await?;
        self.write(&path, source.bytes.unwrap_or_default()).await?;
        let file = self.install_written(&path).await?;
        tracing::warn!(kind, build = %file.digest, "rolled back to the build of before");
        Ok(file)
    }

    /// Stops serving the kinds of the file. Calls that run end as they would have.
    pub async fn remove(&self, path: &Path) {
        self.take(path);
        let _changing = self.0.changing.lock().await;
        let next = self.0.registry.load().without(path);
        self.swap(next).await;
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(path);
    }

    /// When the file is refused and serves nothing: the build that it held when it was last good.
    pub(super) async fn fall_back(&self, path: &Path) {
        if self.kinds().provider(path).is_some() {
            return;
        }
        let Some(digest) = self.0.archive.last_good(path) else {
            return;
        };
        let Ok(bytes) = self.archived(&digest).await else {
            return;
        };
        let source = Source::new(path, bytes, SystemTime::UNIX_EPOCH);
        let Ok((provider, _)) = self.verified(source).await else {
            return;
        };
        tracing::warn!(file = %path.display(), build = %digest, "the last good build of the file serves on");
        let _changing = self.0.changing.lock().await;
        let refused = self.kinds().refusal(path).cloned();
        let mut next = self.0.registry.load().with(provider);
        if let Some(refused) = refused {
            next = next.refuse(refused);
        }
        self.swap(next).await;
    }

    /// How the file looked when it was last taken.
    pub(super) fn print(&self, path: &Path) -> Option<Print> {
        let taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(path).map(|(print, _)| *print)
    }

    /// Files that were taken or that serve.
    pub(super) fn known_files(&self) -> Vec<PathBuf> {
        let registry = self.kinds();
        let refused = registry.refused().map(|one| one.problem.file.clone());
        let mut known: Vec<PathBuf> = registry.files().map(|file| file.path.clone()).chain(refused).collect();
        known.sort();
        known.dedup();
        known
    }

    async fn verified(&self, source: Source) -> Result<(Provider, Source), Problem> {
        let _turn = self.0.loading.acquire().await;
        let provider = verify(&self.0, &source).await?;
        Ok((provider, source))
    }

    /// The file that is served already, when it holds what was read. Its time may be another one.
    async fn same(&self, source: &Source) -> Option<FileInfo> {
        let digest = hex(&source.digest);
        let _changing = self.0.changing.lock().await;
        let registry = self.0.registry.load();
        let known = registry.provider(&source.path)?;
        if *known.file.digest != *digest || known.file.modified != source.modified {
            return None;
        }
        let file = known.file.clone();
        if registry.refusal(&source.path).is_some() {
            self.0.registry.store(Arc::new(registry.forgive(&source.path)));
        }
        Some(file)
    }

    async fn take_over(
        &self,
        path: &Path,
        ticket: u64,
        verified: Result<(Provider, Source), Problem>,
    ) -> Result<Option<FileInfo>, Problem> {
        if let Ok((provider, source)) = &verified
            && let Some(bytes) = source.bytes.clone()
        {
            let (shared, digest) = (Arc::clone(&self.0), Arc::clone(&provider.file.digest));
            let kept = tokio::task::spawn_blocking(move || shared.archive.keep(&digest, &bytes)).await;
            if let Ok(Err(error)) = kept {
                tracing::warn!(file = %path.display(), %error, "the build cannot be kept: what it suspends depends on the file");
            }
        }
        let _changing = self.0.changing.lock().await;
        if !self.is_last(path, ticket) {
            return Ok(None);
        }
        match verified {
            Ok((provider, _)) => {
                let file = provider.file.clone();
                for note in &file.notes {
                    tracing::warn!(file = %path.display(), "{note}");
                }
                let next = self.0.registry.load().with(provider);
                self.swap(next).await;
                Ok(Some(file))
            }
            Err(problem) => {
                tracing::error!(%problem, "a plugin was not loaded");
                let refused = Refused {
                    problem: problem.clone(),
                    since: crate::clock::system(),
                };
                let next = self.0.registry.load().refuse(refused);
                self.0.registry.store(Arc::new(next));
                Err(problem)
            }
        }
    }

    /// One pointer changes. What served before is kept for those who still need it.
    async fn swap(&self, next: Registry) {
        let before = self.0.registry.load_full();
        let changed = before.generation() != next.generation();
        self.retire(&before, &next);
        tell(&before, &next);
        let next = Arc::new(next);
        self.0.registry.store(Arc::clone(&next));
        if changed {
            self.0.changed.send_replace(next.generation());
            if !self.0.starting.load(Relaxed) {
                self.note_builds(next).await;
            }
        }
    }

    /// Takes down which file holds which build.
    pub(super) async fn note_builds(&self, registry: Arc<Registry>) {
        let shared = Arc::clone(&self.0);
        let prints: Vec<(PathBuf, String)> = {
            let taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken
                .iter()
                .map(|(path, (print, _))| (path.clone(), print.text()))
                .collect()
        };
        let noted = tokio::task::spawn_blocking(move || {
            let prints = prints.into_iter().collect();
            shared.archive.note(&registry, &prints, Path::exists);
        });
        if let Err(error) = noted.await {
            tracing::error!(%error, "the builds that serve were not taken down");
        }
    }

    fn retire(&self, before: &Registry, next: &Registry) {
        let mut retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, provider) in before.providers() {
            let stays = next
                .provider(path)
                .is_some_and(|now| now.file.digest == provider.file.digest);
            if !stays {
                let unneeded = false;
                let provider = Arc::clone(provider);
                retired.insert(Arc::clone(&provider.file.digest), Retired { provider, unneeded });
            }
        }
    }

    pub(super) async fn archived(&self, digest: &Arc<str>) -> io::Result<Vec<u8>> {
        let (shared, digest) = (Arc::clone(&self.0), Arc::clone(digest));
        let limit = self.0.settings.file_bytes;
        tokio::task::spawn_blocking(move || shared.archive.read(&digest, limit))
            .await
            .map_err(io::Error::other)?
    }

    async fn write(&self, path: &Path, bytes: Arc<Vec<u8>>) -> Result<(), Problem> {
        let to = path.to_owned();
        let written = tokio::task::spawn_blocking(move || write_atomically(&to, &bytes, true)).await;
        written
            .map_err(io::Error::other)
            .and_then(|written| written)
            .map_err(|e| {
                let reason = format!("cannot be written: {e}");
                Problem::new(path, reason, "make the plugins directory writable for the host")
            })
    }

    /// A number that is higher than all that were given for the path before.
    fn take(&self, path: &Path) -> u64 {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let never = Print {
            modified: SystemTime::UNIX_EPOCH,
            size: 0,
            place: (0, 0),
            changed: (0, 0),
        };
        let (_, ticket) = taken.entry(path.to_owned()).or_insert((never, 0));
        *ticket += 1;
        *ticket
    }

    fn taken(&self, path: &Path, print: Print) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, _)) = taken.get_mut(path) {
            *known = print;
        }
    }

    fn is_last(&self, path: &Path, ticket: u64) -> bool {
        let taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(path).is_some_and(|(_, last)| *last == ticket)
    }
}

/// The file with how it looked; without that when it has to be looked at again.
fn read(path: &Path, limit: usize) -> (Option<Print>, Result<Source, Problem>) {
    let unreadable = |e: io::Error| {
        if e.kind() == io::ErrorKind::FileTooLarge {
            return too_large(path, limit);
        }
        let reason = format!("cannot be read: {e}");
        Problem::new(path, reason, "make it a readable file, or remove it")
    };
    let before = match Print::of(path) {
        Ok(before) => before,
        Err(error) => return (None, Err(unreadable(error))),
    };
    let bytes = match read_bounded(path, limit as u64) {
        Ok(bytes) => bytes,
        Err(error) => return (Some(before), Err(unreadable(error))),
    };
    if Print::of(path).ok() != Some(before) {
        let problem = Problem::new(
            path,
            "changed while it was read",
            "it is looked at again when it is complete",
        );
        return (None, Err(problem));
    }
    (Some(before), Ok(Source::new(path, bytes, before.modified)))
}

fn too_large(path: &Path, limit: usize) -> Problem {
    Problem::new(
        path,
        format!("is larger than {limit} bytes"),
        "build it smaller, or raise plugins.file_mb",
    )
}

fn is_file_name(name: &str) -> bool {
    name.len() <= 200
        && name.ends_with(".wasm")
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// One line for every kind that is served by another build now.
fn tell(before: &Registry, next: &Registry) {
    for kind in next.iter() {
        let (name, file) = (&kind.info.kind, &kind.info.file);
        let old = before.get(name).map(|info| &info.file);
        if old.is_some_and(|old| old.digest == file.digest && old.path == file.path) {
            continue;
        }
        tracing::info!(
            kind = name,
            version = kind.info.version,
            build = %file.digest,
            file = %file.path.display(),
            before = old.map(|old| old.digest.to_string()),
            "a task kind is served"
        );
        for other in next.shadowed(name) {
            tracing::warn!(
                kind = name,
                file = %file.path.display(),
                shadowed = %other.info.file.path.display(),
                "two files describe the kind: the one that was modified last serves it"
            );
        }
    }
    for kind in before.iter().filter(|kind| next.get(&kind.info.kind).is_none()) {
        tracing::warn!(kind = kind.info.kind, "no plugin provides the kind any more");
    }
}
