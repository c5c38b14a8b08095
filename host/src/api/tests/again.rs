//! States that are proposed, flow runs that go on after their end, task runs that a person calls
//! done, and many at a time.

use axum::http::StatusCode;
use grepx_engine::{Json, NodeId, Rejected, State, StateType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{Meanwhile, NOW, World};
use crate::clock;
use crate::runner::{self, Begin};
use crate::store::{Commit, RunState};

fn detail(body: &Value) -> &str {
    body["detail"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_retry_is_brought_to_the_runner_as_it_was_asked_for() {
    let world = World::new().await;
    let cases = [
        (json!({}), Begin::Failed),
        (json!({"from": null}), Begin::Failed),
        (json!({"from": "failed"}), Begin::Failed),
        (json!({"from": "start"}), Begin::Start),
        (json!({"from_task": "load"}), Begin::From("load".into())),
        (json!({"only_task": "load"}), Begin::Only("load".into())),
    ];
    for (body, begin) in cases {
        let run = world.run_in(StateType::Failed, "Failed").await;
        let answer = world.post(&format!("/api/flow_runs/{run}/retry"), body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.body);
        assert_eq!(answer.body["state"]["type"], "SCHEDULED");
        assert_eq!(world.retries().pop(), Some((run, begin, None)));
    }
    let run = world.run_in(StateType::Cancelled, "Cancelled").await;
    let body = json!({"start_at": "2026-03-01T12:00:00Z"});
    world.post(&format!("/api/flow_runs/{run}/retry"), body).await;
    assert_eq!(world.retries().pop(), Some((run, Begin::Failed, Some(NOW))));
}

#[tokio::test]
async fn a_retry_that_makes_no_sense_is_refused_with_what_to_do() {
    let world = World::new().await;
    let running = world.run_in(StateType::Running, "Running").await;
    let answer = world.post(&format!("/api/flow_runs/{running}/retry"), json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(detail(&answer.body).contains("cancel it first"), "{}", answer.body);
    let failed = world.run_in(StateType::Failed, "Failed").await;
    let path = format!("/api/flow_runs/{failed}/retry");
    for body in [
        json!({"from": "here"}),
        json!({"from": "failed", "only_task": "load"}),
        json!({"from_task": "a", "only_task": "b"}),
        json!({"start_at": "tomorrow"}),
    ] {
        let answer = world.post(&path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let nowhere = world
        .post(&format!("/api/flow_runs/{}/retry", Uuid::nil()), json!({}))
        .await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert!(world.retries().is_empty());
    world.refuse_with(Rejected::NothingFailed.into());
    let answer = world.post(&path, json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(detail(&answer.body).contains("name the task"), "{}", answer.body);
}

/// Rows: state before, state asked for, HTTP status, status, state after.
#[tokio::test]
async fn what_becomes_of_a_proposed_state() {
    use StateType::{Cancelling, Completed, Failed, Paused, Running, Scheduled};
    let world = World::new().await;
    let table = [
        (Scheduled, "Scheduled", "CANCELLING", 201, "REJECT", "CANCELLED"),
        (Scheduled, "Resuming", "CANCELLING", 201, "REJECT", "CANCELLED"),
        (Running, "Running", "CANCELLING", 201, "ACCEPT", "CANCELLING"),
        (Running, "Running", "CANCELLED", 201, "ACCEPT", "CANCELLING"),
        (Paused, "Paused", "CANCELLING", 201, "ACCEPT", "CANCELLING"),
        (Cancelling, "Cancelling", "CANCELLING", 200, "REJECT", "CANCELLING"),
        (Completed, "Completed", "CANCELLING", 200, "ABORT", "COMPLETED"),
        (Failed, "TimedOut", "PAUSED", 200, "ABORT", "FAILED"),
        (Running, "Running", "PAUSED", 201, "ACCEPT", "PAUSED"),
        (Scheduled, "Scheduled", "PAUSED", 200, "REJECT", "SCHEDULED"),
        (Paused, "Paused", "RUNNING", 201, "ACCEPT", "SCHEDULED"),
        (Paused, "Paused", "SCHEDULED", 201, "ACCEPT", "SCHEDULED"),
        (Running, "Running", "COMPLETED", 200, "ABORT", "RUNNING"),
        (Completed, "Completed", "SCHEDULED", 200, "REJECT", "COMPLETED"),
        (Completed, "Completed", "COMPLETED", 200, "REJECT", "COMPLETED"),
        (Completed, "Completed", "CRASHED", 200, "ABORT", "COMPLETED"),
        (Failed, "Failed", "SCHEDULED", 201, "ACCEPT", "SCHEDULED"),
        (Failed, "Failed", "RUNNING", 200, "ABORT", "FAILED"),
        (Running, "Running", "PENDING", 200, "ABORT", "RUNNING"),
        (Running, "Running", "SCHEDULED", 200, "ABORT", "RUNNING"),
        (Cancelling, "Cancelling", "RUNNING", 200, "REJECT", "CANCELLING"),
        (Cancelling, "Cancelling", "SCHEDULED", 200, "REJECT", "CANCELLING"),
    ];
    for (before, name, asked, http, status, after) in table {
        let id = world.run_in(before, name).await;
        let body = json!({"state": {"type": asked, "name": null, "message": null, "data": null,
            "state_details": {"transition_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}}, "force": false});
        let answer = world.post(&format!("/api/flow_runs/{id}/set_state"), body).await;
        let case = format!("{name} → {asked}: {}", answer.body);
        assert_eq!(answer.status, http, "{case}");
        assert_eq!(answer.body["status"], status, "{case}");
        assert_eq!(answer.body["state"]["type"], after, "{case}");
        let details = format!("{}_details", status.to_lowercase());
        assert_eq!(answer.body["details"]["type"], details.as_str(), "{case}");
    }
}

#[tokio::test]
async fn a_run_that_has_moved_on_is_an_answer_and_no_fault() {
    let world = World::new().await;
    let id = world.run_in(StateType::Running, "Running").await;
    world.refuse_with(World::rejection());
    let answer = world
        .post(
            &format!("/api/flow_runs/{id}/set_state"),
            json!({"state": {"type": "CANCELLING"}}),
        )
        .await;
    assert_eq!(answer.body["status"], "ABORT");
    assert_eq!(answer.body["details"]["reason"], "the flow run is already Completed");
    let answer = world.post(&format!("/api/flow_runs/{id}/resume"), json!({})).await;
    assert_eq!(answer.body["status"], "REJECT", "{}", answer.body);
}

/// What `prefect flow-run retry` sends, and the other ways to ask for it.
#[tokio::test]
async fn scheduled_of_a_run_that_has_ended_lets_it_go_on() {
    let world = World::new().await;
    let cases = [
        ("FAILED", false, Some(Begin::Failed)),
        ("FAILED", true, Some(Begin::Failed)),
        ("CANCELLED", true, Some(Begin::Failed)),
        ("COMPLETED", true, Some(Begin::Start)),
        ("COMPLETED", false, None),
    ];
    for (before, force, begin) in cases {
        let state_type = StateType::parse(before).expect("a type");
        let run = world.run_in(state_type, "Ended").await;
        let body = json!({"state": {"type": "SCHEDULED", "name": "Scheduled", "message": "Retried via CLI", "data": null,
            "state_details": {"flow_run_id": run.to_string(), "scheduled_time": "2026-03-01T12:00:00Z"}}, "force": force});
        let answer = world.post(&format!("/api/flow_runs/{run}/set_state"), body).await;
        match begin {
            Some(begin) => {
                assert_eq!(
                    (answer.status, &answer.body["status"]),
                    (StatusCode::CREATED, &json!("ACCEPT"))
                );
                assert_eq!(world.retries().pop(), Some((run, begin, Some(NOW))));
            }
            None => {
                assert_eq!(
                    (answer.status, &answer.body["status"]),
                    (StatusCode::OK, &json!("REJECT"))
                );
                assert_eq!(answer.body["details"]["reason"], "Run is already COMPLETED.");
            }
        }
    }
}

#[tokio::test]
async fn what_is_done_by_hand_is_brought_to_the_runner() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    let task = world.put_waiting_task(run).await;
    let path = format!("/api/task_runs/{task}/mark_done");
    for (body, result) in [
        (json!({"note": " copied "}), Value::Null),
        (json!({"note": "copied", "result": {"rows": 3}}), json!({"rows": 3})),
    ] {
        let answer = world.post(&path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let (to, node, note, brought) = world.done().pop().expect("one was brought");
        assert_eq!((to, node, note.as_str()), (run, NodeId::task(0), "copied"));
        assert_eq!(brought.to_value(), result);
    }
    for body in [
        json!({}),
        json!({"note": null}),
        json!({"note": "  "}),
        json!({"note": 1}),
        json!({"note": "x".repeat(1_001)}),
    ] {
        let answer = world.post(&path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    world.refuse_with(Rejected::AlreadyDone("Completed").into());
    let answer = world.post(&path, json!({"note": "again"})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let unknown = world
        .post(
            &format!("/api/task_runs/{}/mark_done", Uuid::nil()),
            json!({"note": "x"}),
        )
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn many_are_cancelled_retried_and_deleted_in_steps() {
    let world = World::new().await;
    for _ in 0..3 {
        world.run_in(StateType::Failed, "Failed").await;
    }
    world.run_in(StateType::Completed, "Completed").await;
    for _ in 0..2 {
        world.run_in(StateType::Running, "Running").await;
    }
    let stocks = json!({"flows": {"name": {"any_": ["stocks"]}}});
    let with = |more: Value| {
        let mut body = stocks.clone();
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("one").clone());
        body
    };
    let dry = world
        .post("/api/flow_runs/bulk/retry", with(json!({"dry_run": true})))
        .await;
    assert_eq!(
        (&dry.body["matched"], &dry.body["done"]),
        (&json!(3), &json!(0)),
        "{}",
        dry.body
    );
    assert_eq!(dry.body["flow_runs"].as_array().map(Vec::len), Some(3));
    assert!(world.retries().is_empty(), "nothing is done");

    let step = world
        .post("/api/flow_runs/bulk/retry", with(json!({"limit": 2})))
        .await
        .body;
    assert_eq!((&step["done"], &step["left"]), (&json!(2), &json!(1)), "{step}");
    let rest = world
        .post("/api/flow_runs/bulk/retry", with(json!({"before": step["next"]})))
        .await
        .body;
    assert_eq!(
        (&rest["done"], &rest["left"], &rest["next"]),
        (&json!(1), &json!(0), &Value::Null),
        "{rest}"
    );

    let cancelled = world.post("/api/flow_runs/bulk/cancel", stocks.clone()).await.body;
    assert_eq!(cancelled["done"], 5, "three that go on, two that run: {cancelled}");
    let deleted = world.post("/api/flow_runs/bulk/delete", stocks.clone()).await.body;
    assert_eq!(deleted["done"], 4, "{deleted}");
    let left = world.post("/api/flow_runs/count", json!({})).await.body;
    assert_eq!(left, 2, "those that are cancelling have not ended");
}

#[tokio::test]
async fn one_that_refuses_costs_the_others_nothing_and_an_empty_filter_is_no_filter() {
    let world = World::new().await;
    for _ in 0..2 {
        world.run_in(StateType::Failed, "Failed").await;
    }
    for path in ["cancel", "retry", "delete"] {
        let answer = world
            .post(&format!("/api/flow_runs/bulk/{path}"), json!({"flow_runs": null}))
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let answer = world
            .post(&format!("/api/flow_runs/bulk/{path}"), json!({"all": true, "limit": 0}))
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    world.refuse_with(Rejected::NothingFailed.into());
    let answer = world.post("/api/flow_runs/bulk/retry", json!({"all": true})).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!((&answer.body["done"], &answer.body["refused"]), (&json!(0), &json!(2)));
    assert_eq!(answer.body["refusals"].as_array().map(Vec::len), Some(2));
    world.refuse_with(runner::Error::Draining);
    let answer = world.post("/api/flow_runs/bulk/retry", json!({"all": true})).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "that is the server's trouble"
    );
}

#[tokio::test]
async fn prefects_own_bulk_routes() {
    let world = World::new().await;
    let failed = world.run_in(StateType::Failed, "Failed").await;
    let running = world.run_in(StateType::Running, "Running").await;
    world.put_task(failed, Json::null()).await;
    let both = json!({"flow_runs": {"id": {"any_": [failed, running]}}});
    let mut body = both.clone();
    body["state"] = json!({"type": "CANCELLING"});
    let results = world.post("/api/flow_runs/bulk_set_state", body).await.body;
    let statuses: Vec<(&str, &str)> = results["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            (
                one["flow_run_id"].as_str().unwrap_or_default(),
                one["status"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let (failed, running) = (failed.to_string(), running.to_string());
    assert_eq!(statuses, [(running.as_str(), "ACCEPT"), (failed.as_str(), "ABORT")]);
    let deleted = world.post("/api/flow_runs/bulk_delete", both).await.body;
    assert_eq!(deleted["deleted"], json!([failed]), "only what has ended");
    let too_many = json!({"flow_runs": {"id": {"any_": [running]}}, "limit": 51});
    let answer = world.post("/api/flow_runs/bulk_delete", too_many).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_run_whose_time_has_not_come_is_waited_for() {
    let world = World::new().await;
    let daily = world.daily().await;
    let state = json!({"type": "SCHEDULED", "state_details": {"scheduled_time": "2150-01-01T00:00:00Z"}});
    let created = world
        .post(
            &format!("/api/deployments/{daily}/create_flow_run"),
            json!({"state": state}),
        )
        .await;
    let id = created.body["id"].as_str().expect("an id");
    let answer = world
        .post(
            &format!("/api/flow_runs/{id}/set_state"),
            json!({"state": {"type": "RUNNING"}}),
        )
        .await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (StatusCode::OK, &json!("WAIT"))
    );
    assert_eq!(answer.body["details"]["type"], "wait_details");
    assert!(answer.body["details"]["delay_seconds"].as_u64() > Some(1_000_000));
    let late = |name: &str| json!({"state": {"type": "SCHEDULED", "name": name}});
    let answer = world
        .post(&format!("/api/flow_runs/{id}/set_state"), late("Late"))
        .await;
    assert_eq!(answer.body["status"], "ABORT", "the host marks runs as late itself");
    let run = world.run_in(StateType::Failed, "Failed").await;
    let answer = world
        .post(&format!("/api/flow_runs/{run}/set_state"), late("Late"))
        .await;
    assert_eq!(
        answer.body["details"]["reason"],
        "Only scheduled flows can be marked late."
    );
}

#[tokio::test]
async fn a_clean_up_that_does_not_end_can_be_ended() {
    let world = World::new().await;
    let run = world.run_in(StateType::Cancelling, "Cancelling").await;
    let path = format!("/api/flow_runs/{run}/set_state");
    let once_more = world.post(&path, json!({"state": {"type": "CANCELLING"}})).await.body;
    assert_eq!(
        (&once_more["status"], &once_more["state"]["type"]),
        (&json!("REJECT"), &json!("CANCELLING"))
    );
    let forced = world.post(&path, json!({"state": {"type": "CANCELLED"}})).await.body;
    assert_eq!(
        (&forced["status"], &forced["state"]["type"]),
        (&json!("ACCEPT"), &json!("CANCELLED"))
    );

    world.run_in(StateType::Cancelling, "Cancelling").await;
    let all = |force: bool| json!({"all": true, "force": force});
    let asked = world.post("/api/flow_runs/bulk/cancel", all(false)).await.body;
    assert_eq!(asked["matched"], 0, "{asked}");
    let forced = world.post("/api/flow_runs/bulk/cancel", all(true)).await.body;
    assert_eq!(forced["done"], 1, "{forced}");
}

#[tokio::test]
async fn a_run_that_starts_while_it_is_cancelled_is_not_said_to_have_ended() {
    let world = World::new().await;
    let run = world.run_in(StateType::Scheduled, "Scheduled").await;
    world.meanwhile(Meanwhile::Started);
    let answer = world
        .post(
            &format!("/api/flow_runs/{run}/set_state"),
            json!({"state": {"type": "CANCELLING"}}),
        )
        .await
        .body;
    assert_eq!(
        (&answer["status"], &answer["state"]["type"]),
        (&json!("ACCEPT"), &json!("CANCELLING"))
    );
}

#[tokio::test]
async fn a_filter_that_only_looks_like_one_is_an_empty_one() {
    let world = World::new().await;
    world.run_in(StateType::Failed, "Failed").await;
    for filter in [
        json!({"flow_runs": {"operator": "or_"}}),
        json!({"flow_runs": {"id": {"not_any_": []}}}),
        json!({"flow_runs": {"state": {"operator": "or_", "type": {"operator": "or_"}}}}),
        json!({"task_runs": {"operator": "or_"}}),
        json!({"flows": {"operator": "or_"}, "deployments": {"tags": {"all_": []}}}),
        json!({"work_pools": {"operator": "or_", "type": {"not_any_": []}}, "work_queues": {"operator": "or_"}}),
    ] {
        let answer = world.post("/api/flow_runs/bulk/delete", filter.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{filter}");
    }
    assert_eq!(world.post("/api/flow_runs/count", json!({})).await.body, 1);
}

#[tokio::test]
async fn what_another_one_does_again_is_not_asked_for_too() {
    let world = World::new().await;
    let parent = world.run_in(StateType::Failed, "Failed").await;
    let child = world.child_in(parent, StateType::Failed, "Failed").await;
    let failed = json!({"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}});
    let done = world.post("/api/flow_runs/bulk/retry", failed).await.body;
    assert_eq!((&done["matched"], &done["done"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(world.retries(), [(parent, Begin::Failed, None)]);
    let by_id = json!({"flow_runs": {"id": {"any_": [child]}}});
    let done = world.post("/api/flow_runs/bulk/retry", by_id).await.body;
    assert_eq!(done["done"], 1, "its parent was not named: {done}");
}

#[tokio::test]
async fn one_that_cannot_be_read_or_is_gone_costs_the_others_nothing() {
    let world = World::new().await;
    let run = world.run_in(StateType::Failed, "Failed").await;
    world.refuse_with(runner::Error::Store(crate::store::Error::Unreadable {
        run,
        what: "its log".into(),
        source: None,
    }));
    let answer = world.post("/api/flow_runs/bulk/retry", json!({"all": true})).await;
    assert_eq!((answer.status, &answer.body["refused"]), (StatusCode::OK, &json!(1)));
    let why = answer.body["refusals"][0]["reason"].as_str().expect("a reason");
    assert!(why.contains("its log cannot be read"), "{why}");

    let world = World::new().await;
    world.run_in(StateType::Running, "Running").await;
    world.meanwhile(Meanwhile::Vanished);
    let answer = world
        .post(
            "/api/flow_runs/bulk_set_state",
            json!({"all": true, "state": {"type": "CANCELLING"}}),
        )
        .await;
    assert_eq!((answer.status, &answer.body["results"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn a_run_that_goes_on_later_is_waited_for_until_then() {
    let world = World::new().await;
    let run = world.run_in(StateType::Scheduled, "Scheduled").await;
    let path = format!("/api/flow_runs/{run}/set_state");
    let running = json!({"state": {"type": "RUNNING"}});
    let answer = world.post(&path, running.clone()).await;
    assert_eq!(answer.body["status"], "ABORT", "its time has come");
    let mut commit = Commit::new(run);
    commit.state = Some(RunState {
        start_time: Some(NOW),
        run_count: 1,
        starts_again: Some(clock::now().plus_ms(3_600_000)),
        ..RunState::new(State {
            state_type: StateType::Scheduled,
            name: "Scheduled",
            message: None,
            since: NOW,
        })
    });
    world.store.commit(commit).await.expect("kept");
    let answer = world.post(&path, running).await;
    assert_eq!(answer.body["status"], "WAIT", "{}", answer.body);
    let seconds = answer.body["details"]["delay_seconds"].as_u64();
    assert!((1..=3_600).contains(&seconds.expect("a number")), "{seconds:?}");
}
