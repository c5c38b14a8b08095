//! How far a task is, from the data of a state of its own. Celery has no rule for it; these are
//! the member names in use.

use serde_json::Value;

const DONE: [&str; 5] = ["current", "step", "done", "completed", "processed"];
const TOTAL: [&str; 3] = ["total", "of", "count"];

/// 0.0 to 1.0.
pub(crate) fn find(data: &Value) -> Option<f64> {
    let number = |names: &[&str]| names.iter().find_map(|name| data.get(*name)?.as_f64());
    let fraction = match (number(&DONE), number(&TOTAL)) {
        (Some(done), Some(total)) if total > 0.0 => done / total,
        _ => number(&["percent"])? / 100.0,
    };
    (0.0..=1.0).contains(&fraction).then_some(fraction)
}

#[cfg(test)]
mod tests;
