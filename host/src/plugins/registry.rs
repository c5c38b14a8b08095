//! Which kinds can be called now. A value: a change makes a new one, and calls that run keep the
//! one that they started with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::capability::Capability;
use super::counters::{Counters, Counts};
use super::descriptor::{self, Described};
use super::failure::Problem;
use super::settings::Settings;
use super::types::{FileInfo, KindInfo};
use super::verify::Build;

/// A snapshot of all loaded kinds and files.
#[derive(Clone, Default)]
pub struct Registry {
    generation: u64,
    kinds: BTreeMap<String, Arc<Kind>>,
    files: BTreeMap<PathBuf, FileInfo>,
}

/// A kind that can be called.
pub struct Kind {
    pub info: KindInfo,
    pub(super) build: Arc<Build>,
    /// `ctx.settings`.
    pub(super) settings: Vec<u8>,
    pub(super) counters: Arc<Counters>,
    input: Validator,
}

impl Registry {
    /// Differs between any two registries of one host that do not hold the same.
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
        self.files.values()
    }

    #[must_use]
    pub fn counts(&self, kind: &str) -> Option<Counts> {
        self.kinds.get(kind).map(|kind| kind.counters.counts())
    }

    /// Whether calls of `kind` cannot act on the outside world, so that they may run before what
    /// led to them is committed. False for an unknown kind.
    #[must_use]
    pub fn is_pure(&self, kind: &str) -> bool {
        self.get(kind)
            .is_some_and(|info| !info.capabilities.iter().any(Capability::acts_during_call))
    }

    /// Judges `input` by the kind's schema.
    ///
    /// # Errors
    /// One line for each fault, with a JSON pointer; or that the kind is unknown.
    pub fn validate(&self, kind: &str, input: &Value) -> Result<(), Vec<String>> {
        match self.kinds.get(kind) {
            Some(kind) => descriptor::validate(&kind.input, input),
            None => Err(vec![format!("no plugin serves the kind `{kind}`")]),
        }
    }

    /// This registry with the kinds of `build` in place of those that its file had.
    pub(super) fn with(&self, settings: &Settings, build: Build, described: Vec<Described>) -> Result<Self, Problem> {
        let path = build.file.path.clone();
        for new in &described {
            if let Some(taken) = self.get(&new.kind).filter(|taken| taken.file.path != path) {
                let reason = format!(
                    "describes the kind `{}`, which {} has already",
                    new.kind,
                    taken.file.path.display()
                );
                return Err(Problem::new(
                    path,
                    reason,
                    "remove one of the two files; the first by name is used",
                ));
            }
            check_grants(settings, &path, new)?;
        }
        let mut next = self.without(&path);
        let build = Arc::new(build);
        next.files.insert(path, build.file.clone());
        for new in described {
            let counters = self
                .kinds
                .get(&new.kind)
                .map_or_else(Arc::default, |old| Arc::clone(&old.counters));
            let kind = Kind {
                settings: settings.settings_json(&new.kind),
                counters,
                input: new.input,
                info: KindInfo {
                    role: build.program.role(),
                    version: new.version,
                    summary: new.summary,
                    input_schema: new.input_schema,
                    output_schema: new.output_schema,
                    capabilities: new.capabilities,
                    state_versions: new.state_versions,
                    meta: new.meta,
                    limits: settings.limits(&new.kind),
                    file: build.file.clone(),
                    kind: new.kind.clone(),
                },
                build: Arc::clone(&build),
            };
            next.kinds.insert(new.kind, Arc::new(kind));
        }
        Ok(next)
    }

    pub(super) fn without(&self, path: &Path) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.kinds.retain(|_, kind| kind.info.file.path != path);
        next.files.remove(path);
        next
    }
}

fn check_grants(settings: &Settings, path: &Path, new: &Described) -> Result<(), Problem> {
    let granted = settings.grants(&new.kind);
    let refused = new
        .capabilities
        .iter()
        .find(|asked| **asked != Capability::Log && !granted.contains(asked));
    match refused {
        None => Ok(()),
        Some(refused) => {
            let reason = format!("kind `{}` asks for `{refused}`, which is not granted", new.kind);
            let advice = format!(
                "add \"{refused}\" to the grants of `{}` if it may, or remove the file",
                new.kind
            );
            Err(Problem::new(path, reason, advice))
        }
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
