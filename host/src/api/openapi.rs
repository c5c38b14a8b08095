//! What the API is, as an OpenAPI 3.1 document, and a page to read it on.
//!
//! Handlers answer JSON that is made by hand, so the document is written by hand too: a file for
//! each resource in `openapi/`, in words as short as they can be (`openapi/join.rs` has the
//! language). What the door's table knows (scopes) and what holds for every operation (401, 413,
//! 503, …) is not written there but joined in.
//!
//! It stays true because tests hold it to the rest: its operations are those of the table, and every
//! request and answer of every test of the API is judged by it. So a route, a status or a field that
//! is new fails a test until it is written down.
//!
//! Absent on purpose: schemas derived from Rust types, of which the wire has none.

mod join;
mod page;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::Value;

pub(super) use page::{asset, page};

/// Files by name, in the order of the page.
pub(super) const PARTS: [(&str, &str); 15] = [
    ("flow_runs", include_str!("openapi/flow_runs.yaml")),
    ("task_runs", include_str!("openapi/task_runs.yaml")),
    ("flows", include_str!("openapi/flows.yaml")),
    ("deployments", include_str!("openapi/deployments.yaml")),
    ("schedules", include_str!("openapi/schedules.yaml")),
    ("work_pools", include_str!("openapi/work_pools.yaml")),
    ("concurrency_limits", include_str!("openapi/concurrency_limits.yaml")),
    ("events", include_str!("openapi/events.yaml")),
    ("definitions", include_str!("openapi/definitions.yaml")),
    ("hooks", include_str!("openapi/hooks.yaml")),
    ("plugins", include_str!("openapi/plugins.yaml")),
    ("keys", include_str!("openapi/keys.yaml")),
    ("server", include_str!("openapi/server.yaml")),
    ("store", include_str!("openapi/store.yaml")),
    ("absent", include_str!("openapi/absent.yaml")),
];

/// The whole document. Tests see to it that the parts can be joined; without that it is empty.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    join::document(&PARTS).unwrap_or_else(|mistake| {
        tracing::error!(%mistake, "the description of the API cannot be read; please report it");
        Value::Null
    })
});

static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(DOCUMENT.to_string()));

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}

#[cfg(test)]
mod tests;
