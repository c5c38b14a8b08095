//! Keeps what serves in step with the directory.
//!
//! The system tells of changes, and a look at all files now and then makes up for what it does not
//! tell: links to files elsewhere, mounts, a directory that was replaced. A file counts as complete
//! when it has looked the same for a while, and as gone when it has been away for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};

use super::failure::Problem;
use super::install::Print;
use super::registry::Refused;
use super::{Plugins, is_component, scan};

/// Between two looks while something is not settled.
const UNSETTLED: Duration = Duration::from_millis(50);

struct Seen {
    print: Option<Print>,
    since: Instant,
}

impl Plugins {
    /// Follows the directory for as long as it is polled.
    pub async fn watch(self) {
        let told = Arc::new(Notify::new());
        let dir = self.0.settings.dir.clone();
        let mut watcher = watcher(&told);
        let mut watched: Option<(u64, u64)> = None;
        let (done, mut finished) = mpsc::unbounded_channel::<PathBuf>();
        let mut seen: BTreeMap<PathBuf, Seen> = BTreeMap::new();
        let mut busy: BTreeSet<PathBuf> = BTreeSet::new();
        loop {
            // A directory that was replaced has to be watched anew.
            let now = place(&dir);
            if now != watched {
                if let Some(watcher) = &mut watcher {
                    let _ = watcher.unwatch(&dir);
                    if now.is_some() && watcher.watch(&dir, RecursiveMode::NonRecursive).is_err() {
                        tracing::debug!(dir = %dir.display(), "the directory is only looked at now and then");
                    }
                }
                watched = now;
            }
            let unsettled = self.look(&mut seen, &mut busy, &done).await;
            let pause = if unsettled { UNSETTLED } else { self.0.settings.rescan };
            tokio::select! {
                () = told.notified() => {}
                Some(path) = finished.recv() => { busy.remove(&path); }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes what is complete; whether something is not.
    async fn look(
        &self,
        seen: &mut BTreeMap<PathBuf, Seen>,
        busy: &mut BTreeSet<PathBuf>,
        done: &mpsc::UnboundedSender<PathBuf>,
    ) -> bool {
        let (dir, known) = (self.0.settings.dir.clone(), self.known_files());
        let found = tokio::task::spawn_blocking(move || prints(&dir, known)).await;
        let Ok(found) = found else { return false };
        let found = match found {
            Ok(found) => found,
            Err(problem) => {
                self.note(problem).await;
                return false;
            }
        };
        self.clear(&self.0.settings.dir.clone()).await;
        let mut unsettled = false;
        seen.retain(|path, _| found.contains_key(path));
        for (path, print) in found {
            let one = seen.entry(path.clone()).or_insert(Seen {
                print,
                since: Instant::now(),
            });
            if one.print != print {
                *one = Seen {
                    print,
                    since: Instant::now(),
                };
            }
            if busy.contains(&path) || print == self.print(&path) {
                continue;
            }
            if one.since.elapsed() < self.0.settings.settle {
                unsettled = true;
                continue;
            }
            busy.insert(path.clone());
            let (plugins, done) = (self.clone(), done.clone());
            crate::task::spawn("plugin", async move {
                match print {
                    Some(_) => {
                        let _ = plugins.install(&path).await;
                    }
                    None => plugins.remove(&path).await,
                }
                let _ = done.send(path);
            });
        }
        unsettled
    }

    async fn note(&self, problem: Problem) {
        let _changing = self.0.changing.lock().await;
        let registry = self.0.registry.load();
        if registry
            .refusal(&problem.file)
            .is_some_and(|known| known.problem == problem)
        {
            return;
        }
        tracing::error!(%problem, "the plugins directory cannot be followed; what is loaded serves on");
        let since = crate::clock::system();
        self.0
            .registry
            .store(Arc::new(registry.refuse(Refused { problem, since })));
    }

    async fn clear(&self, path: &Path) {
        if self.kinds().refusal(path).is_some() {
            let _changing = self.0.changing.lock().await;
            let next = self.0.registry.load().forgive(path);
            self.0.registry.store(Arc::new(next));
        }
    }
}

/// Every file of the directory and every one that is known, with how it looks; `None` when gone.
fn prints(dir: &Path, known: Vec<PathBuf>) -> Result<BTreeMap<PathBuf, Option<Print>>, Problem> {
    let (files, problems) = scan(dir);
    if let Some(problem) = problems.into_iter().find(|_| files.is_empty()) {
        return Err(problem);
    }
    let known = known.into_iter().filter(|path| is_component(path));
    Ok(files
        .into_iter()
        .chain(known)
        .map(|path| {
            let print = Print::of(&path).ok();
            (path, print)
        })
        .collect())
}

fn watcher(told: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let told = Arc::clone(told);
    let heard = move |event: notify::Result<notify::Event>| {
        // Reading is not changing, and this host reads.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            told.notify_one();
        }
    };
    notify::recommended_watcher(heard)
        .inspect_err(|error| tracing::warn!(%error, "changes of plugins are only seen by looking now and then"))
        .ok()
}

fn place(dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let data = std::fs::metadata(dir).ok()?;
    Some((data.dev(), data.ino()))
}
