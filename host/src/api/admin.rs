//! The server itself: is it alive, is it ready, who does it say it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::Error;
use super::{ApiState, PREFECT_VERSION, Readiness, VERSION};

/// Version of the REST contract that Prefect's clients name in `X-PREFECT-API-VERSION`.
const API_VERSION: &str = "0.8.4";
const VERSION_HEADER: &str = "x-grepx-host-version";

pub(super) async fn health() -> Json<bool> {
    Json(true)
}

pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let readiness = match state.store.trouble() {
        Some(trouble) => Arc::new(Readiness::NotReady(crate::report::chain(&trouble))),
        None => state.readiness.load_full(),
    };
    match readiness.as_ref() {
        Readiness::Ready => Json(json!({"message": "OK"})).into_response(),
        Readiness::NotReady(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"message": reason}))).into_response()
        }
    }
}

pub(super) async fn api_version() -> Json<&'static str> {
    Json(API_VERSION)
}

pub(super) async fn version() -> Json<&'static str> {
    Json(PREFECT_VERSION)
}

pub(super) async fn hello() -> Json<&'static str> {
    Json("👋")
}

/// Any other text, and Prefect's clients give up.
pub(super) async fn csrf_token() -> Error {
    Error::Invalid("CSRF protection is disabled.".into())
}

pub(super) async fn no_automations() -> Json<[Value; 0]> {
    Json([])
}

/// Brokers and whether they answer.
pub(super) async fn connections(State(state): State<ApiState>) -> Json<Vec<Value>> {
    let connections = state.broker.status().into_iter().map(|one| {
        json!({
            "name": one.name,
            "url": one.url,
            "result_url": one.result_url,
            "up": one.up,
            "reason": one.reason,
        })
    });
    Json(connections.collect())
}

/// Names our own version with every answer: the body of `/admin/version` is for Prefect's clients.
pub(super) async fn name_version(mut response: Response) -> Response {
    let version = HeaderValue::from_static(VERSION);
    response.headers_mut().insert(VERSION_HEADER, version);
    response
}
