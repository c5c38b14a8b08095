//! The calls that a run makes, one method for each function of the contract.

use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{Command, Json, Snapshot, Step, StopReason, TaskError, Verdict};

use super::bindings::{steps, types};
use super::call::kept::Question;
use super::call::{Call, call};
use super::capability::{self, Capability};
use super::convert::{self, Invalid};
use super::failure::Failure;
use super::guest::World;
use super::registry::Kind;
use super::types::{Ctx, KeyedOutcome, LogSink, Role};
use super::verify::Program;
use super::{Plugins, bindings};

impl Plugins {
    /// Runs an activity: [`Step::Done`] or [`Step::Failed`].
    ///
    /// # Errors
    /// When the call gave no answer.
    pub async fn run_activity(
        &self,
        kind: &str,
        ctx: &Ctx,
        input: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Step, Failure> {
        self.run_activity_on(&*self.newest(kind)?, ctx, input, log).await
    }

    /// The first step of a durable attempt.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken.
    pub async fn start(&self, kind: &str, ctx: &Ctx, input: &Json, log: Arc<dyn LogSink>) -> Result<Step, Failure> {
        self.start_on(&*self.newest(kind)?, ctx, input, log).await
    }

    /// A further step, woken by `events`.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken, or no build reads the state.
    pub async fn resume(
        &self,
        kind: &str,
        ctx: &Ctx,
        state: &Snapshot,
        events: &[KeyedOutcome],
        log: Arc<dyn LogSink>,
    ) -> Result<Step, Failure> {
        let kind = self.for_state(kind, state.version, None).await?;
        self.resume_on(&kind, ctx, state, events, log).await
    }

    /// Asks a suspended attempt what to clean up.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken, or no build reads the state.
    pub async fn stop(
        &self,
        kind: &str,
        ctx: &Ctx,
        state: &Snapshot,
        reason: StopReason,
        log: Arc<dyn LogSink>,
    ) -> Result<Vec<Command>, Failure> {
        let kind = self.for_state(kind, state.version, None).await?;
        self.stop_on(&kind, ctx, state, reason, log).await
    }

    /// As [`Self::run_activity`], on this build.
    ///
    /// # Errors
    /// When the call gave no answer.
    pub async fn run_activity_on(
        &self,
        kind: &Kind,
        ctx: &Ctx,
        input: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Step, Failure> {
        let Program::Activity(pre) = &*kind.program else {
            return Err(wrong_role(kind, Role::Activity));
        };
        check_input(kind, input.len())?;
        let (given, input) = (convert::ctx(ctx, &kind.settings), text(kind, input)?);
        let question = Question {
            kind: &kind.info.kind,
            ctx: &given,
            input: &input,
        };
        match kind.kept.run(self.call(kind, ctx, log), pre, question).await? {
            Ok(bytes) => {
                check_output(kind, bytes.len())?;
                done(kind, bytes)
            }
            Err(error) => {
                check_output(kind, convert::error_bytes(&error))?;
                Ok(Step::Failed(failed(kind, error)))
            }
        }
    }

    /// As [`Self::start`], on this build.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken.
    pub async fn start_on(&self, kind: &Kind, ctx: &Ctx, input: &Json, log: Arc<dyn LogSink>) -> Result<Step, Failure> {
        let Program::Durable(pre) = &*kind.program else {
            return Err(wrong_role(kind, Role::Durable));
        };
        check_input(kind, input.len())?;
        let (given, input) = (convert::ctx(ctx, &kind.settings), text(kind, input)?);
        let answer = call(self.call(kind, ctx, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable.call_start(&mut store, &kind.info.kind, &given, &input).await
        });
        take_step(kind, ctx, answer.await?)
    }

    /// As [`Self::resume`], on this build.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken, or this build does not read the state.
    pub async fn resume_on(
        &self,
        kind: &Kind,
        ctx: &Ctx,
        state: &Snapshot,
        events: &[KeyedOutcome],
        log: Arc<dyn LogSink>,
    ) -> Result<Step, Failure> {
        let Program::Durable(pre) = &*kind.program else {
            return Err(wrong_role(kind, Role::Durable));
        };
        check_state(kind, state)?;
        check_input(kind, state.data.as_ref().len() + convert::events_bytes(events))?;
        let given = convert::ctx(ctx, &kind.settings);
        let state = convert::snapshot_out(state);
        let events = convert::events_out(events);
        let answer = call(self.call(kind, ctx, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable
                .call_resume(&mut store, &kind.info.kind, &given, &state, &events)
                .await
        });
        take_step(kind, ctx, answer.await?)
    }

    /// As [`Self::stop`], on this build.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken, or this build does not read the state.
    pub async fn stop_on(
        &self,
        kind: &Kind,
        ctx: &Ctx,
        state: &Snapshot,
        reason: StopReason,
        log: Arc<dyn LogSink>,
    ) -> Result<Vec<Command>, Failure> {
        let Program::Durable(pre) = &*kind.program else {
            return Err(wrong_role(kind, Role::Durable));
        };
        check_state(kind, state)?;
        check_input(kind, state.data.as_ref().len())?;
        let given = convert::ctx(ctx, &kind.settings);
        let state = convert::snapshot_out(state);
        let reason = convert::stop_reason(reason);
        let answer = call(self.call(kind, ctx, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable
                .call_stop(&mut store, &kind.info.kind, &given, &state, reason)
                .await
        });
        let found = answer.await?;
        check_output(kind, convert::commands_bytes(&found))?;
        let commands = convert::commands(found, ctx.now).map_err(|e| invalid(kind, e))?;
        check_commands(kind, &commands)?;
        Ok(commands)
    }

    /// Asks the policy `kind` what follows the failure; `config` is the task's `retry_config`.
    ///
    /// # Errors
    /// When the call gave no answer.
    pub async fn judge(
        &self,
        kind: &str,
        ctx: &Ctx,
        error: &TaskError,
        config: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Verdict, Failure> {
        let kind = self.find(kind, Role::Policy)?;
        let error = convert::error_out(error);
        check_input(&kind, config.len() + convert::error_bytes(&error))?;
        let Program::Policy(pre) = &*kind.program else {
            return Err(wrong_role(&kind, Role::Policy));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let config = text(&kind, config)?;
        let answer = call(self.call(&kind, ctx, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            plugin
                .grepx_plugin_policy()
                .call_on_failure(&mut store, &given, &error, &config)
                .await
        });
        let verdict = answer.await?;
        if let bindings::judge::Verdict::GiveUp(reason) = &verdict {
            check_output(&kind, reason.len())?;
        }
        Ok(convert::verdict(verdict, |text| {
            kind.rights.secrets.scrub(text).into_owned()
        }))
    }

    /// Asks the policy `kind` how long the attempt may take; `timeout` is what the task says, in
    /// whole seconds. `None` is without a limit.
    ///
    /// # Errors
    /// When the call gave no answer.
    pub async fn time_limit(
        &self,
        kind: &str,
        ctx: &Ctx,
        timeout: Option<Duration>,
        config: &Json,
        log: Arc<dyn LogSink>,
    ) -> Result<Option<Duration>, Failure> {
        let kind = self.find(kind, Role::Policy)?;
        check_input(&kind, config.len())?;
        let Program::Policy(pre) = &*kind.program else {
            return Err(wrong_role(&kind, Role::Policy));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let seconds = timeout.map(|timeout| timeout.as_secs());
        let config = text(&kind, config)?;
        let answer = call(self.call(&kind, ctx, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            plugin
                .grepx_plugin_policy()
                .call_time_limit(&mut store, &given, seconds, &config)
                .await
        });
        Ok(answer.await?.map(Duration::from_millis))
    }

    fn find(&self, kind: &str, wanted: Role) -> Result<Arc<Kind>, Failure> {
        let found = self.newest(kind)?;
        if found.info.role == wanted {
            Ok(found)
        } else {
            Err(wrong_role(&found, wanted))
        }
    }

    fn call<'a>(&'a self, kind: &'a Kind, ctx: &Ctx, sink: Arc<dyn LogSink>) -> Call<'a> {
        let world = if kind.rights.grants.clock {
            World::Real
        } else {
            World::Stored {
                now_ms: convert::millis(ctx.now),
                seed: ctx.seed,
            }
        };
        Call {
            engine: &self.0.runtime.engine,
            turns: &self.0.turns,
            limits: &kind.info.limits,
            counters: &kind.counters,
            rights: &kind.rights,
            world,
            sink,
        }
    }
}

/// The input with placeholders for the secrets that it names.
fn text(kind: &Kind, json: &Json) -> Result<types::Json, Failure> {
    let told = kind.rights.secrets.refer(json.as_str());
    told.map(|text| text.as_bytes().to_vec())
        .map_err(|name| Failure::NotGranted {
            kind: kind.info.kind.clone(),
            capability: Capability::Secret(name),
        })
}

fn done(kind: &Kind, bytes: Vec<u8>) -> Result<Step, Failure> {
    let secrets = &kind.rights.secrets;
    let bytes = if secrets.is_empty() {
        bytes
    } else {
        secrets.scrub_bytes(bytes)
    };
    convert::json(bytes, "the result")
        .map(Step::Done)
        .map_err(|e| invalid(kind, e))
}

fn failed(kind: &Kind, error: types::Error) -> TaskError {
    let secrets = &kind.rights.secrets;
    let mut error = convert::error_in(error);
    if !secrets.is_empty() {
        error.code = secrets.scrub(&error.code).into_owned();
        error.message = secrets.scrub(&error.message).into_owned();
        error.details = error.details.map(|details| {
            let text = secrets.scrub(details.as_str()).into_owned();
            Json::parse(text).unwrap_or_else(|_| Json::null())
        });
    }
    error
}

fn take_step(kind: &Kind, ctx: &Ctx, answer: steps::Step) -> Result<Step, Failure> {
    check_output(kind, convert::step_bytes(&answer))?;
    let answer = match answer {
        steps::Step::Done(bytes) => return done(kind, bytes),
        steps::Step::Failed(error) => return Ok(Step::Failed(failed(kind, error))),
        suspended @ steps::Step::Suspended(_) => suspended,
    };
    let mut step = convert::step(answer, ctx.now).map_err(|e| invalid(kind, e))?;
    if let Step::Suspended(suspended) = &mut step {
        check_state(kind, &suspended.state).map_err(|_| {
            let version = suspended.state.version;
            invalid(
                kind,
                format!("it wrote state version {version}, which its own state-versions exclude"),
            )
        })?;
        check_commands(kind, &suspended.commands)?;
        let secrets = &kind.rights.secrets;
        if let Some(name) = secrets.found_in(suspended.state.data.as_ref()) {
            return Err(invalid(
                kind,
                format!("its state holds the value of the secret `{name}`"),
            ));
        }
        if let Some(status) = &mut suspended.status {
            *status = secrets.scrub(status).into_owned();
        }
    }
    Ok(step)
}

fn wrong_role(kind: &Kind, wanted: Role) -> Failure {
    Failure::WrongRole {
        kind: kind.info.kind.clone(),
        is: kind.info.role,
        wanted,
    }
}

fn invalid(kind: &Kind, reason: Invalid) -> Failure {
    Failure::InvalidOutput {
        kind: kind.info.kind.clone(),
        reason,
    }
}

fn check_input(kind: &Kind, size: usize) -> Result<(), Failure> {
    let limit = kind.info.limits.max_input_bytes;
    if size <= limit {
        return Ok(());
    }
    let kind = kind.info.kind.clone();
    Err(Failure::InputTooLarge { kind, limit, size })
}

fn check_output(kind: &Kind, size: usize) -> Result<(), Failure> {
    let limit = kind.info.limits.max_output_bytes;
    if size <= limit {
        return Ok(());
    }
    let kind = kind.info.kind.clone();
    Err(Failure::OutputTooLarge { kind, limit, size })
}

fn check_state(kind: &Kind, state: &Snapshot) -> Result<(), Failure> {
    match kind.info.state_versions {
        Some((oldest, newest)) if !(oldest..=newest).contains(&state.version) => Err(Failure::StateUnsupported {
            kind: kind.info.kind.clone(),
            found: state.version,
            oldest,
            newest,
        }),
        _ => Ok(()),
    }
}

/// A command reaches only what the kind asked for, and all of that was granted when it loaded; and
/// it carries no secret, because the store keeps it.
fn check_commands(kind: &Kind, commands: &[Command]) -> Result<(), Failure> {
    if let Some(capability) = capability::missing(commands, &kind.info.capabilities, &kind.rights.grants) {
        return Err(Failure::NotGranted {
            kind: kind.info.kind.clone(),
            capability,
        });
    }
    let secrets = &kind.rights.secrets;
    if secrets.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec(commands).unwrap_or_default();
    match secrets.found_in(&text) {
        Some(name) => Err(invalid(
            kind,
            format!("a command holds the value of the secret `{name}`"),
        )),
        None => Ok(()),
    }
}
