use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Arguments {
    x: i64,
    #[serde(default)]
    y: i64,
}

fn call(document: Value) -> Result<Arguments, Error> {
    bind(
        serde_json::from_value(document).expect("the test's input reads"),
        &["x", "y"],
    )
}

#[test]
fn position_and_name_mix() {
    for document in [
        json!({ "args": [2, 3] }),
        json!({ "args": [2], "kwargs": { "y": 3 } }),
        json!({ "kwargs": { "y": 3, "x": 2 } }),
    ] {
        assert_eq!(call(document), Ok(Arguments { x: 2, y: 3 }));
    }
}

#[test]
fn what_python_refuses_is_refused() {
    for (document, says) in [
        (json!({ "args": [1, 2, 3] }), "there are only 2: x, y"),
        (
            json!({ "args": [1], "kwargs": { "x": 1 } }),
            "x is given by position and by name",
        ),
        (
            json!({ "args": [1], "kwargs": { "z": 1 } }),
            "there is no argument z; there are x, y",
        ),
        (json!({}), "missing field `x`"),
        (json!({ "args": ["1"] }), "invalid type: string"),
    ] {
        let error = call(document.clone()).expect_err("refused");
        assert!(error.message.contains(says), "{document}: {error}");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert_eq!(error.details.expect("as Celery says it")["exc_type"], "TypeError");
    }
}
