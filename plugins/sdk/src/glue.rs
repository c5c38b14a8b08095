//! Between the generated bindings and the traits: reading and writing documents, the text of a
//! panic, descriptors. Public only because the export macros expand in the author's crate.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::bindings::base::grepx::plugin::types as raw;

pub use wit_bindgen;

pub use crate::activity::{call as call_activity, descriptor as activity_descriptor};
pub use crate::durable::{
    descriptor as durable_descriptor, resume as resume_durable, start as start_durable, stop as stop_durable,
};
pub use crate::policy::{
    descriptor as policy_descriptor, on_failure as policy_on_failure, time_limit as policy_time_limit,
};

/// What one kind says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    pub kind: String,
    pub version: String,
    pub summary: String,
    pub input_schema: Value,
    pub output_schema: Value,
    pub capabilities: Vec<String>,
    pub state_versions: Option<(u32, u32)>,
}

impl From<Descriptor> for raw::Descriptor {
    fn from(descriptor: Descriptor) -> Self {
        Self {
            kind: descriptor.kind,
            version: descriptor.version,
            summary: descriptor.summary,
            input_schema: descriptor.input_schema.to_string().into_bytes(),
            output_schema: descriptor.output_schema.to_string().into_bytes(),
            capabilities: descriptor.capabilities,
            state_versions: descriptor.state_versions,
            meta: Vec::new(),
        }
    }
}

/// Reads a document; the problem begins with the path of the member that does not fit.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads the input document of a task.
pub fn parse_input<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T, Error> {
    parse(bytes).map_err(|problem| Error::invalid_input(format!("the input does not fit the kind {kind}: {problem}")))
}

/// Writes a result. Fails on what JSON cannot hold, such as a map with keys that are no text.
pub fn write<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::permanent("unwritable", format!("{what} cannot be written as JSON: {error}")))
}

/// JSON if it is, else the text, so that nothing from outside is lost.
pub(crate) fn lenient_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

pub fn unknown_kind(kind: &str, known: &[&str]) -> Error {
    Error::permanent(
        "unknown-kind",
        format!("this component has no kind {kind}; it has {}", known.join(", ")),
    )
}

/// Before every call of the host: lines of the crate `log` go to the task run's log, and so does
/// the text of a panic before the trap ends the call. The host itself sees no more of a panic
/// than `unreachable`.
#[cfg(target_arch = "wasm32")]
pub fn enter() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        crate::log::collect();
        std::panic::set_hook(Box::new(|panic| crate::log::last_words(&panic_text(panic))));
    });
}

#[cfg(any(target_arch = "wasm32", test))]
fn panic_text(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let what = panic.payload_as_str().unwrap_or("without a text");
    match panic.location() {
        Some(at) => format!("the plugin panicked at {at}: {what}"),
        None => format!("the plugin panicked: {what}"),
    }
}

#[cfg(test)]
mod tests;
