//! The two settings that `up` has to know: where the database is, and where the host listens.
//!
//! The host owns the configuration and judges it; this only finds `section: key: value` lines
//! and fills in `${VAR:default}`, so that xtask needs neither the host's code nor YAML. What
//! it cannot find it takes for the default, and the host reports what is wrong.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const DEFAULT_DATABASE: &str = "sqlite:///data/grepx-master.db";
const DEFAULT_PORT: u16 = 4200;

#[derive(Debug)]
pub(crate) struct Settings {
    text: String,
    variables: HashMap<String, String>,
}

impl Settings {
    pub(crate) fn read(config: &Path, root: &Path) -> Result<Self> {
        let text = fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
        // The first one that there is, as the host looks for it; the real environment wins over it.
        let above = config.ancestors().nth(2).unwrap_or(root);
        let folders = [root, above, config.parent().unwrap_or(root)];
        let found = folders
            .iter()
            .find_map(|folder| fs::read_to_string(folder.join("env.common")).ok());
        let mut variables = found.map(|text| env_file(&text)).unwrap_or_default();
        variables.extend(
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(Self { text, variables })
    }

    /// The SQLite file of `database.db_url`; none when the URL is not one of a file.
    pub(crate) fn database_file(&self, root: &Path) -> Option<PathBuf> {
        let url = self.value("database", "db_url");
        let url = url.as_deref().unwrap_or(DEFAULT_DATABASE);
        // sqlite:///relative, sqlite:////absolute; joining an absolute path replaces the root.
        let path = url.strip_prefix("sqlite:///")?;
        let path = path.split('?').next().unwrap_or(path);
        (!path.is_empty() && path != ":memory:").then(|| root.join(path))
    }

    /// Where a client on this machine reaches the host.
    pub(crate) fn address(&self, port: Option<u16>) -> (String, u16) {
        let configured = || self.value("server", "port")?.parse().ok();
        let derived = || port_of(&self.value("prefect", "api_url")?);
        let port = port.or_else(configured).or_else(derived).unwrap_or(DEFAULT_PORT);
        let host = match self.value("server", "host").as_deref() {
            None | Some("" | "0.0.0.0" | "::") => "127.0.0.1".to_owned(),
            Some(host) => host.to_owned(),
        };
        (host, port)
    }

    fn value(&self, section: &str, key: &str) -> Option<String> {
        let mut inside = false;
        for line in self.text.lines() {
            let indented = line.starts_with([' ', '\t']);
            let Some((name, rest)) = line.trim().split_once(':') else {
                continue;
            };
            if !indented && !name.starts_with('#') {
                inside = name == section;
            } else if inside && name == key {
                return Some(self.fill_in(scalar(rest)));
            }
        }
        None
    }

    /// `${VAR}` and `${VAR:default}`; the default may hold colons, and variables again.
    fn fill_in(&self, value: &str) -> String {
        let Some((before, after)) = value.split_once("${") else {
            return value.to_owned();
        };
        let Some(end) = closing_brace(after) else {
            return value.to_owned();
        };
        let (reference, rest) = (&after[..end], &after[end + 1..]);
        let (name, default) = reference.split_once(':').unwrap_or((reference, ""));
        let filled = match self.variables.get(name) {
            Some(value) => value.clone(),
            None => self.fill_in(default),
        };
        format!("{before}{filled}{}", self.fill_in(rest))
    }
}

/// `http://127.0.0.1:4200/api`
fn port_of(url: &str) -> Option<u16> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

/// Of the `${` before the text.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Without quotes and without a comment behind it.
fn scalar(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return inside;
        }
    }
    text.split(" #").next().unwrap_or(text).trim_end()
}

fn env_file(text: &str) -> HashMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), scalar(value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
