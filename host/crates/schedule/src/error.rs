//! Why a rule is refused, and what to write instead.

/// A rule that this crate does not run.
///
/// Reads as one sentence: `cron "0 0 30 2 *": the 30th of February never comes; write …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {problem}; {instead}")]
pub struct Refusal {
    /// Which part of the configuration, with the value as it was written (shortened):
    /// `cron "61 * * * *"`, `timezone "PST"`, `interval 0`.
    pub rule: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

/// Longest excerpt of a rule in a message, in characters.
const EXCERPT: usize = 80;

impl Refusal {
    pub(crate) fn new(what: &str, value: &str, problem: impl Into<String>, instead: impl Into<String>) -> Refusal {
        let mut shown: String = value.chars().take(EXCERPT).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Refusal {
            rule: format!("{what} {shown:?}"),
            problem: problem.into(),
            instead: instead.into(),
        }
    }
}
