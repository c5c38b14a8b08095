//! The file of a plugin: refused with a reason and an advice, or what it says of itself.

use std::sync::LazyLock;
use std::time::Duration;

use grepx_host::plugins::{Plugins, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::definitions::line;

struct World {
    folder: TempDir,
    plugins: Plugins,
    runtime: Runtime,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = crate::folder();
    let at = |name: &str| folder.path().join(name);
    let mut settings = Settings::new(at("plugins"), at("cache"), at("key"));
    settings.concurrent_calls = 1;
    settings.call_timeout = Duration::from_millis(100);
    World {
        plugins: Plugins::empty(settings).expect("an engine"),
        runtime: Runtime::new().expect("a runtime"),
        folder,
    }
});

pub(crate) fn read(input: &[u8]) {
    let file = WORLD.folder.path().join("any.wasm");
    std::fs::write(&file, input).expect("written");
    match WORLD.runtime.block_on(WORLD.plugins.inspect(&file)) {
        Err(problem) => line(&problem.to_string()),
        Ok(found) => {
            assert!(!found.kinds.is_empty(), "a plugin without a kind");
            for kind in found.kinds {
                assert!(!kind.kind.is_empty() && !kind.version.is_empty(), "{kind:?}");
            }
        }
    }
}
