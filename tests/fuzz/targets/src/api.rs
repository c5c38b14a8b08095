//! HTTP requests, through the door to the handlers, over a run store with a flow run in it: every
//! one has an answer of a client's kind, and it is JSON.
//!
//! An input is a request as it goes over the wire, with plain line ends: a line `POST /api/…`,
//! headers, an empty line, the body. `{deployment}`, `{run}`, `{task}` in the path are those that
//! there are.
//!
//! Absent on purpose: what would change the answers to the inputs that follow (keys, removals, an
//! installed plugin), and the runner, which refuses.

mod world;

use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use tower::ServiceExt as _;

use world::World;

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 4 << 20;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) fn read(input: &[u8]) {
    let Some(request) = request(input) else {
        return;
    };
    let asked = format!("{} {}", request.method(), request.uri());
    let (status, body) = WORLD.runtime.block_on(async {
        let response = WORLD.router.clone().oneshot(request).await.expect("a router answers");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_BYTES_MAX).await.expect("a short answer");
        (parts.status, body)
    });
    // Not here, not now: the runner of these tests refuses.
    let refused = [StatusCode::NOT_IMPLEMENTED, StatusCode::SERVICE_UNAVAILABLE];
    let fine = !status.is_server_error() || refused.contains(&status);
    let shown = String::from_utf8_lossy(&body);
    assert!(fine, "{asked}: {status}: {shown:.2000}");
    let json = serde_json::from_slice::<serde_json::Value>(&body);
    assert!(body.is_empty() || json.is_ok(), "{asked}: {status}: {shown:.2000}");
}

fn request(input: &[u8]) -> Option<Request<Body>> {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let method: Method = method.parse().ok()?;
    let lasting = ["keys", "gc", "rollback"].iter().any(|word| path.contains(word))
        || method == Method::DELETE
        || method == Method::POST && path.trim_end_matches('/').ends_with("plugins");
    if lasting || ![Method::GET, Method::POST, Method::PATCH].contains(&method) {
        return None;
    }
    let mut request = Request::builder().method(method).uri(WORLD.named(path));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Body::from(body.to_vec())).ok()
}
