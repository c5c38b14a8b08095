//! What an open question remembers between two calls, and how it reads for people.

use std::collections::BTreeMap;

use grepx_plugin_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{self, Config, Kwargs, OnExpiry};
use crate::{Decision, EXPIRY, SIGNALS, form, time};

/// Characters of a status.
const MOST_CHARS: usize = 300;

/// All that an answer is judged by; the input does not come again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(crate) message: String,
    pub(crate) approvers: Option<String>,
    pub(crate) form: Option<Value>,
    pub(crate) on_expiry: OnExpiry,
    /// Milliseconds since 1970, UTC.
    pub(crate) expires_at_ms: Option<u64>,
    /// Answers per signal that were not taken: each one used up a command.
    pub(crate) refused: BTreeMap<String, u32>,
}

impl State {
    pub(crate) fn new(ctx: &Ctx, input: TaskInput<Kwargs, Config>) -> Result<Self, Error> {
        let TaskInput { kwargs, config, .. } = input;
        if let Some(schema) = &config.form {
            form::check(schema)
                .map_err(|why| Error::invalid_input(format!("config.form cannot be used: {}", shorten(&why))))?;
        }
        let expiry = config::expiry(config.expires_in_seconds.or(kwargs.expires_in_seconds))?;
        let message = config.message.or(kwargs.message);
        Ok(Self {
            message: message.unwrap_or_else(|| format!("approve {}", ctx.task)),
            approvers: config.approvers.or(kwargs.approvers),
            form: config.form,
            on_expiry: config.on_expiry.unwrap_or_default(),
            expires_at_ms: expiry.map(|wait| {
                ctx.now_ms
                    .saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            }),
            refused: BTreeMap::new(),
        })
    }

    /// The key of the open command for a signal.
    pub(crate) fn key(&self, name: &str) -> String {
        match self.refused.get(name) {
            None => name.to_owned(),
            Some(refused) => format!("{name} {}", refused + 1),
        }
    }

    /// The signal that an open command's key stands for.
    pub(crate) fn signal(&self, key: &str) -> Option<&'static str> {
        SIGNALS.into_iter().find(|name| self.key(name) == key)
    }

    /// Its command is used up; the next key is another one.
    pub(crate) fn refuse(&mut self, name: &str) {
        let refused = self.refused.entry(name.to_owned()).or_default();
        *refused = refused.saturating_add(1);
    }

    /// The keys that wake.
    pub(crate) fn open(&self) -> Vec<String> {
        let expiry = self.expires_at_ms.map(|_| EXPIRY.to_owned());
        SIGNALS.iter().map(|name| self.key(name)).chain(expiry).collect()
    }

    /// One line: the question, who should answer, until when, and why the last answer was not taken.
    pub(crate) fn status(&self, problem: Option<&str>) -> String {
        let mut line = format!("waits for approval: {}", self.message);
        if let Some(approvers) = &self.approvers {
            line.push_str(&format!(" (by {approvers})"));
        }
        if let Some(at) = self.expires_at_ms {
            line.push_str(&format!(", until {}", time::rfc3339(at)));
        }
        match problem {
            Some(problem) => shorten(&format!("the last answer was not taken: {problem}; {line}")),
            None => shorten(&line),
        }
    }

    /// Nobody has decided in time.
    pub(crate) fn expire(&self, ctx: &Ctx) -> Result<Decision, Error> {
        let question = shorten(&self.message);
        match self.on_expiry {
            OnExpiry::Fail => Err(Error::timed_out(
                "approval-expired",
                format!("nobody has decided in time: {question}"),
            )),
            OnExpiry::Reject => Err(Error::permanent(
                "rejected",
                format!("rejected, because nobody has decided in time: {question}"),
            )),
            OnExpiry::Approve => Ok(Decision {
                approved: true,
                by: None,
                at: time::rfc3339(ctx.now_ms),
                note: Some("nobody has decided in time".to_owned()),
                form: Value::Null,
                expired: true,
            }),
        }
    }
}

/// One line of bounded length.
pub(crate) fn shorten(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARS)
        .collect();
    if text.chars().nth(MOST_CHARS).is_some() {
        line.push('…');
    }
    line
}
