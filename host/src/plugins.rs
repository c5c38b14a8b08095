//! Task kinds as sandboxed WebAssembly components: the only module that knows wasmtime.
//!
//! A file is verified completely before one pointer changes, and a call keeps the build that it
//! started with; so a broken file changes nothing, and replacing a good one disturbs nobody. What
//! served or is needed is kept by digest, so that a suspended attempt finds its build again.
//! Calls are bounded in time, memory, input, output and log, wait for their turn when too many
//! run, and are granted nothing that the operator did not name.
//!
//! Absent on purpose: knowledge of runs, of SQL and of brokers. A kind returns commands as data;
//! who calls here carries them out.

mod archive;
mod bindings;
mod call;
mod call_log;
mod capability;
mod choose;
mod convert;
mod counters;
mod descriptor;
mod failure;
mod grants;
mod guest;
mod http;
mod inspect;
mod install;
mod invoke;
mod meter;
mod precompiled;
mod registry;
mod runtime;
mod secrets;
mod settings;
mod types;
mod verify;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use tokio::sync::{Mutex, Semaphore, watch as signal};

pub use capability::{Capability, UnknownCapability};
pub use counters::Counts;
pub use failure::{Error, Failure, Problem};
pub use grants::{Grants, HostPattern, HttpGrant, NoHost, SecretGrant};
pub use inspect::{InspectedKind, Inspection};
pub use registry::{Kind, Refused, Registry, Standing};
pub use secrets::Secrets;
pub use settings::{Limits, PluginSettings, Settings};
pub use types::{Ctx, FileInfo, KeyedOutcome, KindInfo, Level, LogSink, Role};

use archive::Archive;
use call::kept;
use counters::Counters;
use install::Print;
use precompiled::Precompiled;
use registry::Provider;
use runtime::Runtime;

/// Largest number of files that are looked at in the directory.
const FILES_MAX: usize = 1000;
/// Files that are compiled at a time. One that never ends its `describe` holds up half of them.
const LOADING: usize = 2;
/// Above this the pool's reservation of address space fails on every machine.
const CONCURRENT_CALLS_MAX: u32 = 10_000;

/// The loaded plugins. Cheap to clone.
#[derive(Clone)]
pub struct Plugins(Arc<Shared>);

struct Shared {
    settings: Settings,
    runtime: Runtime,
    cache: Precompiled,
    archive: Archive,
    turns: Semaphore,
    /// `describe` does not wait behind the work of the runs.
    load_turns: Semaphore,
    /// For instances that answer several calls.
    places: Arc<Semaphore>,
    /// Files that are verified at a time.
    loading: Semaphore,
    registry: ArcSwap<Registry>,
    /// Generation of the registry, for those who wait for a change.
    changed: signal::Sender<u64>,
    /// One change at a time; readers never wait.
    changing: Mutex<()>,
    /// Builds that serve nothing new and that something may still need, by digest.
    retired: StdMutex<HashMap<Arc<str>, Retired>>,
    /// One build at a time comes back from the archive.
    reviving: Mutex<()>,
    counters: StdMutex<BTreeMap<String, Arc<Counters>>>,
    /// While the directory is loaded for the first time.
    starting: AtomicBool,
    /// How each file looked when it was last taken, and how often it was.
    taken: StdMutex<HashMap<PathBuf, (Print, u64)>>,
}

struct Retired {
    provider: Arc<Provider>,
    /// Nothing needed it at the last look.
    unneeded: bool,
}

impl Plugins {
    /// Starts the engine and loads `*.wasm` from the directory, several files at a time.
    ///
    /// # Errors
    /// Only when no plugin at all could run. A file that cannot be loaded is a [`Problem`], and the
    /// build that it held when it was last good serves on.
    pub async fn load(settings: Settings) -> Result<(Self, Vec<Problem>), Error> {
        let plugins = Self::empty(settings)?;
        plugins.0.starting.store(true, Relaxed);
        let (mut files, mut problems) = scan(&plugins.0.settings.dir);
        // The largest first, so that no core waits for it at the end.
        files.sort_by_cached_key(|file| std::cmp::Reverse(std::fs::metadata(file).map_or(0, |data| data.len())));
        let loaded = futures_util::stream::iter(files)
            .map(|file| {
                let plugins = plugins.clone();
                async move {
                    let result = plugins.install_known(&file).await;
                    (file, result)
                }
            })
            .buffer_unordered(LOADING)
            .collect::<Vec<_>>();
        let mut loaded = loaded.await;
        loaded.sort_by(|a, b| a.0.cmp(&b.0));
        for (file, result) in loaded {
            if let Err(problem) = result {
                plugins.fall_back(&file).await;
                problems.push(problem);
            }
        }
        plugins.0.starting.store(false, Relaxed);
        plugins.note_builds(plugins.kinds()).await;
        Ok((plugins, problems))
    }

    /// The engine without any plugin.
    ///
    /// # Errors
    /// When no plugin at all could run.
    pub fn empty(settings: Settings) -> Result<Self, Error> {
        check(&settings)?;
        Ok(Self(Arc::new(Shared {
            runtime: Runtime::new(&settings)?,
            cache: Precompiled::open(&settings.cache_dir, &settings.key_file)?,
            archive: Archive::open(&settings.archive_dir)?,
            turns: Semaphore::new(settings.concurrent_calls as usize),
            load_turns: Semaphore::new(runtime::SPARE_CALLS as usize),
            places: Arc::new(Semaphore::new(kept::PLACES as usize)),
            loading: Semaphore::new(LOADING),
            registry: ArcSwap::default(),
            changed: signal::channel(0).0,
            changing: Mutex::new(()),
            retired: StdMutex::default(),
            reviving: Mutex::new(()),
            counters: StdMutex::default(),
            starting: AtomicBool::new(false),
            taken: StdMutex::default(),
            settings,
        })))
    }

    /// Tells of every change of what serves: the registry's generation.
    #[must_use]
    pub fn changes(&self) -> signal::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Whether the kind is served, or was before its file was removed.
    #[must_use]
    pub fn is_known(&self, kind: &str) -> bool {
        self.0.registry.load().kind(kind).is_some() || self.0.archive.knows(kind)
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

impl Shared {
    /// The counters of a kind, whichever build serves it.
    fn counters(&self, kind: &str) -> Arc<Counters> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(kind.to_owned()).or_default())
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
        .filter(|path| is_component(path))
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

/// Hidden files are somebody's work in progress.
fn is_component(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "wasm")
}

#[cfg(test)]
mod tests;
