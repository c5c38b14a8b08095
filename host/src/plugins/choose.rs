//! Which build does a call. New work goes to the one that serves the kind; a suspended attempt to
//! the one that serves when that reads its state, else to another one of the directory that does,
//! else to the build that wrote the state, which is kept for as long as an attempt needs it.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::failure::Failure;
use super::registry::{Kind, Provider};
use super::verify::{Source, verify};
use super::{Plugins, Retired};

impl Plugins {
    /// The build for a first step.
    ///
    /// # Errors
    /// When no file provides the kind.
    pub fn newest(&self, kind: &str) -> Result<Arc<Kind>, Failure> {
        let registry = self.0.registry.load();
        let found = registry.kind(kind).map(Arc::clone);
        found.ok_or_else(|| Failure::NoPlugin { kind: kind.to_owned() })
    }

    /// The build that goes on from a state of `version`; `wrote` is the digest of the one that
    /// wrote it, as far as it is known.
    ///
    /// # Errors
    /// When no build that can be found reads the state.
    pub async fn for_state(&self, kind: &str, version: u32, wrote: Option<&Arc<str>>) -> Result<Arc<Kind>, Failure> {
        let registry = self.0.registry.load_full();
        let newest = registry.kind(kind);
        if let Some(newest) = newest.filter(|newest| newest.resumes(version)) {
            return Ok(Arc::clone(newest));
        }
        if let Some(other) = registry.shadowed(kind).into_iter().find(|other| other.resumes(version)) {
            return Ok(Arc::clone(other));
        }
        if let Some(wrote) = wrote
            && let Some(pinned) = self.pinned(kind, wrote).await
        {
            return Ok(pinned);
        }
        Err(match newest.and_then(|newest| newest.info.state_versions) {
            Some((oldest, newest)) => Failure::StateUnsupported {
                kind: kind.to_owned(),
                found: version,
                oldest,
                newest,
            },
            None => Failure::NoPlugin { kind: kind.to_owned() },
        })
    }

    /// Forgets builds that nothing has needed for two looks: not the directory, not `needed`, not
    /// a call that runs, not a way back. How many files went.
    pub async fn collect(&self, needed: HashSet<Arc<str>>) -> usize {
        let _changing = self.0.changing.lock().await;
        let mut needed = needed;
        let registry = self.kinds();
        registry.iter().for_each(|kind| kind.kept.tidy());
        needed.extend(registry.files().map(|file| Arc::clone(&file.digest)));
        {
            let mut retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.retain(|digest, one| {
                let runs = one.provider.kinds.iter().any(|kind| Arc::strong_count(kind) > 1);
                let needs = needed.contains(digest) || runs;
                one.provider.kinds.iter().for_each(|kind| kind.kept.tidy());
                let keeps = needs || !one.unneeded;
                one.unneeded = !needs;
                keeps
            });
            needed.extend(retired.keys().cloned());
        }
        let shared = Arc::clone(&self.0);
        let removed = tokio::task::spawn_blocking(move || shared.archive.collect(&needed)).await;
        removed.unwrap_or_default()
    }

    async fn pinned(&self, kind: &str, digest: &Arc<str>) -> Option<Arc<Kind>> {
        let of = |provider: &Provider| provider.kinds.iter().find(|one| one.info.kind == kind).map(Arc::clone);
        if let Some(provider) = self.retired(digest) {
            return of(&provider);
        }
        let _reviving = self.0.reviving.lock().await;
        if let Some(provider) = self.retired(digest) {
            return of(&provider);
        }
        let bytes = self.archived(digest).await;
        let bytes = bytes.inspect_err(|error| tracing::error!(kind, build = %digest, %error, "a build that a suspended attempt needs is not in the archive"));
        let path = self.0.settings.archive_dir.join(format!("{digest}.wasm"));
        let source = Source::new(&path, bytes.ok()?, SystemTime::UNIX_EPOCH);
        let provider = verify(&self.0, &source).await;
        let provider = provider
            .inspect_err(
                |problem| tracing::error!(kind, %problem, "a build that a suspended attempt needs does not load"),
            )
            .ok()?;
        let provider = Arc::new(provider);
        let found = of(&provider);
        let unneeded = false;
        let mut retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.insert(Arc::clone(digest), Retired { provider, unneeded });
        found
    }

    fn retired(&self, digest: &Arc<str>) -> Option<Arc<Provider>> {
        let retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.get(digest).map(|one| Arc::clone(&one.provider))
    }
}
