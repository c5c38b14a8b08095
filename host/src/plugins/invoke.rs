//! The calls that a run makes, one method for each function of the contract.

use std::sync::Arc;
use std::time::Duration;

use grepx_engine::{Command, Json, Snapshot, Step, StopReason, TaskError, Verdict};

use super::bindings::{steps, types};
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
        let kind = self.find(kind, Role::Activity)?;
        check_input(&kind, input.len())?;
        let Program::Activity(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Activity));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let answer = call(self.call(&kind, World::Real, log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let activity = plugin.grepx_plugin_activity();
            activity
                .call_run(&mut store, &kind.info.kind, &given, &text(input))
                .await
        });
        match answer.await? {
            Ok(bytes) => {
                check_output(&kind, bytes.len())?;
                convert::json(bytes, "the result")
                    .map(Step::Done)
                    .map_err(|e| invalid(&kind, e))
            }
            Err(error) => {
                check_output(&kind, convert::error_bytes(&error))?;
                Ok(Step::Failed(convert::error_in(error)))
            }
        }
    }

    /// The first step of a durable attempt.
    ///
    /// # Errors
    /// When the call gave no answer that can be taken.
    pub async fn start(&self, kind: &str, ctx: &Ctx, input: &Json, log: Arc<dyn LogSink>) -> Result<Step, Failure> {
        let kind = self.find(kind, Role::Durable)?;
        check_input(&kind, input.len())?;
        let Program::Durable(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Durable));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let answer = call(self.call(&kind, stored(ctx), log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable
                .call_start(&mut store, &kind.info.kind, &given, &text(input))
                .await
        });
        take_step(&kind, ctx, answer.await?)
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
        let kind = self.find(kind, Role::Durable)?;
        check_state(&kind, state)?;
        check_input(&kind, state.data.as_ref().len() + convert::events_bytes(events))?;
        let Program::Durable(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Durable));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let state = convert::snapshot_out(state);
        let events = convert::events_out(events);
        let answer = call(self.call(&kind, stored(ctx), log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable
                .call_resume(&mut store, &kind.info.kind, &given, &state, &events)
                .await
        });
        take_step(&kind, ctx, answer.await?)
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
        let kind = self.find(kind, Role::Durable)?;
        check_state(&kind, state)?;
        check_input(&kind, state.data.as_ref().len())?;
        let Program::Durable(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Durable));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let state = convert::snapshot_out(state);
        let answer = call(self.call(&kind, stored(ctx), log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            let durable = plugin.grepx_plugin_durable();
            durable
                .call_stop(
                    &mut store,
                    &kind.info.kind,
                    &given,
                    &state,
                    convert::stop_reason(reason),
                )
                .await
        });
        let found = answer.await?;
        check_output(&kind, convert::commands_bytes(&found))?;
        let commands = convert::commands(found, ctx.now).map_err(|e| invalid(&kind, e))?;
        check_granted(&kind, &commands)?;
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
        let Program::Policy(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Policy));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let answer = call(self.call(&kind, stored(ctx), log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            plugin
                .grepx_plugin_policy()
                .call_on_failure(&mut store, &given, &error, &text(config))
                .await
        });
        let verdict = answer.await?;
        if let bindings::judge::Verdict::GiveUp(reason) = &verdict {
            check_output(&kind, reason.len())?;
        }
        Ok(convert::verdict(verdict))
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
        let Program::Policy(pre) = &kind.build.program else {
            return Err(wrong_role(&kind, Role::Policy));
        };
        let given = convert::ctx(ctx, &kind.settings);
        let seconds = timeout.map(|timeout| timeout.as_secs());
        let answer = call(self.call(&kind, stored(ctx), log), async |mut store| {
            let plugin = pre.instantiate_async(&mut store).await?;
            plugin
                .grepx_plugin_policy()
                .call_time_limit(&mut store, &given, seconds, &text(config))
                .await
        });
        Ok(answer.await?.map(Duration::from_millis))
    }

    fn find(&self, kind: &str, wanted: Role) -> Result<Arc<Kind>, Failure> {
        let registry = self.0.registry.load();
        let found = registry
            .kind(kind)
            .ok_or_else(|| Failure::NoPlugin { kind: kind.to_owned() })?;
        if found.info.role == wanted {
            Ok(Arc::clone(found))
        } else {
            Err(wrong_role(found, wanted))
        }
    }

    fn call<'a>(&'a self, kind: &'a Kind, world: World, sink: Arc<dyn LogSink>) -> Call<'a> {
        Call {
            kind: &kind.info.kind,
            engine: &self.0.runtime.engine,
            turns: &self.0.turns,
            limits: &kind.info.limits,
            counters: &kind.counters,
            world,
            sink,
        }
    }
}

fn stored(ctx: &Ctx) -> World {
    World::Stored {
        now_ms: convert::millis(ctx.now),
        seed: ctx.seed,
    }
}

fn text(json: &Json) -> types::Json {
    json.as_str().into()
}

fn take_step(kind: &Kind, ctx: &Ctx, answer: steps::Step) -> Result<Step, Failure> {
    check_output(kind, convert::step_bytes(&answer))?;
    let step = convert::step(answer, ctx.now).map_err(|e| invalid(kind, e))?;
    if let Step::Suspended(suspended) = &step {
        check_state(kind, &suspended.state).map_err(|_| {
            let version = suspended.state.version;
            invalid(
                kind,
                format!("it wrote state version {version}, which its own state-versions exclude"),
            )
        })?;
        check_granted(kind, &suspended.commands)?;
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

/// A command reaches only what the kind asked for, and all of that was granted when it loaded.
fn check_granted(kind: &Kind, commands: &[Command]) -> Result<(), Failure> {
    let missing: Option<Capability> = capability::missing(commands, &kind.info.capabilities);
    match missing {
        None => Ok(()),
        Some(capability) => Err(Failure::NotGranted {
            kind: kind.info.kind.clone(),
            capability,
        }),
    }
}
