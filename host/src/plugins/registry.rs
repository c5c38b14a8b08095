//! Which kinds can be called now. A value: a change makes a new one, and calls that run keep the
//! one that they started with.
//!
//! When two files describe the same kind, the one that was modified last serves it (of two of the
//! same time the last by name). The other is shadowed, which is shown, and takes over when the
//! first goes. So what serves depends on the files alone, not on the order in which they came.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::call::kept::Kept;
use super::capability::Capability;
use super::counters::{Counters, Counts};
use super::descriptor::Judge;
use super::failure::Problem;
use super::guest::Rights;
use super::types::{FileInfo, KindInfo};
use super::verify::Program;

/// A snapshot of all loaded kinds and files.
#[derive(Clone, Default)]
pub struct Registry {
    generation: u64,
    kinds: BTreeMap<String, Arc<Kind>>,
    providers: BTreeMap<PathBuf, Arc<Provider>>,
    refused: BTreeMap<PathBuf, Refused>,
}

/// A file with the kinds that it describes.
pub(super) struct Provider {
    pub(super) file: FileInfo,
    pub(super) kinds: Vec<Arc<Kind>>,
}

/// A kind that can be called, of one build.
pub struct Kind {
    pub info: KindInfo,
    pub(super) program: Arc<Program>,
    /// `ctx.settings`.
    pub(super) settings: Vec<u8>,
    pub(super) counters: Arc<Counters>,
    pub(super) rights: Rights,
    pub(super) input: Judge,
    pub(super) kept: Kept,
}

/// A file that was looked at and changed nothing.
#[derive(Debug, Clone)]
pub struct Refused {
    pub problem: Problem,
    pub since: SystemTime,
}

/// What a file is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Serving,
    /// Another file, modified later, has the kind.
    Shadowed {
        by: PathBuf,
    },
}

impl Registry {
    /// Differs between any two registries of one host that do not hold the same kinds.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    #[must_use]
    pub fn kind(&self, kind: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(kind)
    }

    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&KindInfo> {
        self.kinds.get(kind).map(|kind| &kind.info)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// By path.
    pub fn files(&self) -> impl Iterator<Item = &FileInfo> {
        self.providers.values().map(|provider| &provider.file)
    }

    /// Every kind of every file with its standing, by path.
    pub fn standings(&self) -> impl Iterator<Item = (&Arc<Kind>, Standing)> {
        self.providers
            .values()
            .flat_map(|provider| &provider.kinds)
            .map(|kind| {
                let standing = match self.kinds.get(&kind.info.kind) {
                    Some(first) if first.info.file.path != kind.info.file.path => Standing::Shadowed {
                        by: first.info.file.path.clone(),
                    },
                    _ => Standing::Serving,
                };
                (kind, standing)
            })
    }

    /// Files that were refused, by path.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values()
    }

    #[must_use]
    pub fn refusal(&self, path: &Path) -> Option<&Refused> {
        self.refused.get(path)
    }

    #[must_use]
    pub fn counts(&self, kind: &str) -> Option<Counts> {
        self.kinds.get(kind).map(|kind| kind.counters.counts())
    }

    /// Whether calls of `kind` cannot act on the outside world, so that they may run before what
    /// led to them is committed. False for an unknown kind.
    #[must_use]
    pub fn is_pure(&self, kind: &str) -> bool {
        self.kinds.get(kind).is_some_and(|kind| !kind.rights.http)
    }

    /// Judges `input` by the kind's schema.
    ///
    /// # Errors
    /// One line for each fault, with a JSON pointer; or that the kind is unknown.
    pub fn validate(&self, kind: &str, input: &Value) -> Result<(), Vec<String>> {
        match self.kinds.get(kind) {
            Some(kind) => kind.input.judge(input),
            None => Err(vec![format!("no plugin serves the kind `{kind}`")]),
        }
    }

    pub(super) fn provider(&self, path: &Path) -> Option<&Arc<Provider>> {
        self.providers.get(path)
    }

    pub(super) fn providers(&self) -> impl Iterator<Item = (&PathBuf, &Arc<Provider>)> {
        self.providers.iter()
    }

    /// Builds of `kind` that do not serve it, the one modified last first.
    pub(super) fn shadowed(&self, kind: &str) -> Vec<&Arc<Kind>> {
        let mut found: Vec<&Arc<Kind>> = self
            .standings()
            .filter(|(known, standing)| known.info.kind == kind && *standing != Standing::Serving)
            .map(|(known, _)| known)
            .collect();
        found.sort_by_key(|kind| std::cmp::Reverse(kind.info.file.modified));
        found
    }

    /// This registry with the kinds of `provider` in place of those that its file had.
    pub(super) fn with(&self, provider: Provider) -> Self {
        let mut next = self.clone();
        let path = provider.file.path.clone();
        next.refused.remove(&path);
        next.providers.insert(path, Arc::new(provider));
        next.settle()
    }

    pub(super) fn without(&self, path: &Path) -> Self {
        let mut next = self.clone();
        next.refused.remove(path);
        match next.providers.remove(path) {
            Some(_) => next.settle(),
            None => next,
        }
    }

    /// What the file had stays; the reason stands beside it.
    pub(super) fn refuse(&self, refused: Refused) -> Self {
        let mut next = self.clone();
        next.refused.insert(refused.problem.file.clone(), refused);
        next
    }

    pub(super) fn forgive(&self, path: &Path) -> Self {
        let mut next = self.clone();
        next.refused.remove(path);
        next
    }

    fn settle(mut self) -> Self {
        self.generation += 1;
        self.kinds.clear();
        let mut providers: Vec<&Arc<Provider>> = self.providers.values().collect();
        providers.sort_by(|a, b| (a.file.modified, &a.file.path).cmp(&(b.file.modified, &b.file.path)));
        for kind in providers.into_iter().flat_map(|provider| &provider.kinds) {
            self.kinds.insert(kind.info.kind.clone(), Arc::clone(kind));
        }
        self
    }
}

impl Kind {
    /// Whether this build can go on from a state of that version.
    #[must_use]
    pub fn resumes(&self, version: u32) -> bool {
        self.info
            .state_versions
            .is_some_and(|(oldest, newest)| (oldest..=newest).contains(&version))
    }

    /// SHA-256 of the file of this build.
    #[must_use]
    pub fn digest(&self) -> &Arc<str> {
        &self.info.file.digest
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// See [`Registry::validate`].
    ///
    /// # Errors
    /// One line for each fault, with a JSON pointer.
    pub fn validate(&self, input: &Value) -> Result<(), Vec<String>> {
        self.input.judge(input)
    }

    /// What it may use of what it does not have to name: for display.
    #[must_use]
    pub fn may(&self) -> Vec<String> {
        let grants = &self.rights.grants;
        let mut may: Vec<String> = self
            .info
            .capabilities
            .iter()
            .filter(|asked| **asked != Capability::Http)
            .map(ToString::to_string)
            .collect();
        if let Some(http) = grants.http.as_ref().filter(|_| self.rights.http) {
            let hosts = http.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            may.push(format!("http:{hosts}"));
        }
        may
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.info).finish()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|kind| (&kind.info.kind, &kind.info.file.path)))
            .finish()
    }
}
