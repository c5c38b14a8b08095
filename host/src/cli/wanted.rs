//! `--state`, `--flow`, `--deployment` and `--since` as a filter of the API. Words that nothing can
//! have are found here, before the server answers with an empty list.

use grepx_engine::StateType;
use serde_json::{Value, json};

use super::arguments::{Wanted, Which};
use super::client::Client;
use super::exit::Failure;
use super::show::text;
use super::suggest::{nearest, unknown};
use crate::clock;

/// Names that a mistyped one is compared with.
const NAMES_MAX: usize = 10_000;
/// Names of states, beside those of Prefect that mean nothing here.
const STATE_NAMES: [&str; 16] = [
    "Scheduled",
    "Late",
    "AwaitingRetry",
    "AwaitingConcurrencySlot",
    "Resuming",
    "Pending",
    "Running",
    "Retrying",
    "Paused",
    "Cancelling",
    "Cancelled",
    "UpstreamFailed",
    "Completed",
    "Skipped",
    "Failed",
    "TimedOut",
];

/// What the options of a command say of runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    state: &'a [String],
    flow: &'a [String],
    deployment: &'a [String],
    since: Option<&'a str>,
}

impl<'a> From<&'a Wanted> for Names<'a> {
    fn from(wanted: &'a Wanted) -> Self {
        Self {
            state: &wanted.state,
            flow: &wanted.flow,
            deployment: &wanted.deployment,
            since: wanted.since.as_deref(),
        }
    }
}

impl<'a> From<&'a Which> for Names<'a> {
    fn from(which: &'a Which) -> Self {
        Self {
            state: &which.state,
            flow: &which.flow,
            deployment: &which.deployment,
            since: None,
        }
    }
}

impl Names<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.state.is_empty() && self.flow.is_empty() && self.deployment.is_empty() && self.since.is_none()
    }

    /// Names of flows and of deployments, of which both have to fit. What could mean more than was
    /// written is refused: it may be asked for to be deleted.
    fn flows_and_deployments(&self) -> Result<(Vec<&str>, Vec<&str>), Failure> {
        let (mut flows, mut own) = (Vec::new(), Vec::new());
        for name in self.deployment {
            let (flow, deployment) = name
                .split_once('/')
                .map_or((None, name.as_str()), |(flow, own)| (Some(flow), own));
            flows.extend(flow);
            own.push(deployment);
        }
        if !flows.is_empty() && flows.len() < own.len() {
            return Err(Failure::usage(
                "write each --deployment with its flow, as `flow/deployment`, or none of them",
            ));
        }
        if self.flow.is_empty() {
            return Ok((flows, own));
        }
        if let Some(other) = flows.iter().find(|flow| !self.flow.iter().any(|named| named == *flow)) {
            return Err(Failure::usage(format!(
                "a --deployment is of the flow {other:?}, and --flow names {}",
                self.flow.join(", ")
            )));
        }
        Ok((self.flow.iter().map(String::as_str).collect(), own))
    }
}

/// A body with `flows`, `deployments` and, under `runs` (`flow_runs` or `task_runs`), the rest.
pub(crate) fn body<'a>(wanted: impl Into<Names<'a>>, runs: &str) -> Result<Value, Failure> {
    let wanted = wanted.into();
    let mut body = json!({runs: {"state": state(wanted.state)?}});
    if let Some(since) = wanted.since {
        body[runs]["expected_start_time"] = json!({"after_": instant(since)?});
    }
    let (flows, deployments) = wanted.flows_and_deployments()?;
    for (key, names) in [("flows", flows), ("deployments", deployments)] {
        if !names.is_empty() {
            body[key] = json!({"name": {"any_": names}});
        }
    }
    Ok(body)
}

/// State types are written in capitals, state names are not.
fn state(words: &[String]) -> Result<Value, Failure> {
    let mut types = Vec::new();
    let mut names = Vec::new();
    for word in words {
        if StateType::parse(word).is_some() {
            types.push(word.as_str());
        } else if let Some(name) = STATE_NAMES.iter().find(|name| name.eq_ignore_ascii_case(word)) {
            names.push(*name);
        } else if let Some(of) = StateType::ALL
            .iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(word))
        {
            types.push(of.as_str());
        } else {
            return Err(no_state(word));
        }
    }
    match (types.is_empty(), names.is_empty()) {
        (true, true) => Ok(Value::Null),
        (false, true) => Ok(json!({"type": {"any_": types}})),
        (true, false) => Ok(json!({"name": {"any_": names}})),
        (false, false) => Err(Failure::usage(format!(
            "--state {} is a state type and --state {} a state name: ask for one or the other",
            types[0], names[0]
        ))),
    }
}

/// For a list that is empty: a flow or a deployment that was asked for and does not exist.
pub(crate) fn mistyped<'a>(client: &Client, wanted: impl Into<Names<'a>>) -> Option<String> {
    let wanted = wanted.into();
    let names = |path: &str| {
        let all = client.all(path, &json!({}), NAMES_MAX).ok()?;
        Some(all.iter().map(|one| text(one, "name")).collect::<Vec<_>>())
    };
    let own = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let flows = wanted
        .flow
        .iter()
        .map(|name| ("flow", "/flows/filter", "flow ls", name.clone()));
    let deployments = wanted.deployment.iter();
    let deployments = deployments.map(|name| ("deployment", "/deployments/filter", "deployment ls", own(name)));
    for (what, path, lists, name) in flows.chain(deployments) {
        let known = names(path)?;
        if !known.contains(&name) {
            let failure = unknown(what, &name, known.iter().map(String::as_str), lists);
            return Some(failure.error.to_string());
        }
    }
    None
}

fn no_state(word: &str) -> Failure {
    let hint = match nearest(word, STATE_NAMES) {
        Some(name) => format!("did you mean {name}?"),
        None => format!(
            "write one of {}, or a state type such as FAILED",
            STATE_NAMES.join(", ")
        ),
    };
    Failure::usage(format!("--state {word:?} is no state: {hint}"))
}

/// A duration counts back from now.
fn instant(text: &str) -> Result<String, Failure> {
    if let Ok(at) = clock::parse_rfc3339(text) {
        return Ok(clock::rfc3339(at));
    }
    let seconds = super::commands::start::seconds("--since", text).map_err(|_| {
        Failure::usage(format!(
            "--since {text:?} is neither a duration such as 30s, 2h or 1 day nor a time such as 2026-03-01T12:00:00Z"
        ))
    })?;
    let now = clock::now();
    let at = grepx_engine::Timestamp(now.0.saturating_sub(i64::try_from(seconds * 1_000).unwrap_or(i64::MAX)));
    Ok(clock::rfc3339(at))
}

#[cfg(test)]
mod tests;
