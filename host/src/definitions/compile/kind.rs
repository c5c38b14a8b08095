//! The shape of `retry_config`, which the host itself reads.

use serde_json::{Map, Value};

/// (key, fault) of every known key that holds the wrong thing. Other keys are the retry kind's own.
pub(super) fn retry_config(config: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let mut check = |key: &'static str, expected: &str, fits: fn(&Value) -> bool| {
        if let Some(value) = config.get(key).filter(|value| !value.is_null() && !fits(value)) {
            faults.push((
                key,
                format!("{key} has to be {expected}, found {}", crate::yaml::describe(value)),
            ));
        }
    };
    check("max_retries", "a whole number from 0", |value| value.as_u64().is_some());
    check(
        "retry_delay_seconds",
        "a number from 0, or a list of such numbers",
        |value| match value {
            Value::Array(delays) => delays.iter().all(is_duration),
            other => is_duration(other),
        },
    );
    check("retry_jitter_factor", "a number from 0", is_duration);
    faults
}

fn is_duration(value: &Value) -> bool {
    value.as_f64().is_some_and(|seconds| seconds >= 0.0)
}
