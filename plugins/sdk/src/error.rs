//! How a kind says that an attempt failed. The class decides what the retry policy does by
//! default; the code is for machines, the message for people.
//!
//! No blanket conversion from other errors: whether a failure is worth another attempt is known
//! only where it happens, so [`OrFail`] makes the author say it.

use std::fmt;

use serde_json::Value;

use crate::bindings::base::grepx::plugin::types as raw;

pub use raw::ErrorClass;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub class: ErrorClass,
    /// Stable and machine-readable, in kebab case: `http-503`.
    pub code: String,
    /// One line: what is wrong and what to do.
    pub message: String,
    /// Not before so many milliseconds; the retry policy never goes below.
    pub retry_after_ms: Option<u64>,
    /// Traceback, exception type and the like. Boxed to keep results small.
    pub details: Option<Box<Value>>,
}

impl Error {
    pub fn new(class: ErrorClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            details: None,
        }
    }

    /// Another attempt would fail in the same way.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Permanent, code, message)
    }

    /// Another attempt may succeed.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Retryable, code, message)
    }

    /// The input or configuration of the task is wrong. Name the field.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::InvalidInput, "invalid-input", message)
    }

    /// Refused for want of a right; a person has to grant it.
    pub fn unauthorised(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unauthorised, code, message)
    }

    /// The other side asks to wait.
    pub fn rate_limited(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::RateLimited, code, message)
    }

    /// A time limit inside the work itself was passed.
    pub fn timed_out(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::TimedOut, code, message)
    }

    /// The work was called off on the other side.
    pub fn cancelled(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Cancelled, code, message)
    }

    /// Not before so many milliseconds from now.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The class as `retry_on` writes it.
    pub fn class_name(&self) -> &'static str {
        match self.class {
            ErrorClass::Retryable => "retryable",
            ErrorClass::Permanent => "permanent",
            ErrorClass::InvalidInput => "invalid-input",
            ErrorClass::Unauthorised => "unauthorised",
            ErrorClass::RateLimited => "rate-limited",
            ErrorClass::Cancelled => "cancelled",
            ErrorClass::TimedOut => "timed-out",
        }
    }
}

impl ErrorClass {
    /// The class that [`Error::class_name`] writes so.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Retryable,
            Self::Permanent,
            Self::InvalidInput,
            Self::Unauthorised,
            Self::RateLimited,
            Self::Cancelled,
            Self::TimedOut,
        ];
        all.into_iter()
            .find(|class| Error::new(*class, "", "").class_name() == name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Turns any failure into an [`Error`] whose message holds the whole chain.
pub trait OrFail<T> {
    fn or_permanent(self, code: &str) -> Result<T, Error>;
    fn or_retryable(self, code: &str) -> Result<T, Error>;
    /// `what` begins the message: which part of the task cannot be used.
    fn or_invalid_input(self, what: &str) -> Result<T, Error>;
}

impl<T, E: std::error::Error> OrFail<T> for Result<T, E> {
    fn or_permanent(self, code: &str) -> Result<T, Error> {
        self.map_err(|error| Error::permanent(code, chain(&error)))
    }

    fn or_retryable(self, code: &str) -> Result<T, Error> {
        self.map_err(|error| Error::retryable(code, chain(&error)))
    }

    fn or_invalid_input(self, what: &str) -> Result<T, Error> {
        self.map_err(|error| Error::invalid_input(format!("{what}: {}", chain(&error))))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<Error> for raw::Error {
    fn from(error: Error) -> Self {
        Self {
            class: error.class,
            code: error.code,
            message: error.message,
            retry_after_ms: error.retry_after_ms,
            details: error.details.map(|details| details.to_string().into_bytes()),
        }
    }
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        Self {
            class: error.class,
            code: error.code,
            message: error.message,
            retry_after_ms: error.retry_after_ms,
            details: error.details.map(|bytes| Box::new(crate::glue::lenient_json(&bytes))),
        }
    }
}

#[cfg(test)]
mod tests;
