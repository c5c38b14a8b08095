//! What the runner asks of task kinds and policies. Plugins answer; in a simulation, a script.

use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{Call, Command, Json, Snapshot, Step, StopReason, TaskError, Verdict};
use serde_json::Value;
use tokio::sync::watch;

use crate::plugins::{Ctx, Failure, KeyedOutcome, LogSink, Plugins, Role};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub enum Kinds {
    Plugins(Plugins),
    #[cfg(test)]
    Script(Arc<dyn Script>),
}

/// Kinds that a test has written.
#[cfg(test)]
pub trait Script: Send + Sync + std::fmt::Debug {
    fn is_pure(&self, kind: &str) -> bool;
    fn step(
        &self,
        kind: String,
        ctx: Ctx,
        call: Call,
    ) -> futures_util::future::BoxFuture<'static, Result<Step, Failure>>;
    fn judge(&self, ctx: &Ctx, error: &TaskError, config: &Json) -> Verdict;
    fn stop(&self, kind: &str, ctx: &Ctx, state: &Snapshot, reason: StopReason) -> Vec<Command>;
}

impl From<Plugins> for Kinds {
    fn from(plugins: Plugins) -> Self {
        Self::Plugins(plugins)
    }
}

impl Kinds {
    /// Whether calls of the kind cannot touch the outside.
    pub(crate) fn is_pure(&self, kind: &str) -> bool {
        match self {
            Self::Plugins(plugins) => plugins.is_pure(kind),
            #[cfg(test)]
            Self::Script(script) => script.is_pure(kind),
        }
    }

    /// Tells of every change of what serves.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        match self {
            Self::Plugins(plugins) => plugins.changes(),
            #[cfg(test)]
            Self::Script(_) => watch::channel(0).1,
        }
    }

    /// Whether the input fits the kind: one line for each fault.
    pub(crate) fn check(&self, kind: &str, input: &Value) -> Result<Result<(), Vec<String>>, Failure> {
        match self {
            Self::Plugins(plugins) => Ok(plugins.newest(kind)?.validate(input)),
            #[cfg(test)]
            Self::Script(_) => Ok(Ok(())),
        }
    }

    /// A call of an attempt, and the digest of the build that was called: the newest for a first
    /// step, else one that reads the state.
    pub(crate) async fn step(
        &self,
        kind: &str,
        ctx: &Ctx,
        call: &Call,
        log: Arc<dyn LogSink>,
    ) -> (Result<Step, Failure>, Option<Arc<str>>) {
        match self {
            Self::Plugins(plugins) => step(plugins, kind, ctx, call, log).await,
            #[cfg(test)]
            Self::Script(script) => (script.step(kind.to_owned(), ctx.clone(), call.clone()).await, None),
        }
    }

    /// Asks the policy what follows a failure.
    pub(crate) async fn judge(
        &self,
        policy: &str,
        ctx: &Ctx,
        error: &TaskError,
        config: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Verdict, Failure> {
        match self {
            Self::Plugins(plugins) => plugins.judge(policy, ctx, error, config, log).await,
            #[cfg(test)]
            Self::Script(script) => Ok(script.judge(ctx, error, config)),
        }
    }

    /// Asks the policy how long an attempt may take.
    pub(crate) async fn time_limit(
        &self,
        policy: &str,
        ctx: &Ctx,
        timeout: Option<Duration>,
        config: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Option<Duration>, Failure> {
        match self {
            Self::Plugins(plugins) => plugins.time_limit(policy, ctx, timeout, config, log).await,
            #[cfg(test)]
            Self::Script(_) => Ok(timeout),
        }
    }

    /// Asks a suspended attempt what to clean up.
    pub(crate) async fn stop(
        &self,
        kind: &str,
        ctx: &Ctx,
        (state, build): (&Snapshot, Option<&Arc<str>>),
        reason: StopReason,
        log: Arc<dyn LogSink>,
    ) -> Result<Vec<Command>, Failure> {
        match self {
            Self::Plugins(plugins) => {
                let build = plugins.for_state(kind, state.version, build).await?;
                plugins.stop_on(&build, ctx, state, reason, log).await
            }
            #[cfg(test)]
            Self::Script(script) => Ok(script.stop(kind, ctx, state, reason)),
        }
    }
}

async fn step(
    plugins: &Plugins,
    kind: &str,
    ctx: &Ctx,
    call: &Call,
    log: Arc<dyn LogSink>,
) -> (Result<Step, Failure>, Option<Arc<str>>) {
    let build = match &call.resume {
        None => plugins.newest(kind),
        Some((state, _)) => plugins.for_state(kind, state.version, call.build.as_ref()).await,
    };
    let build = match build {
        Ok(build) => build,
        Err(failure) => return (Err(failure), None),
    };
    let answer = match (build.info.role, &call.resume) {
        (Role::Activity, _) => plugins.run_activity_on(&build, ctx, &call.input, log).await,
        (_, None) => plugins.start_on(&build, ctx, &call.input, log).await,
        (_, Some((state, events))) => {
            let events: Vec<KeyedOutcome> = events
                .iter()
                .map(|(key, outcome)| KeyedOutcome {
                    key: key.clone(),
                    outcome: outcome.clone(),
                })
                .collect();
            plugins.resume_on(&build, ctx, state, &events, log).await
        }
    };
    (answer, Some(build.digest().clone()))
}
