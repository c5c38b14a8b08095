//! One component by itself, for its author: a plugin folder that holds nothing else and goes away
//! with the command. Works outside of any installation; where there is a configuration, its grants,
//! limits and settings hold.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::kinds::plugin_settings;
use crate::cli::arguments::Global;
use crate::cli::client::load_settings;
use crate::cli::exit::{Exit, Failure};
use crate::config::CONFIG_FILE_DEFAULT;
use crate::plugins::{Capability, Inspection, PluginSettings, Plugins, Settings};

#[derive(Debug)]
pub(crate) struct Workbench {
    pub(crate) runtime: Runtime,
    pub(crate) plugins: Plugins,
    pub(crate) seen: Inspection,
    _folder: Folder,
}

/// Removed with everything in it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Workbench {
    /// Looks at the file. Nothing is loaded yet.
    pub(crate) fn open(global: &Global, file: &Path) -> Result<Self, Failure> {
        let folder = Folder(std::env::temp_dir().join(format!("grepx-host-{}", Uuid::new_v4())));
        std::fs::create_dir_all(folder.0.join("plugins")).map_err(Failure::broken)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::broken)?;
        let settings = settings(global, &folder.0)?;
        let (plugins, seen) = runtime.block_on(async {
            // The ticker and the pool belong to the runtime's life.
            let plugins = Plugins::empty(settings.clone()).map_err(Failure::broken)?;
            let seen = plugins.inspect(file).await;
            let seen = seen.map_err(|problem| Failure::says(Exit::Failed, problem))?;
            let plugins = Plugins::empty(with_commands(settings, &seen)).map_err(Failure::broken)?;
            Ok::<_, Failure>((plugins, seen))
        })?;
        Ok(Self {
            runtime,
            plugins,
            seen,
            _folder: folder,
        })
    }

    /// Loads the file as a host with these grants would.
    pub(crate) fn load(&self, file: &Path) -> Result<(), Failure> {
        let bytes = std::fs::read(file).map_err(Failure::broken)?;
        let loaded = self.runtime.block_on(self.plugins.install_bytes(bytes, None));
        loaded
            .map(drop)
            .map_err(|problem| Failure::says(Exit::Failed, format!("{}; {}", problem.reason, problem.advice)))
    }
}

fn settings(global: &Global, folder: &Path) -> Result<Settings, Failure> {
    let (dir, cache, key) = (folder.join("plugins"), folder.join("cache"), folder.join("key"));
    let configured = global.config.is_some() || Path::new(CONFIG_FILE_DEFAULT).is_file();
    if !configured {
        return Ok(Settings::new(dir, cache, key));
    }
    let settings = load_settings(global, Vec::new())?;
    let settings = plugin_settings(&settings).map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Settings {
        dir,
        cache_dir: cache,
        key_file: key,
        archive_dir: folder.join("builds"),
        concurrent_calls: 4,
        ..settings
    })
}

/// Commands are shown here and not carried out, so they need nobody's leave.
fn with_commands(mut settings: Settings, seen: &Inspection) -> Settings {
    settings.concurrent_calls = 4;
    for kind in &seen.kinds {
        let own: &mut PluginSettings = settings.per_plugin.entry(kind.kind.clone()).or_default();
        for asked in &kind.capabilities {
            match asked {
                Capability::Connection(name) => {
                    own.grants.connections.insert(name.clone());
                }
                Capability::StartFlow => own.grants.start_flow = true,
                _ => {}
            }
        }
    }
    settings
}
