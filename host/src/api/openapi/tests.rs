use std::collections::BTreeSet;

use serde_json::Value;

use super::{DOCUMENT, PARTS, join};
use crate::api::door::access::RULES;

fn document() -> Value {
    join::document(&PARTS).unwrap_or_else(|mistake| panic!("host/src/api/openapi/{mistake}"))
}

/// `(method, path, operation)`
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &'_ Value)| {
        let methods = methods.as_object().expect("methods").keys().cloned();
        methods.map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    let all: Vec<_> = paths.iter().flat_map(of_path).collect();
    all.into_iter()
        .map(|(method, path)| {
            let operation = &document["paths"][&path][&method];
            (method.to_ascii_uppercase(), path, operation)
        })
        .collect()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let written: BTreeSet<(String, String)> = operations(&document).into_iter().map(|(m, p, _)| (m, p)).collect();
    let missing: Vec<String> = RULES
        .iter()
        .filter(|rule| !written.iter().any(|(method, path)| rule.is(method, path)))
        .map(|rule| {
            let resource = rule
                .route
                .trim_start_matches("/api/")
                .split('/')
                .next()
                .unwrap_or_default();
            let (method, route) = (rule.method(), rule.route);
            format!(
                "route {method} {route} is not in the document: add it to host/src/api/openapi/{resource}.yaml, \
                 or to the file of its resource there (openapi/join.rs has the language)"
            )
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    let lost: Vec<_> = used.difference(&known).collect();
    assert!(lost.is_empty(), "no schemas in host/src/api/openapi: {lost:?}");
    let idle: Vec<_> = known.difference(&used).collect();
    assert!(
        idle.is_empty(),
        "nothing uses these schemas of host/src/api/openapi: {idle:?}"
    );
}

fn references(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str) {
                used.insert(name.rsplit('/').next().unwrap_or_default().to_owned());
            }
            map.values().for_each(|value| references(value, used));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, used)),
        _ => {}
    }
}

#[test]
fn names_of_operations_are_unique_and_scopes_are_those_of_the_door() {
    let document = document();
    let all = operations(&document);
    let ids: BTreeSet<&str> = all
        .iter()
        .filter_map(|(_, _, one)| one["operationId"].as_str())
        .collect();
    assert_eq!(ids.len(), all.len());
    for (method, path, operation) in all {
        let rule = RULES
            .iter()
            .find(|rule| rule.is(&method, &path))
            .expect("joined only with one");
        let scope = operation["x-scope"].as_str();
        assert_eq!(scope, rule.scope.map(|scope| scope.as_str()), "{method} {path}");
        let open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(open, scope.is_none(), "{method} {path}");
        let success = operation["responses"].as_object().expect("responses");
        assert!(
            success.keys().any(|status| status < &"500".to_owned()),
            "{method} {path}"
        );
    }
}

#[test]
fn examples_are_of_their_schemas() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let Some(example) = content.get("example") else {
                continue;
            };
            let mut root = content["schema"].clone();
            root["components"] = document["components"].clone();
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&root)
                .expect("a schema");
            if let Err(error) = validator.validate(example) {
                panic!("{method} {path}, the example of {media}: {error}");
            }
        }
    }
}

#[test]
fn what_is_served_is_what_is_tested() {
    assert_eq!(*DOCUMENT, document());
}

#[test]
fn a_mistake_in_a_part_is_named_with_its_place() {
    let wrong = |text: &str| join::document(&[("odd", text)]).expect_err("is wrong");
    let head = "name: x\nabout: y\n";
    let answer = format!("{head}answers: {{A: {{b: txet}}}}");
    assert_eq!(wrong(&answer), "odd.yaml: A: b: \"txet\" is no type");
    let path = format!("{head}paths: {{/api/nowhere: {{get: {{says: z, 200: text}}}}}}");
    assert!(wrong(&path).contains("GET /api/nowhere: there is no such line in the table of scopes"));
    let twice = format!("{head}answers: {{Problems: {{a: text}}}}\nbodies: {{Problems: {{a: text}}}}");
    assert_eq!(wrong(&twice), "odd.yaml: the schema Problems stands twice");
}
