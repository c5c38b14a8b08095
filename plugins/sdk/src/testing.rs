//! Checks for the tests of a component: that what it says about itself would load, and that its
//! schemas accept and refuse the right documents.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Descriptor;

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
