//! Kinds that wait: for a timer, a reply, a signal, another flow run. Between two calls nothing
//! of the component is in memory; the host keeps the state and the open commands.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bindings::durable::exports::grepx::plugin::durable as raw;
use crate::glue::{self, Descriptor};
use crate::{Command, Ctx, Error, Step, step};

pub use raw::StopReason;

/// Never blocks. A call may be repeated after a crash and must then answer the same.
pub trait Durable {
    /// What a task's `task_kind` says.
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// `None`: the version of the crate that exports the kind.
    const VERSION: Option<&'static str> = None;
    /// What the operator has to grant.
    const CAPABILITIES: &'static [&'static str] = &[];
    /// Raise it when the shape of `State` changes.
    const STATE_VERSION: u32 = 1;
    /// The oldest version that [`Durable::migrate`] reads.
    const OLDEST_STATE: u32 = Self::STATE_VERSION;

    type Input: DeserializeOwned;
    type Output: Serialize;
    type State: Serialize + DeserializeOwned;

    fn input_schema() -> Value;

    fn output_schema() -> Value {
        json!({})
    }

    fn start(ctx: &Ctx, input: Self::Input) -> Result<Step<Self::Output, Self::State>, Error>;

    /// At least one of the wake keys has an event.
    fn resume(ctx: &Ctx, state: Self::State, events: Vec<Event>) -> Result<Step<Self::Output, Self::State>, Error>;

    /// The attempt ends early; commands to clean up with.
    fn stop(_ctx: &Ctx, _state: Self::State, _reason: StopReason) -> Vec<Command> {
        Vec::new()
    }

    /// Reads a state of an older build, from `OLDEST_STATE` on.
    fn migrate(version: u32, _state: Value) -> Result<Self::State, Error> {
        Err(unreadable_state::<Self>(version))
    }
}

/// The answer to a command, under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub key: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A timer.
    Fired,
    /// The value under a reply's key. The same may come again.
    Reply(Vec<u8>),
    Signal(Value),
    /// The result of a flow run.
    Child(Value),
    /// The host could not do what the command asks.
    Failed(Error),
    Cancelled,
}

/// A stored state with the version that wrote it.
pub type Snapshot = raw::Snapshot;

impl From<raw::Event> for Event {
    fn from(event: raw::Event) -> Self {
        let outcome = match event.outcome {
            raw::Outcome::Fired => Outcome::Fired,
            raw::Outcome::Reply(bytes) => Outcome::Reply(bytes),
            raw::Outcome::Signal(value) => Outcome::Signal(glue::lenient_json(&value)),
            raw::Outcome::Child(value) => Outcome::Child(glue::lenient_json(&value)),
            raw::Outcome::Failed(error) => Outcome::Failed(error.into()),
            raw::Outcome::Cancelled => Outcome::Cancelled,
        };
        Self {
            key: event.key,
            outcome,
        }
    }
}

#[doc(hidden)]
pub fn descriptor<D: Durable>(version: &str) -> Descriptor {
    Descriptor {
        kind: D::KIND.into(),
        version: D::VERSION.unwrap_or(version).into(),
        summary: D::SUMMARY.into(),
        input_schema: D::input_schema(),
        output_schema: D::output_schema(),
        capabilities: D::CAPABILITIES.iter().map(|&name| name.into()).collect(),
        state_versions: Some((D::OLDEST_STATE, D::STATE_VERSION)),
    }
}

#[doc(hidden)]
pub fn start<D: Durable>(ctx: &Ctx, input: &[u8]) -> raw::Step {
    let step = glue::parse_input(D::KIND, input).and_then(|input| D::start(ctx, input));
    step::lower(step.unwrap_or_else(Step::Failed), D::STATE_VERSION)
}

#[doc(hidden)]
pub fn resume<D: Durable>(ctx: &Ctx, state: &Snapshot, events: Vec<raw::Event>) -> raw::Step {
    let events = events.into_iter().map(Into::into).collect();
    let step = read_state::<D>(state).and_then(|state| D::resume(ctx, state, events));
    step::lower(step.unwrap_or_else(Step::Failed), D::STATE_VERSION)
}

#[doc(hidden)]
pub fn stop<D: Durable>(ctx: &Ctx, state: &Snapshot, reason: StopReason) -> Vec<raw::Command> {
    match read_state::<D>(state) {
        Ok(state) => D::stop(ctx, state, reason).into_iter().map(Into::into).collect(),
        Err(error) => {
            crate::log::error(format!("nothing is cleaned up: {error}"));
            Vec::new()
        }
    }
}

fn read_state<D: Durable>(state: &Snapshot) -> Result<D::State, Error> {
    if state.version == D::STATE_VERSION {
        return glue::parse(&state.data).map_err(|problem| {
            Error::permanent(
                "unreadable-state",
                format!("the stored state of the kind {} does not fit: {problem}", D::KIND),
            )
        });
    }
    if !(D::OLDEST_STATE..D::STATE_VERSION).contains(&state.version) {
        return Err(unreadable_state::<D>(state.version));
    }
    D::migrate(state.version, glue::lenient_json(&state.data))
}

fn unreadable_state<D: Durable + ?Sized>(version: u32) -> Error {
    Error::permanent(
        "unreadable-state",
        format!(
            "this build of the kind {} cannot resume a state of version {version}; it reads {} to {}",
            D::KIND,
            D::OLDEST_STATE,
            D::STATE_VERSION
        ),
    )
}

/// Exports the named [`Durable`] types as this component: once in a crate.
///
/// Makes a type `Plugin` whose `describe` native tests may call.
#[macro_export]
macro_rules! export_durable {
    ($($kind:ty),+ $(,)?) => {
        /// What the host calls.
        #[derive(Debug)]
        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        pub enum Plugin {}

        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        impl Plugin {
            pub fn describe() -> Vec<$crate::Descriptor> {
                vec![$($crate::glue::durable_descriptor::<$kind>(env!("CARGO_PKG_VERSION"))),+]
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the component boundary")]
        const _: () = {
            use $crate::bindings::base::exports::grepx::plugin::describe;
            use $crate::bindings::base::grepx::plugin::types;
            use $crate::bindings::durable::exports::grepx::plugin as exports;
            use exports::durable::{Command, Event, Snapshot, Step, StopReason};

            fn unknown(kind: &str) -> Step {
                let error = $crate::glue::unknown_kind(kind, &[$(<$kind as $crate::Durable>::KIND),+]);
                Step::Failed(error.into())
            }

            impl describe::Guest for Plugin {
                fn describe() -> Vec<types::Descriptor> {
                    $crate::glue::enter();
                    Plugin::describe().into_iter().map(Into::into).collect()
                }
            }

            impl exports::durable::Guest for Plugin {
                fn start(kind: String, ctx: types::Ctx, input: Vec<u8>) -> Step {
                    $crate::glue::enter();
                    $(if kind == <$kind as $crate::Durable>::KIND {
                        return $crate::glue::start_durable::<$kind>(&ctx.into(), &input);
                    })+
                    unknown(&kind)
                }

                fn resume(kind: String, ctx: types::Ctx, state: Snapshot, events: Vec<Event>) -> Step {
                    $crate::glue::enter();
                    $(if kind == <$kind as $crate::Durable>::KIND {
                        return $crate::glue::resume_durable::<$kind>(&ctx.into(), &state, events);
                    })+
                    unknown(&kind)
                }

                fn stop(kind: String, ctx: types::Ctx, state: Snapshot, reason: StopReason) -> Vec<Command> {
                    $crate::glue::enter();
                    $(if kind == <$kind as $crate::Durable>::KIND {
                        return $crate::glue::stop_durable::<$kind>(&ctx.into(), &state, reason);
                    })+
                    Vec::new()
                }
            }

            $crate::bindings::base::export_describe!(Plugin with_types_in $crate::bindings::base);
            $crate::bindings::durable::export_durable_interface!(Plugin with_types_in $crate::bindings::durable);
        };
    };
}

#[cfg(test)]
mod tests;
