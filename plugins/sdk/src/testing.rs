//! The host's place in the tests of a component: what it says about itself is checked, documents
//! pass its schemas as they would pass the host's, calls go through the same reading and writing,
//! and durable kinds run in virtual time.
//!
//! ```
//! use grepx_plugin_sdk::{prelude::*, testing};
//!
//! /// Waits an hour, then for a name
//! #[durable]
//! async fn greet(ctx: AsyncCtx) -> Result<String, Error> {
//!     ctx.sleep(std::time::Duration::from_secs(3600)).await?;
//!     let name: String = ctx.signal("name").await?;
//!     Ok(format!("hello {name}"))
//! }
//!
//! let mut run = testing::start::<greet>(json!({}));
//! run.advance(std::time::Duration::from_secs(3600));
//! run.signal("name", json!("Ada"));
//! assert_eq!(run.finish(), Ok(json!("hello Ada")));
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Activity, Ctx, Descriptor, Durable, Error, Policy, Verdict, glue, policy as policies};

mod durable;

pub use durable::TestRun;

/// Calls an activity with an input document, as the host would.
///
/// # Panics
/// When the output does not fit the output schema: a task downstream would get it.
pub fn call<A: Activity>(ctx: &Ctx, input: &Value) -> Result<Value, Error> {
    crate::log::collect();
    refuse(A::KIND, &A::input_schema(), input)?;
    let output = glue::call_activity::<A>(ctx, input.to_string().as_bytes())?;
    Ok(fitting(A::KIND, &A::output_schema(), &output))
}

/// Starts a durable kind with an input document, at the time of [`Ctx::for_tests`].
pub fn start<D: Durable>(input: Value) -> TestRun<D> {
    TestRun::start(Ctx::for_tests(), input)
}

/// Asks a policy about a failure, with a task's `retry_config`.
pub fn judge<P: Policy>(ctx: &Ctx, failure: &Error, config: &Value) -> Verdict {
    crate::log::collect();
    policies::judge::<P>(ctx, failure, config.to_string().as_bytes())
}

/// What the host does before a call.
fn refuse(kind: &str, schema: &Value, input: &Value) -> Result<(), Error> {
    match problems(schema, input).first() {
        None => Ok(()),
        Some(problem) => Err(Error::invalid_input(format!(
            "the input does not fit the schema of kind {kind}: {problem}"
        ))),
    }
}

fn fitting(kind: &str, schema: &Value, output: &[u8]) -> Value {
    let output = serde_json::from_slice(output).expect("the SDK writes JSON");
    let problems = problems(schema, &output);
    assert!(
        problems.is_empty(),
        "the output of the kind {kind} does not fit its schema: {problems:?}\n{output}"
    );
    output
}

/// Panics with the reason when a host would not load the component.
pub fn check(descriptors: &[Descriptor]) {
    assert!(!descriptors.is_empty(), "the component describes no kind");
    let mut kinds = BTreeSet::new();
    for descriptor in descriptors {
        let kind = &descriptor.kind;
        assert!(kinds.insert(kind), "the kind {kind} is described twice");
        assert!(!descriptor.summary.is_empty(), "the kind {kind} has no summary");
        for (which, schema) in [
            ("input", &descriptor.input_schema),
            ("output", &descriptor.output_schema),
        ] {
            jsonschema::validator_for(schema)
                .unwrap_or_else(|error| panic!("the {which} schema of the kind {kind}: {error}"));
        }
        if let Some((oldest, newest)) = descriptor.state_versions {
            assert!(oldest <= newest, "the kind {kind} reads no state version");
        }
    }
}

/// What the schema finds wrong; empty when it accepts the document.
pub fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).expect("the schema is one");
    let errors = validator.iter_errors(document);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}
