//! What is wrong with the definitions: ours.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::ApiState;
use crate::definitions::Problem;

pub(super) async fn problems(State(state): State<ApiState>) -> Json<Vec<Value>> {
    let catalog = state.catalog.load();
    Json(catalog.problems.iter().map(problem).collect())
}

fn problem(one: &Problem) -> Value {
    let mut problem = serde_json::to_value(one).unwrap_or_default();
    problem["text"] = one.to_string().into();
    problem
}
