//! A host with a plugin folder of its own, for components that are not shipped.

use std::path::PathBuf;

use crate::{Host, provided};

/// Serves `flows` with nothing but these components. `more` is put under `plugins:` of the
/// configuration, indented by two.
///
/// # Panics
/// When a file is missing or the definitions are refused.
#[must_use]
pub fn host_with(components: &[PathBuf], more: &str, flows: &str) -> Host {
    let mut host = Host::with("prefect_work_pools: [{name: pool}]\n").prepare();
    let folder = host.folder().join("plugins");
    std::fs::create_dir(&folder).expect("a folder");
    for component in components {
        let name = component.file_name().expect("a file");
        std::fs::copy(component, folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", component.display()));
    }
    let path = host.folder().join("config.yaml");
    let config = std::fs::read_to_string(&path).expect("the configuration");
    let shipped = format!("  dir: {}\n", provided("GREPX_TEST_PLUGINS").display());
    assert_eq!(config.matches(&shipped).count(), 1, "{config}");
    let own = format!("  dir: {}\n{more}", folder.display());
    std::fs::write(&path, config.replace(&shipped, &own)).expect("written");
    std::fs::write(host.folder().join("own.yaml"), flows).expect("written");
    let _ = host.cli(&["apply", "own.yaml"]).success();
    host.serve();
    host
}
