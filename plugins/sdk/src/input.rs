//! The document that every kind gets: the task's row, with inputs evaluated by the host.

use serde::Deserialize;
use serde::de::value::{Error as ReadError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

/// `args` and `kwargs` are the task's arguments, `kwargs` with the evaluated `inputs` on top;
/// `config` is the task's `task_config`. Name types for the parts that the kind reads.
///
/// A part that is absent or null reads as an empty one, so a key that a kind cannot do without
/// is missed by its own name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(
    try_from = "Parts<K, C, A>",
    bound(deserialize = "K: DeserializeOwned, C: DeserializeOwned, A: DeserializeOwned")
)]
pub struct TaskInput<K = Map<String, Value>, C = NoConfig, A = Vec<Value>> {
    /// The Celery task's name, if the task has one.
    pub name: Option<String>,
    pub args: A,
    pub kwargs: K,
    pub config: C,
}

/// The configuration of a kind that has none; refuses every key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

#[derive(Deserialize)]
struct Parts<K, C, A> {
    name: Option<String>,
    args: Option<A>,
    kwargs: Option<K>,
    config: Option<C>,
}

impl<K: DeserializeOwned, C: DeserializeOwned, A: DeserializeOwned> TryFrom<Parts<K, C, A>> for TaskInput<K, C, A> {
    type Error = ReadError;

    fn try_from(parts: Parts<K, C, A>) -> Result<Self, ReadError> {
        Ok(Self {
            name: parts.name,
            args: parts.args.map_or_else(|| empty_list("args"), Ok)?,
            kwargs: parts.kwargs.map_or_else(|| empty_object("kwargs"), Ok)?,
            config: parts.config.map_or_else(|| empty_object("config"), Ok)?,
        })
    }
}

fn empty_object<T: DeserializeOwned>(part: &str) -> Result<T, ReadError> {
    let nothing = std::iter::empty::<(&str, &str)>();
    T::deserialize(MapDeserializer::new(nothing)).map_err(|problem| in_part(part, problem))
}

fn empty_list<T: DeserializeOwned>(part: &str) -> Result<T, ReadError> {
    let nothing = std::iter::empty::<&str>();
    T::deserialize(SeqDeserializer::new(nothing)).map_err(|problem| in_part(part, problem))
}

fn in_part(part: &str, problem: ReadError) -> ReadError {
    ReadError::custom(format_args!("{part}: {problem}"))
}

#[cfg(test)]
mod tests;
