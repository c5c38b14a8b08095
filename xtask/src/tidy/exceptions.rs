//! `xtask/tidy-exceptions.txt`: what may be larger than the rule, how large, and why.
//!
//! One exception a line: `host/src/x.rs 612 the reason` for a file,
//! `host/src/x.rs#name 95 the reason` for a function. `#` at the start is a comment.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Violation;

const FILE: &str = "xtask/tidy-exceptions.txt";

#[derive(Debug)]
pub(super) struct Exception {
    pub(super) key: String,
    pub(super) limit: usize,
    line: usize,
}

impl Exception {
    pub(super) fn violation(&self, what: String) -> Violation {
        Violation {
            path: FILE.to_owned(),
            line: self.line,
            rule: "ratchet",
            what,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Exceptions(Vec<Exception>);

impl Exceptions {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut exceptions = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let key = words.next().unwrap_or_default().to_owned();
            let limit = words.next().and_then(|limit| limit.parse().ok());
            let reason = words.next().is_some_and(|reason| !reason.trim().is_empty());
            match limit {
                Some(limit) if reason => exceptions.push(Exception {
                    key,
                    limit,
                    line: number + 1,
                }),
                _ => bail!("{FILE}:{}: `{line}` is not `path lines reason`", number + 1),
            }
        }
        Ok(Self(exceptions))
    }

    pub(super) fn limit(&self, key: &str) -> Option<usize> {
        self.0
            .iter()
            .find(|exception| exception.key == key)
            .map(|exception| exception.limit)
    }

    pub(super) fn all(&self) -> &[Exception] {
        &self.0
    }
}

pub(super) fn read(root: &Path) -> Result<Exceptions> {
    let path = root.join(FILE);
    if !path.exists() {
        return Ok(Exceptions::default());
    }
    Exceptions::parse(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)
}
