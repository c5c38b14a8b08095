//! Kinds that do their work in one call.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::glue::{self, Descriptor};
use crate::{Ctx, Error};

/// One call, input → output. Written for repetition: the host may call again after a crash.
pub trait Activity {
    /// What a task's `task_kind` says, or a Celery task name for the embedded worker.
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// `None`: the version of the crate that exports the kind.
    const VERSION: Option<&'static str> = None;
    /// What the operator has to grant.
    const CAPABILITIES: &'static [&'static str] = &[];

    type Input: DeserializeOwned;
    type Output: Serialize;

    fn input_schema() -> Value;

    fn output_schema() -> Value {
        json!({})
    }

    fn run(ctx: &Ctx, input: Self::Input) -> Result<Self::Output, Error>;
}

#[doc(hidden)]
pub fn descriptor<A: Activity>(version: &str) -> Descriptor {
    Descriptor {
        kind: A::KIND.into(),
        version: A::VERSION.unwrap_or(version).into(),
        summary: A::SUMMARY.into(),
        input_schema: A::input_schema(),
        output_schema: A::output_schema(),
        capabilities: A::CAPABILITIES.iter().map(|&name| name.into()).collect(),
        state_versions: None,
    }
}

#[doc(hidden)]
pub fn call<A: Activity>(ctx: &Ctx, input: &[u8]) -> Result<Vec<u8>, Error> {
    let output = A::run(ctx, glue::parse_input(A::KIND, input)?)?;
    glue::write("the output", &output)
}

/// Exports the named [`Activity`] types as this component: once in a crate.
///
/// Makes a type `Plugin` whose `describe` and `run` native tests may call.
#[macro_export]
macro_rules! export_activity {
    ($($kind:ty),+ $(,)?) => {
        /// What the host calls.
        #[derive(Debug)]
        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        pub enum Plugin {}

        #[allow(unreachable_pub, reason = "private where a test module exports its kinds")]
        impl Plugin {
            pub fn describe() -> Vec<$crate::Descriptor> {
                vec![$($crate::glue::activity_descriptor::<$kind>(env!("CARGO_PKG_VERSION"))),+]
            }

            pub fn run(kind: &str, ctx: &$crate::Ctx, input: &[u8]) -> Result<Vec<u8>, $crate::Error> {
                $(if kind == <$kind as $crate::Activity>::KIND {
                    return $crate::glue::call_activity::<$kind>(ctx, input);
                })+
                Err($crate::glue::unknown_kind(kind, &[$(<$kind as $crate::Activity>::KIND),+]))
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the component boundary")]
        const _: () = {
            use $crate::bindings::activity::exports::grepx::plugin as exports;
            use $crate::bindings::base::exports::grepx::plugin::describe;
            use $crate::bindings::base::grepx::plugin::types;

            impl describe::Guest for Plugin {
                fn describe() -> Vec<types::Descriptor> {
                    $crate::glue::enter();
                    Plugin::describe().into_iter().map(Into::into).collect()
                }
            }

            impl exports::activity::Guest for Plugin {
                fn run(kind: String, ctx: types::Ctx, input: Vec<u8>) -> Result<Vec<u8>, types::Error> {
                    $crate::glue::enter();
                    Ok(Plugin::run(&kind, &ctx.into(), &input)?)
                }
            }

            $crate::bindings::base::export_describe!(Plugin with_types_in $crate::bindings::base);
            $crate::bindings::activity::export_activity_interface!(Plugin with_types_in $crate::bindings::activity);
        };
    };
}

#[cfg(test)]
mod tests;
