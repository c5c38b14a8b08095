use serde_json::json;

use super::{Wanted, Which, body};

fn wanted() -> Wanted {
    Wanted {
        state: Vec::new(),
        flow: Vec::new(),
        deployment: Vec::new(),
        since: None,
    }
}

#[test]
fn a_deployment_with_its_flow_asks_for_both() {
    let asked = Wanted {
        deployment: vec!["nightly/at-two".into()],
        ..wanted()
    };
    let body = body(&asked, "flow_runs").expect("a filter");
    assert_eq!(body["flows"], json!({"name": {"any_": ["nightly"]}}));
    assert_eq!(body["deployments"], json!({"name": {"any_": ["at-two"]}}));
}

#[test]
fn names_of_states_are_found_in_any_case_and_types_in_capitals() {
    let of = |words: &[&str]| {
        let state = words.iter().map(|word| (*word).to_owned()).collect();
        body(&Wanted { state, ..wanted() }, "task_runs")
    };
    let names = of(&["late", "AWAITINGRETRY"]).expect("names");
    assert_eq!(
        names["task_runs"]["state"],
        json!({"name": {"any_": ["Late", "AwaitingRetry"]}})
    );
    let types = of(&["FAILED", "crashed"]).expect("types");
    assert_eq!(
        types["task_runs"]["state"],
        json!({"type": {"any_": ["FAILED", "CRASHED"]}})
    );
    let wrong = of(&["Compelted"]).expect_err("no state").error.to_string();
    assert_eq!(wrong, "--state \"Compelted\" is no state: did you mean Completed?");
    assert!(of(&["FAILED", "Late"]).is_err());
}

#[test]
fn since_is_a_duration_or_a_time() {
    let of = |text: &str| {
        let since = Some(text.to_owned());
        body(&Wanted { since, ..wanted() }, "flow_runs")
    };
    let at = of("2026-03-01T12:00:00+01:00").expect("a time");
    assert_eq!(
        at["flow_runs"]["expected_start_time"]["after_"],
        "2026-03-01T11:00:00.000Z"
    );
    assert!(of("2h").is_ok() && of("1 day").is_ok());
    assert!(of("yesterday").is_err());
}

#[test]
fn what_is_deleted_is_asked_for_as_what_is_listed() {
    let of = |flow: &[&str], deployment: &[&str]| {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        body(
            &Which {
                id: None,
                state: Vec::new(),
                flow: all(flow),
                deployment: all(deployment),
                older_than: None,
                dry_run: false,
                yes: false,
            },
            "flow_runs",
        )
    };
    let asked = of(&[], &["nightly/at-two"]).expect("a filter");
    assert_eq!(asked["flows"], json!({"name": {"any_": ["nightly"]}}));
    assert_eq!(asked["deployments"], json!({"name": {"any_": ["at-two"]}}));
    let both = of(&["nightly"], &["nightly/at-two", "nightly/at-four"]).expect("a filter");
    assert_eq!(both["flows"], json!({"name": {"any_": ["nightly"]}}));
    assert!(of(&["daily"], &["nightly/at-two"]).is_err(), "it is of another flow");
    assert!(of(&[], &["nightly/at-two", "at-four"]).is_err(), "of which flow?");
}
