use super::*;
use crate::{NoConfig, TaskInput, data};

#[data]
struct Kwargs {
    /// What to write
    text: String,
    #[serde(default)]
    times: Option<u32>,
}

#[data]
struct Config {
    #[serde(default)]
    loud: bool,
}

#[data]
struct Tree {
    children: Vec<Tree>,
}

#[test]
fn the_frame_of_the_document_is_around_the_types() {
    let schema = input_of::<TaskInput<Kwargs, Config>>();
    assert_eq!(schema["required"], json!(["kwargs"]));
    let kwargs = &schema["properties"]["kwargs"];
    assert_eq!(kwargs["required"], json!(["text"]));
    assert_eq!(kwargs["properties"]["text"]["description"], "What to write");
    assert_eq!(
        kwargs.get("additionalProperties"),
        None,
        "further arguments are allowed"
    );
    assert_eq!(schema["properties"]["config"]["additionalProperties"], false);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn without_types_there_is_still_a_frame_that_refuses_a_configuration() {
    let schema = input_of::<TaskInput>();
    assert_eq!(schema["required"], json!([]));
    assert_eq!(schema["properties"]["config"]["additionalProperties"], false);
    assert_eq!(input_of::<NoConfig>()["additionalProperties"], false);
}

#[test]
fn a_tuple_of_arguments_is_required() {
    let schema = input_of::<TaskInput<serde_json::Map<String, Value>, NoConfig, (i64, i64)>>();
    assert_eq!(schema["required"], json!(["args"]));
}

#[test]
fn a_type_that_holds_itself_has_a_schema() {
    let schema = output_of::<Tree>();
    assert_eq!(schema["type"], "object", "{schema}");
}
