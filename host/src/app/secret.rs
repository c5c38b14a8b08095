//! Values of the operator's secrets, read at the start. One that is needed and not there is told
//! then, and not in the first request that needs it.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::config::{SecretSource, Settings};

/// # Errors
/// When the variable is not set, or the file cannot be read.
pub(super) fn value(name: &str, source: &SecretSource) -> anyhow::Result<String> {
    match source {
        SecretSource::Variable { value: Some(value), .. } => Ok(value.0.clone()),
        SecretSource::Variable { name: variable, .. } => anyhow::bail!(
            "secrets.{name}: the environment variable {variable} is not set; set it, or take away what uses the secret (plugins.grants, hooks)"
        ),
        SecretSource::File(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("secrets.{name}: the file {} cannot be read", path.display()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

/// Those that webhooks are signed with.
pub(super) fn of_hooks(settings: &Settings) -> anyhow::Result<BTreeMap<String, String>> {
    let signatures = settings.hooks.values().filter_map(|hook| hook.signature.as_ref());
    let mut secrets = BTreeMap::new();
    for name in signatures.map(|signature| &signature.secret) {
        if let Some(source) = settings.secrets.get(name) {
            secrets.insert(name.clone(), value(name, source)?);
        }
    }
    Ok(secrets)
}
