use grepx_engine::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::glob::matches;
use super::search::Search;
use super::{EventFilter, Labels, PrefectEvent};
use crate::api::body::Body;

const RUN: &str = "prefect.flow-run.01a208d8-d346-73d9-93b3-cdbef4c51e02";

fn event() -> PrefectEvent {
    let labels = |value: Value| Labels::read(&value).expect("a resource");
    PrefectEvent {
        id: Uuid::from_u128(3),
        occurred: Timestamp(1_772_366_400_000),
        received: Timestamp(1_772_366_400_000),
        event: "prefect.task-run.Completed".to_owned(),
        resource: labels(json!({"prefect.resource.id": "prefect.task-run.1", "prefect.state-type": "COMPLETED"})),
        related: vec![
            labels(json!({"prefect.resource.id": RUN, "prefect.resource.role": "flow-run"})),
            labels(json!({"prefect.resource.id": "prefect.tag.data", "prefect.resource.role": "tag"})),
        ],
        payload: json!({"validated_state": {"message": "Connection timeout"}}),
        follows: None,
    }
}

fn filter(value: Value) -> EventFilter {
    Body::of(value).read(EventFilter::read).expect("a filter")
}

#[test]
fn what_the_watching_client_sends_finds_the_task_runs_of_its_flow_run() {
    let watch = json!({
        "occurred": {"since": "2026-03-01T11:59:00.123456Z", "until": "2027-03-01T12:00:00Z"},
        "event": null, "resource": null, "related": null,
        "any_resource": {"id": [RUN], "id_prefix": null, "labels": null},
        "id": {"id": []}, "text": null, "order": "DESC",
    });
    assert!(filter(watch).includes(&event()));
    assert!(
        !filter(json!({"resource": {"id": [RUN]}})).includes(&event()),
        "it is only related"
    );
}

#[test]
fn every_condition_has_to_hold() {
    for (asked, found) in [
        (json!({}), true),
        (json!({"event": {"prefix": ["prefect.task-run."]}}), true),
        (json!({"event": {"exclude_prefix": ["prefect.task-run."]}}), false),
        (json!({"event": {"name": ["prefect.task-run.Failed"]}}), false),
        (
            json!({"event": {"exclude_name": ["prefect.task-run.Completed"]}}),
            false,
        ),
        (json!({"occurred": {"since": "2026-03-01T12:00:00.001Z"}}), false),
        (json!({"occurred": {"until": "2026-03-01T12:00:00Z"}}), true),
        (
            json!({"resource": {"id_prefix": ["prefect.task-run"], "labels": {"prefect.state-type": ["FAILED", "COMP*"]}}}),
            true,
        ),
        (
            json!({"resource": {"labels": {"prefect.state-type": "!COMPLETED"}}}),
            false,
        ),
        (json!({"related": {"role": ["tag"], "id": ["prefect.tag.data"]}}), true),
        (json!({"related": {"role": ["tag"], "id": [RUN]}}), false),
        (json!({"related": [{"role": ["tag"]}, {"id": [RUN]}]}), true),
        (json!({"related": {"resources_in_roles": [[RUN, "flow-run"]]}}), true),
        (json!({"id": {"id": ["00000000-0000-0000-0000-000000000004"]}}), false),
        (json!({"text": {"query": "timeout -missing"}}), true),
        (json!({"text": {"query": "+timeout +missing"}}), false),
    ] {
        assert_eq!(filter(asked.clone()).includes(&event()), found, "{asked}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for strange in [
        json!({"occurred": {"since": "yesterday"}}),
        json!({"order": "UP"}),
        json!({"resource": {"colour": ["red"]}}),
        json!({"any_resource": "x"}),
        json!({"text": {"query": "x".repeat(201)}}),
    ] {
        assert!(Body::of(strange.clone()).read(EventFilter::read).is_err(), "{strange}");
    }
}

#[test]
fn patterns_know_stars_and_question_marks() {
    for (pattern, value, met) in [
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("*", "", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("!a*", "abc", false),
        ("!a*", "b", true),
        ("**b*", "aab", true),
    ] {
        assert_eq!(matches(pattern, value), met, "{pattern} {value}");
    }
}

#[test]
fn a_query_is_words_and_phrases() {
    let search = Search::parse("error \"Connection timeout\" +must -\"not this\" !nor").expect("a query");
    let wanted = Search {
        one_of: vec!["error".into(), "connection timeout".into()],
        all_of: vec!["must".into()],
        none_of: vec!["not this".into(), "nor".into()],
    };
    assert_eq!(search, wanted);
}
