//! A configuration file: settings that can be shown, or every mistake with its place.

use std::path::PathBuf;
use std::sync::LazyLock;

use grepx_host::config::{ConfigError, Options, Settings};
use tempfile::TempDir;

use crate::definitions::line;

static FOLDER: LazyLock<TempDir> = LazyLock::new(crate::folder);

pub(crate) fn read(input: &[u8]) {
    let file: PathBuf = FOLDER.path().join("config.yaml");
    std::fs::write(&file, input).expect("written");
    let options = Options {
        config: Some(file),
        ..Options::default()
    };
    match Settings::load(&options) {
        Err(ConfigError::Mistakes(mistakes)) => {
            assert!(!mistakes.0.is_empty(), "refused without a reason");
            for mistake in &mistakes.0 {
                line(&mistake.to_string());
            }
        }
        Err(error) => line(&error.to_string()),
        Ok(settings) => {
            assert!(!settings.report().is_empty());
            assert!(settings.api_url().starts_with("http"), "{}", settings.api_url());
        }
    }
}
