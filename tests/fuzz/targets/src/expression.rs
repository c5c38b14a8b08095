//! Expressions: refused by a sentence, or evaluated to JSON, also as a condition and as a list.
//!
//! An input is the expression; after a line `---` may stand the parameters, as JSON.

use grepx_host::expressions::{Context, Expression};
use serde_json::{Value, json};

use crate::definitions::line;

pub(crate) fn read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (source, params) = text.split_once("\n---\n").unwrap_or((text, ""));
    let params = serde_json::from_str(params).unwrap_or_else(|_| json!({"n": 3, "word": "é", "list": [1, null, "x"]}));
    let expression = match Expression::compile(source) {
        Err(error) => return line(&error.to_string()),
        Ok(expression) => expression,
    };
    let results = |task: &str| (!task.is_empty()).then(|| json!({"task": task, "rows": [{"a": 1.5}, {"a": -2}]}));
    let (run, task, item) = (
        json!({"id": "run", "name": "any"}),
        json!({"name": "task"}),
        json!([1, 2]),
    );
    let context = Context {
        results: &results,
        params: &params,
        run: &run,
        task: &task,
        item: Some(&item),
    };
    match expression.eval(&context) {
        Err(error) => line(&error.to_string()),
        Ok(value) => {
            let list = expression.eval_list(&context);
            assert!(matches!(value, Value::Array(_)) || list.is_err(), "{source:?}");
            if let Err(error) = expression.eval_bool(&context) {
                line(&error.to_string());
            }
        }
    }
}
