//! What monitoring systems are told, and that it follows what happens.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::json;
use tower::ServiceExt as _;

use super::world::World;
use crate::api::metrics;
use crate::api::metrics::page::Page;

async fn scrape(world: &World) -> String {
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let answer = world.router.clone().oneshot(request).await.expect("an answer");
    assert!(answer.status().is_success());
    let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("a text");
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("a text")
}

/// The value of one series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

#[tokio::test]
async fn names_and_words_are_what_dashboards_were_built_with() {
    let page = metrics::gather(&World::new().await.state).await.expect("gathered");
    insta::assert_snapshot!(page.described.join("\n"));
}

#[tokio::test]
async fn figures_follow_what_happens() {
    let world = World::new().await;
    let before = scrape(&world).await;
    let scheduled = "grepx_flow_runs{state_type=\"SCHEDULED\",state_name=\"Scheduled\"}";
    assert_eq!(value(&before, scheduled), None);
    let deployment = world.get("/api/deployments/name/stocks/daily").await.body["id"].clone();
    let path = format!(
        "/api/deployments/{}/create_flow_run",
        deployment.as_str().expect("an id")
    );
    let made = world.post(&path, json!({})).await;
    assert!(made.status.is_success(), "{}", made.body);
    let after = scrape(&world).await;
    let runs: f64 = after
        .lines()
        .filter(|line| line.starts_with("grepx_flow_runs{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(runs, 1.0, "{after}");
    let commits = |text: &str| value(text, "grepx_store_commit_seconds_count").expect("it is there");
    assert!(commits(&after) > commits(&before));
    let answered = |text: &str| value(text, "grepx_http_requests_total{status=\"2xx\"}").expect("it is there");
    assert!(answered(&after) > answered(&before));
    assert!(value(&after, "grepx_store_bytes") > Some(0.0));
    assert!(value(&after, "grepx_events_kept") > Some(0.0));
    assert_eq!(value(&after, "grepx_shard_mail{shard=\"0\"}"), Some(3.0));
    assert_eq!(value(&after, "grepx_work_waiting"), Some(2.0));
    assert_eq!(
        value(&after, "grepx_work_queue_limit{work_pool=\"pool\",work_queue=\"\"}"),
        Some(3.0)
    );
}

#[test]
fn what_has_any_number_of_values_is_one_series_beyond_the_bound() {
    let mut page = Page::default();
    page.gauge("many", "Many", (0..1_000).map(|n| (vec![("name", n.to_string())], 1.0)));
    let text = page.text();
    assert_eq!(text.matches("many{").count(), 501);
    assert_eq!(value(&text, "many{name=\"other\"}"), Some(500.0));
    let mut page = Page::default();
    page.each("up", "Up", (0..1_000).map(|n| (vec![("name", n.to_string())], 1.0)));
    assert_eq!(page.text().matches("up{").count(), 500, "no sum of what is 1 or 0");
}
