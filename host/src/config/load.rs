//! Finds and reads the files, and brings file, environment and command line together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::environment::Variables;
use super::resolve::Resolver;
use super::shape::{Found, Given, ROOT, Shape, Walk};
use super::{ConfigError, Origin, Settings};
use crate::yaml::{self, Mistake, Mistakes};

pub const CONFIG_FILE_DEFAULT: &str = "config/config.yaml";
pub const ENV_FILE_NAME: &str = "env.common";
/// Bytes of a configuration file at most.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config`; else [`CONFIG_FILE_DEFAULT`].
    pub config: Option<PathBuf>,
    /// `--env-file`; else [`ENV_FILE_NAME`] in the working directory, above the configuration's
    /// directory, or in it: the first that exists.
    pub env_file: Option<PathBuf>,
    /// `server.port` → `0`: wins over file and environment.
    pub overrides: Vec<(String, String)>,
    /// The environment; `std::env::vars_os()` in the program.
    pub environment: HashMap<String, String>,
}

impl Options {
    /// With the environment of this process. A variable that is no UTF-8 is left out.
    #[must_use]
    pub fn from_process() -> Self {
        let pairs = std::env::vars_os();
        Self {
            environment: pairs
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            ..Self::default()
        }
    }
}

impl Settings {
    /// # Errors
    /// When a file cannot be read, or with every mistake in it.
    pub fn load(options: &Options) -> Result<Self, ConfigError> {
        let file = options
            .config
            .clone()
            .unwrap_or_else(|| PathBuf::from(CONFIG_FILE_DEFAULT));
        let text = std::fs::read_to_string(&file).map_err(|source| ConfigError::Read {
            path: file.clone(),
            source,
        })?;
        let env_file = env_file(options, &file);
        let variables = Variables::new(options.environment.clone(), env_file.as_deref())?;
        Self::read(&file, &text, &variables, &options.overrides)
    }

    fn read(
        file: &Path,
        text: &str,
        variables: &Variables,
        overrides: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("is {} bytes long, at most {FILE_BYTES_MAX} are read", text.len());
            return Err(ConfigError::Mistakes(Mistakes(vec![Mistake::new(file, None, message)])));
        }
        let root = yaml::parse(file, text).map_err(ConfigError::Mistakes)?;
        let mut walk = Walk {
            file,
            variables,
            found: Found::new(),
            mistakes: Vec::new(),
        };
        walk.node(&root, ROOT, &mut Vec::new());
        let Walk {
            mut found,
            mut mistakes,
            ..
        } = walk;
        for (key, value) in overrides {
            if let Err(message) = override_one(&mut found, key, value) {
                mistakes.push(Mistake::new(Path::new("command line"), None, message));
            }
        }
        let mut resolver = Resolver::new(file, variables, found, mistakes);
        let settings = resolver.settings();
        resolver.finish(settings)
    }
}

fn override_one(found: &mut Found, key: &str, value: &str) -> Result<(), String> {
    let path: Vec<&str> = key.split('.').collect();
    let shape = ROOT
        .at(&path)
        .filter(|shape| {
            matches!(
                shape,
                Shape::Text | Shape::Integer { .. } | Shape::Flag | Shape::Word(_)
            )
        })
        .ok_or_else(|| format!("{key} is no single setting; `config show` lists them"))?;
    let value = shape
        .convert(value, true)
        .map_err(|instead| format!("{key} has to be {}, found {instead}", shape.expected()))?;
    let given = Given {
        value,
        origin: Origin::CommandLine,
        spot: None,
    };
    found.insert(path.into_iter().map(str::to_owned).collect(), given);
    Ok(())
}

fn env_file(options: &Options, config: &Path) -> Option<PathBuf> {
    if options.env_file.is_some() {
        return options.env_file.clone();
    }
    let beside = config.parent().unwrap_or(Path::new(""));
    let candidates = [
        PathBuf::from(ENV_FILE_NAME),
        beside.join("..").join(ENV_FILE_NAME),
        beside.join(ENV_FILE_NAME),
    ];
    candidates.into_iter().find(|path| path.is_file())
}
