use super::*;

fn found(schema: &Value, value: &Value) -> Vec<String> {
    check(schema).unwrap_or_else(|why| panic!("{schema}: {why}"));
    problems(schema, value, "form")
}

/// Schemas and documents, each of the former against each of the latter.
fn schemas() -> Vec<Value> {
    vec![
        json!(true),
        json!(false),
        json!({}),
        json!({ "type": "integer" }),
        json!({ "type": ["string", "null"] }),
        json!({ "type": "number", "minimum": 1, "maximum": 3 }),
        json!({ "exclusiveMinimum": 1, "exclusiveMaximum": 3 }),
        json!({ "multipleOf": 0.1 }),
        json!({ "multipleOf": 2 }),
        json!({ "enum": [1, "a", null, [1], { "a": 1.0 }] }),
        json!({ "const": 1 }),
        json!({ "minLength": 2, "maxLength": 3 }),
        json!({ "pattern": "^a" }),
        json!({ "type": "array", "items": { "type": "integer" }, "minItems": 1, "maxItems": 2 }),
        json!({ "prefixItems": [{ "type": "string" }], "items": false }),
        json!({ "uniqueItems": true }),
        json!({ "contains": { "const": 1 }, "maxContains": 1 }),
        json!({ "contains": { "const": 1 }, "minContains": 0 }),
        json!({ "required": ["a"], "properties": { "a": { "type": "integer" } } }),
        json!({ "properties": { "a": true }, "additionalProperties": false }),
        json!({ "patternProperties": { "^a": { "type": "integer" } }, "additionalProperties": { "type": "string" } }),
        json!({ "propertyNames": { "maxLength": 1 } }),
        json!({ "minProperties": 1, "maxProperties": 1 }),
        json!({ "dependentRequired": { "a": ["b"] } }),
        json!({ "dependentSchemas": { "a": { "required": ["b"] } } }),
        json!({ "allOf": [{ "type": "integer" }, { "minimum": 2 }] }),
        json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
        json!({ "oneOf": [{ "type": "integer" }, { "minimum": 2 }] }),
        json!({ "not": { "type": "object" } }),
        json!({ "if": { "type": "integer" }, "then": { "minimum": 2 }, "else": { "type": "string" } }),
        json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "integer" } }, "minimum": 1 }),
        json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": false }),
        json!({ "title": "t", "format": "email", "description": "d", "x-order": 1 }),
    ]
}

fn documents() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(2),
        json!(3),
        json!(0.3),
        json!(-4),
        json!(9_007_199_254_740_993_u64),
        json!(""),
        json!("a"),
        json!("üüü"),
        json!("abcd"),
        json!([]),
        json!([1]),
        json!([1, 1]),
        json!([1, 1.0, 2]),
        json!(["a"]),
        json!(["a", 1]),
        json!({}),
        json!({ "a": 1 }),
        json!({ "a": "x", "b": 1 }),
        json!({ "a": {} }),
        json!({ "a": { "b": 1 } }),
        json!({ "b": "x" }),
        json!({ "ab": 1 }),
    ]
}

#[test]
fn it_judges_as_a_general_validator_does() {
    for schema in schemas() {
        let general = jsonschema::draft202012::new(&schema).expect("the test's schema is one");
        for document in documents() {
            let found = found(&schema, &document);
            assert_eq!(
                found.is_empty(),
                general.is_valid(&document),
                "{schema} on {document}: {found:?}"
            );
        }
    }
}

#[test]
fn a_problem_has_its_place_and_says_what_to_do() {
    let schema = json!({
        "type": "object",
        "required": ["amount", "orders"],
        "properties": {
            "amount": { "type": "integer", "minimum": 10 },
            "side": { "enum": ["buy", "sell"] },
            "orders": { "items": { "properties": { "n": { "type": ["integer", "null"] } } } },
        },
        "additionalProperties": false,
    });
    let document = json!({ "amount": 3, "side": "hold", "extra": 1, "orders": [{ "n": 1 }, { "n": "x" }] });
    assert_eq!(
        found(&schema, &document),
        [
            "form.amount: has to be at least 10",
            "form.side: has to be one of \"buy\", \"sell\"",
            "form.extra: is not part of the form",
            "form.orders.1.n: has to be of type integer or null",
        ]
    );
    assert_eq!(found(&schema, &json!({ "amount": 10 })), ["form.orders: is missing"]);
}

#[test]
fn what_could_not_be_enforced_is_refused() {
    for (schema, place) in [
        (json!(3), "#"),
        (json!({ "type": "integr" }), "#/type"),
        (
            json!({ "properties": { "a": { "minimum": "1" } } }),
            "#/properties/a/minimum",
        ),
        (json!({ "pattern": "(" }), "#/pattern"),
        (json!({ "pattern": "(?=a)" }), "#/pattern"),
        (json!({ "patternProperties": { "(": {} } }), "#/patternProperties"),
        (json!({ "$ref": "https://a.example/x.json" }), "#/$ref"),
        (json!({ "$ref": "#/$defs/missing" }), "#/$ref"),
        (json!({ "allOf": [] }), "#/allOf"),
        (json!({ "items": [{}] }), "#/items"),
        (json!({ "required": "a" }), "#/required"),
        (json!({ "multipleOf": 0 }), "#/multipleOf"),
        (json!({ "unevaluatedProperties": false }), "#/unevaluatedProperties"),
        (json!({ "not": { "dependencies": {} } }), "#/not/dependencies"),
    ] {
        let why = check(&schema).expect_err("refused");
        assert!(why.starts_with(place), "{schema}: {why}");
    }
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert!(check(&deep).expect_err("refused").contains("deeper than"));
}

#[test]
fn circles_and_floods_end() {
    let circle = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } });
    let endless = ["form: goes deeper, or takes longer, than a form may"];
    assert_eq!(found(&circle, &json!(1)), endless);
    assert_eq!(
        found(
            &json!({ "not": circle["$defs"]["a"], "$defs": circle["$defs"] }),
            &json!(1)
        ),
        endless
    );
    let doubling = json!({ "properties": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
    let deep = (0..30).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert_eq!(found(&doubling, &deep), endless);
    let many: Vec<Value> = (0..1000).map(|_| json!("x")).collect();
    assert_eq!(
        found(&json!({ "items": { "type": "integer" } }), &json!(many)).len(),
        20
    );
}
