//! Task kinds as sandboxed WebAssembly components: the only module that knows wasmtime.
//!
//! A file is verified completely before one pointer changes, and a call keeps the build that it
//! started with; so a broken file changes nothing, and replacing a good one disturbs nobody.
//! Calls are bounded in time, memory, input, output and log lines, wait for their turn when too
//! many run, and are granted nothing that the operator did not name.
//!
//! Absent on purpose: knowledge of runs, of SQL and of brokers. A kind returns commands as data;
//! who calls here carries them out. Also absent: watching the directory. [`Plugins::install`] and
//! [`Plugins::remove`] are what a watcher would call.

mod bindings;
mod call;
mod call_log;
mod capability;
mod convert;
mod counters;
mod descriptor;
mod failure;
mod guest;
mod invoke;
mod meter;
mod precompiled;
mod registry;
mod runtime;
mod settings;
mod types;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Semaphore};

pub use capability::{Capability, UnknownCapability};
pub use counters::Counts;
pub use failure::{Error, Failure, Problem};
pub use registry::{Kind, Registry};
pub use settings::{Limits, PluginSettings, Settings};
pub use types::{Ctx, FileInfo, KeyedOutcome, KindInfo, Level, LogSink, Role};

use precompiled::Precompiled;
use runtime::Runtime;

/// Largest number of files that are looked at in the directory.
const FILES_MAX: usize = 1000;
/// Above this the pool's reservation of address space fails on every machine.
const CONCURRENT_CALLS_MAX: u32 = 10_000;

/// The loaded plugins. Cheap to clone.
#[derive(Clone)]
pub struct Plugins(Arc<Shared>);

struct Shared {
    settings: Settings,
    runtime: Runtime,
    cache: Precompiled,
    turns: Semaphore,
    /// `describe` does not wait behind the work of the runs.
    load_turns: Semaphore,
    registry: ArcSwap<Registry>,
    /// One change at a time; readers never wait.
    changing: Mutex<()>,
}

impl Plugins {
    /// Starts the engine and loads `*.wasm` from the directory, in the order of names.
    ///
    /// # Errors
    /// Only when no plugin at all could run. A file that cannot be loaded is a [`Problem`].
    pub async fn load(settings: Settings) -> Result<(Self, Vec<Problem>), Error> {
        check(&settings)?;
        let plugins = Self(Arc::new(Shared {
            runtime: Runtime::new(&settings)?,
            cache: Precompiled::open(&settings.cache_dir, &settings.key_file)?,
            turns: Semaphore::new(settings.concurrent_calls as usize),
            load_turns: Semaphore::new(runtime::SPARE_CALLS as usize),
            registry: ArcSwap::default(),
            changing: Mutex::new(()),
            settings,
        }));
        let (files, mut problems) = scan(&plugins.0.settings.dir);
        for file in files {
            if let Err(problem) = plugins.install(&file).await {
                problems.push(problem);
            }
        }
        Ok((plugins, problems))
    }

    /// Verifies the file and then serves its kinds, in place of those that the same path had.
    ///
    /// # Errors
    /// When the file does not load; what was loaded before stays.
    pub async fn install(&self, path: &Path) -> Result<FileInfo, Problem> {
        let _changing = self.0.changing.lock().await;
        let (build, described) = verify::verify(&self.0, path).await?;
        let file = build.file.clone();
        let next = self.0.registry.load().with(&self.0.settings, build, described)?;
        self.0.registry.store(Arc::new(next));
        Ok(file)
    }

    /// Stops serving the kinds of the file. Calls that run end as they would have.
    pub async fn remove(&self, path: &Path) {
        let _changing = self.0.changing.lock().await;
        let next = self.0.registry.load().without(path);
        self.0.registry.store(Arc::new(next));
    }

    /// All kinds and files as they are now.
    #[must_use]
    pub fn kinds(&self) -> Arc<Registry> {
        self.0.registry.load_full()
    }

    /// See [`Registry::is_pure`].
    #[must_use]
    pub fn is_pure(&self, kind: &str) -> bool {
        self.0.registry.load().is_pure(kind)
    }

    /// See [`Registry::validate`].
    ///
    /// # Errors
    /// One line for each fault.
    pub fn validate(&self, kind: &str, input: &serde_json::Value) -> Result<(), Vec<String>> {
        self.0.registry.load().validate(kind, input)
    }

    /// False when calls are slower because the machine refused the address space of the pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.0.runtime.pooled
    }

    /// Calls that could start now without waiting.
    #[must_use]
    pub fn free_turns(&self) -> usize {
        self.0.turns.available_permits()
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugins").field(&self.kinds()).finish()
    }
}

fn check(settings: &Settings) -> Result<(), Error> {
    let wrong = |setting: &str, reason: &str| {
        Err(Error::Setting {
            setting: setting.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if !(1..=CONCURRENT_CALLS_MAX).contains(&settings.concurrent_calls) {
        return wrong(
            "plugins.concurrent_calls",
            &format!("must be from 1 to {CONCURRENT_CALLS_MAX}"),
        );
    }
    if settings.memory_bytes_max() > u32::MAX as usize {
        return wrong(
            "plugins.memory_bytes",
            "a component addresses less than 4 GiB: choose less",
        );
    }
    let own = settings
        .per_plugin
        .iter()
        .find(|(_, own)| !own.settings.is_object() && !own.settings.is_null());
    match own {
        Some((kind, _)) => wrong(&format!("plugins.{kind}.settings"), "must be a table"),
        None => Ok(()),
    }
}

/// The components of `dir` by name.
fn scan(dir: &Path) -> (Vec<PathBuf>, Vec<Problem>) {
    let advice = "run `cargo xtask build-plugins`, or set the plugins directory";
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => {
            return (
                Vec::new(),
                vec![Problem::new(dir, format!("cannot be read: {e}"), advice)],
            );
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort_unstable();
    let mut problems = Vec::new();
    if files.len() > FILES_MAX {
        let reason = format!(
            "has {} components, only the first {FILES_MAX} by name are loaded",
            files.len()
        );
        problems.push(Problem::new(dir, reason, "remove what is not used"));
        files.truncate(FILES_MAX);
    }
    (files, problems)
}

#[cfg(test)]
mod tests;
