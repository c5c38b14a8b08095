//! What a component says of itself and would need, for its author: nothing is granted, installed
//! or kept.

use std::collections::BTreeSet;
use std::path::Path;

use super::capability::Capability;
use super::failure::Problem;
use super::grants::line;
use super::types::{FileInfo, Role};
use super::verify::{self, Source};
use super::{Limits, Plugins};

/// A component that was looked at.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub file: FileInfo,
    pub role: Role,
    pub kinds: Vec<InspectedKind>,
}

/// A kind of a component that was looked at.
#[derive(Debug, Clone)]
pub struct InspectedKind {
    pub kind: String,
    pub version: String,
    pub summary: String,
    pub input_schema: grepx_engine::Json,
    pub output_schema: grepx_engine::Json,
    pub state_versions: Option<(u32, u32)>,
    pub capabilities: Vec<Capability>,
    /// Lines for `plugins.grants`, without which it does not load.
    pub needs: Vec<String>,
    /// Lines without which some of what it imports is denied.
    pub may_need: Vec<String>,
    pub limits: Limits,
}

impl Plugins {
    /// Verifies the file as far as that needs no grants.
    ///
    /// # Errors
    /// When no host would load it.
    pub async fn inspect(&self, path: &Path) -> Result<Inspection, Problem> {
        let unreadable = |e: std::io::Error| Problem::new(path, format!("cannot be read: {e}"), "name a component");
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let source = Source::new(path, bytes, crate::clock::system());
        let (file, role, described) = verify::look(&self.0, &source).await?;
        let imports = |name: &str| file.imports.iter().any(|import| import.starts_with(name));
        let kinds = described.into_iter().map(|one| {
            let asked: BTreeSet<&Capability> = one.capabilities.iter().collect();
            let mut needs: Vec<String> = asked
                .iter()
                .filter(|asked| ***asked != Capability::Log)
                .map(|asked| line(&one.kind, asked))
                .collect();
            if imports("grepx:plugin/secrets") && !asked.iter().any(|asked| matches!(asked, Capability::Secret(_))) {
                needs.push(line(&one.kind, &Capability::Secret("NAME".to_owned())));
            }
            let http = imports("wasi:http/outgoing-handler") && !asked.contains(&Capability::Http);
            InspectedKind {
                may_need: http.then(|| line(&one.kind, &Capability::Http)).into_iter().collect(),
                needs,
                version: one.version.clone(),
                summary: one.summary.clone(),
                input_schema: one.input_schema.clone(),
                output_schema: one.output_schema.clone(),
                state_versions: one.state_versions,
                capabilities: one.capabilities.clone(),
                limits: self.0.settings.limits(&one.kind),
                kind: one.kind.clone(),
            }
        });
        let kinds = kinds.collect();
        Ok(Inspection { file, role, kinds })
    }
}
