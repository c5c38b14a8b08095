//! Tells the world of what is not in the run store: which build serves a kind, which definitions are
//! in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::bus::{Bus, DefinitionsNews, News, PluginNews};
use crate::definitions::Catalog;
use crate::plugins::Plugins;

/// Digest and version by kind.
type Serving = BTreeMap<String, (String, String)>;

/// Of each kind that another build serves now, or none.
pub(crate) async fn plugins(plugins: Plugins, events: Bus) {
    let mut changes = plugins.changes();
    let mut before = serving(&plugins);
    while changes.changed().await.is_ok() {
        let now = serving(&plugins);
        events.tell(differences(&before, &now));
        before = now;
    }
}

fn serving(plugins: &Plugins) -> Serving {
    let registry = plugins.kinds();
    let kinds = registry.iter().map(|kind| {
        let info = &kind.info;
        (info.kind.clone(), (info.file.digest.to_string(), info.version.clone()))
    });
    kinds.collect()
}

fn differences(before: &Serving, now: &Serving) -> Vec<News> {
    let gone = before.keys().filter(|kind| !now.contains_key(*kind));
    let other = now.iter().filter(|(kind, build)| before.get(*kind) != Some(build));
    let gone = gone.map(|kind| (kind, None));
    let other = other.map(|(kind, build)| (kind, Some(build.clone())));
    gone.chain(other)
        .map(|(kind, build)| {
            let (digest, version) = build.unzip();
            News::Plugin(Arc::new(PluginNews {
                kind: kind.clone(),
                digest,
                version,
            }))
        })
        .collect()
}

/// After they were put in force.
pub(crate) fn definitions(events: &Bus, now: &Catalog) {
    events.tell([News::Definitions(DefinitionsNews {
        flows: now.flows.len(),
        deployments: now.deployments.len(),
        work_pools: now.pools.len(),
        problems: now.problems.len(),
    })]);
}

#[cfg(test)]
mod tests;
