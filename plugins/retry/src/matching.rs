//! Whether a failure is one that the task retries. A name in `retry_on` or `never_retry_on`
//! is an error class (`timed-out`, also `timed_out`), a code (`http-503`, or all of `http-5xx`) or an exception type (`ValueError`, also
//! with its module: `requests.exceptions.Timeout`).

use grepx_plugin_sdk::prelude::*;

use crate::config::Config;

/// Classes of failures that may pass by themselves.
const BY_DEFAULT: [ErrorClass; 3] = [ErrorClass::Retryable, ErrorClass::RateLimited, ErrorClass::TimedOut];

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    /// Why not, for people.
    No(String),
}

pub(crate) fn is_retried(failure: &Error, config: &Config) -> Match {
    let names = Names::of(failure);
    if let Some(hit) = names.found_in(config.never_retry_on.as_deref().unwrap_or_default()) {
        return Match::No(format!("{hit} is not retried: never_retry_on names it"));
    }
    match &config.retry_on {
        Some(allowed) if names.found_in(allowed).is_some() => Match::Yes,
        Some(allowed) if allowed.is_empty() => Match::No(format!("{} is not retried: retry_on is empty", names.best())),
        Some(allowed) => Match::No(format!(
            "{} is not retried: retry_on names only {}",
            names.best(),
            allowed.join(", ")
        )),
        None if BY_DEFAULT.contains(&failure.class) => Match::Yes,
        None => Match::No(format!(
            "{} is not retried: its class is {}; name it in retry_on to retry it",
            names.best(),
            names.class
        )),
    }
}

/// What a failure can be called by.
struct Names<'a> {
    class: &'static str,
    code: &'a str,
    exception: Option<&'a str>,
    qualified: Option<String>,
}

impl<'a> Names<'a> {
    fn of(failure: &'a Error) -> Self {
        let detail = |name| failure.details.as_ref()?.get(name)?.as_str();
        let exception: Option<&str> = detail("exc_type");
        let qualified = exception
            .zip(detail("exc_module"))
            .map(|(exception, module)| format!("{module}.{exception}"));
        Self {
            class: failure.class_name(),
            code: &failure.code,
            exception,
            qualified,
        }
    }

    /// The most telling name: the exception, else the code.
    fn best(&self) -> &str {
        self.exception.unwrap_or(self.code)
    }

    fn found_in<'n>(&self, names: &'n [String]) -> Option<&'n str> {
        let known = [
            Some(self.class),
            Some(self.code),
            self.exception,
            self.qualified.as_deref(),
        ];
        names
            .iter()
            .map(String::as_str)
            .find(|&name| known.contains(&Some(name)) || name.replace('_', "-") == self.class || self.is_among(name))
    }

    /// `http-5xx` is every code from `http-500` to `http-599`.
    fn is_among(&self, name: &str) -> bool {
        let Some(family) = name.strip_suffix("xx") else {
            return false;
        };
        let rest = self.code.strip_prefix(family).unwrap_or_default();
        !family.is_empty() && rest.len() == 2 && rest.bytes().all(|b| b.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests;
