//! The document that every kind gets: the task's row, with inputs evaluated by the host.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// The frame of the document around the schemas of its parts. A part is required when it has
/// members that are; `config` takes no unknown member unless its type says so.
impl<K: JsonSchema, C: JsonSchema, A: JsonSchema> JsonSchema for TaskInput<K, C, A> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TaskInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let args = generator.subschema_for::<A>();
        let kwargs = generator.subschema_for::<K>();
        let mut config = generator.subschema_for::<C>();
        if config.get("properties").is_some()
            && config.get("additionalProperties").is_none()
            && config.get("unevaluatedProperties").is_none()
        {
            config.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        let demands = |part: &Schema| {
            let members = part
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|it| !it.is_empty());
            members || part.get("minItems").and_then(Value::as_u64).is_some_and(|it| it > 0)
        };
        let parts = [("args", &args), ("kwargs", &kwargs), ("config", &config)];
        let required: Vec<&str> = parts
            .iter()
            .filter(|(_, part)| demands(part))
            .map(|(name, _)| *name)
            .collect();
        json_schema!({
            "type": "object",
            "required": required,
            "properties": {
                "name": { "type": ["string", "null"], "description": "The Celery task's name" },
                "args": args,
                "kwargs": kwargs,
                "config": config,
            },
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
