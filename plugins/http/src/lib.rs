//! Sends one HTTP request and gives the answer as a document. The host makes the connection: it
//! lets out only what the operator granted, and puts secrets into the text on their way out.
//!
//! Deliberately absent: redirects (the grant is for a host, and a redirect names another one),
//! cookies, and retries (the task's `retry_config` has them). Bodies, headers and query strings
//! are never logged, and never stand in an error.

mod answer;
mod config;
mod fault;
mod request;
mod retry_after;
mod target;
#[cfg(target_arch = "wasm32")]
mod wire;

use std::time::Duration;

use grepx_plugin_sdk::prelude::*;

pub use answer::Answered;
pub use config::{Config, Parts};
use fault::Fault;
use request::Request;

#[derive(Debug)]
pub struct Http;

impl Activity for Http {
    const KIND: &'static str = "http";
    const SUMMARY: &'static str = "Sends an HTTP request and gives the answer";
    const CAPABILITIES: &'static [&'static str] = &["http"];
    type Input = TaskInput<Parts, Config>;
    type Output = Answered;

    fn input_schema() -> Value {
        config::input_schema()
    }

    fn output_schema() -> Value {
        answer::schema()
    }

    fn run(ctx: &Ctx, input: Self::Input) -> Result<Answered, Error> {
        perform(ctx, input, send)
    }
}

/// What came back, before anybody has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// The body went on; what is here is its beginning.
    cut: bool,
}

/// The whole of one request, headers to last byte of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    time: Duration,
    /// Of the response's body.
    bytes: usize,
}

fn perform(
    ctx: &Ctx,
    input: TaskInput<Parts, Config>,
    send: impl FnOnce(&Request, Limits) -> Result<Response, Fault>,
) -> Result<Answered, Error> {
    let TaskInput { kwargs, config, .. } = input;
    let expected = config.expected()?;
    let limits = config.limits(ctx)?;
    let read_as = config.parse.unwrap_or_default();
    let request = Request::new(ctx, kwargs, config)?;
    let response = send(&request, limits).map_err(|fault| fault.into_error(&request, limits))?;
    log::info(format!(
        "{request} answered {} with {} bytes",
        response.status,
        response.body.len()
    ));
    if !expected.iter().any(|range| range.contains(&response.status)) {
        return Err(answer::refusal(ctx, &request, &response));
    }
    if response.cut {
        return Err(Fault::TooLarge.into_error(&request, limits));
    }
    Answered::read(&request, response, read_as)
}

#[cfg(target_arch = "wasm32")]
fn send(request: &Request, limits: Limits) -> Result<Response, Fault> {
    wire::send(request, limits)
}

/// Native code has no host that could let a request out.
#[cfg(not(target_arch = "wasm32"))]
fn send(_request: &Request, _limits: Limits) -> Result<Response, Fault> {
    Err(Fault::NotGranted)
}

grepx_plugin_sdk::export_activity!(Http);

#[cfg(test)]
mod tests;
