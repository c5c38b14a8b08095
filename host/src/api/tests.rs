use axum::body::Body;
use axum::http::{Request, StatusCode};
use grepx_engine::{Json, NodeId, StateType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Readiness;
use crate::runner;

mod again;
mod conformance;
mod contract;
mod definitions;
mod door;
mod events;
mod hooks;
mod metrics;
mod sockets;
mod world;

use world::World;

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect()
}

#[tokio::test]
async fn the_server_says_what_clients_need_to_hear() {
    let world = World::new().await;
    assert_eq!(world.get("/api/health").await.body, json!(true));
    assert_eq!(world.get("/api/ready").await.body, json!({"message": "OK"}));
    let version = world.get("/api/admin/version").await;
    assert_eq!(version.body, json!("3.8.8"));
    assert_eq!(version.headers["x-grepx-host-version"], env!("CARGO_PKG_VERSION"));
    let csrf = world.get("/api/csrf-token?client=x").await;
    assert_eq!(csrf.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(csrf.body, json!({"detail": "CSRF protection is disabled."}));
    assert_eq!(
        world.get("/api/automations/related-to/prefect.deployment.x").await.body,
        json!([])
    );

    world.state.set_readiness(Readiness::NotReady("reading back".into()));
    let ready = world.get("/api/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["message"], "reading back");
}

#[tokio::test]
async fn what_is_not_there_is_404_with_a_sentence() {
    let world = World::new().await;
    for path in [
        "/api/block_types/filter",
        "/api/variables/name/x",
        "/",
        "/api/flow_runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.body["detail"].as_str().is_some_and(|text| text.len() > 10),
            "{path}: {}",
            answer.body
        );
    }
    let answer = world.get("/api/deployments/name/stocks/nope").await;
    assert_eq!(answer.body, json!({"detail": "Deployment not found"}));
    let answer = world.get("/api/deployments/name/loose/daily").await;
    assert_eq!(
        answer.status,
        StatusCode::NOT_FOUND,
        "the deployment is of another flow"
    );
}

#[tokio::test]
async fn another_method_is_told_which_there_are() {
    let world = World::new().await;
    let answer = world.ask("PUT", "/api/plugins", &[], Value::Null).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "GET, POST");
    let named = answer.body["detail"].as_str().expect("a text").to_owned();
    assert!(named.contains("PUT is not a method of /api/plugins"), "{named}");
}

#[tokio::test]
async fn explicit_nulls_and_unknown_fields_at_the_top_mean_nothing() {
    let world = World::new().await;
    let body = json!({"flows": null, "flow_runs": null, "task_runs": null, "deployments": null, "work_pools": null,
        "work_pool_queues": null, "limit": null, "offset": 0, "sort": null, "from_the_future": 1});
    for path in ["flows", "deployments", "flow_runs", "task_runs", "work_pools", "logs"] {
        let answer = world.post(&format!("/api/{path}/filter"), body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
    let empty = world
        .send(
            Request::post("/api/flows/filter")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    assert_eq!(names(&empty.body), ["loose", "stocks"]);
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    let world = World::new().await;
    let answer = world
        .post("/api/flows/filter", json!({"limit": 1.0, "offset": 1.0}))
        .await;
    assert_eq!(names(&answer.body), ["stocks"], "{}", answer.body);
    let half = world.post("/api/flows/filter", json!({"limit": 1.5})).await;
    assert_eq!(half.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_body_that_is_not_understood_is_told_field_by_field() {
    let world = World::new().await;
    let answer = world.post("/api/flow_runs/filter", json!({"limit": 201})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer.body,
        json!({"detail": "Invalid limit: must be less than or equal to 200."})
    );

    let body =
        json!({"flow_runs": {"state": {"type": {"any_": ["DONE"]}}, "odd": 1, "id": {"any_": ["x"]}}, "sort": "UP"});
    let answer = world.post("/api/flow_runs/filter", body.clone()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.body["exception_message"], "Invalid request received.");
    assert_eq!(answer.body["request_body"], body);
    let places: Vec<String> = answer.body["exception_detail"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["loc"].to_string())
        .collect();
    for place in [
        r#"["body","sort"]"#,
        r#"["body","flow_runs","state","type","any_"]"#,
        r#"["body","flow_runs","odd"]"#,
        r#"["body","flow_runs","id","any_"]"#,
    ] {
        assert!(places.iter().any(|one| one == place), "{place} is not among {places:?}");
    }

    let refused = world
        .post(
            "/api/flow_runs/filter",
            json!({"task_runs": {"cache_key": {"any_": ["k"]}}}),
        )
        .await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "an ignored filter would give a wrong answer"
    );
    let text = Request::post("/api/flows/filter")
        .body(Body::from("{"))
        .expect("a request");
    assert_eq!(world.send(text).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_wrong_with_the_definitions_is_told() {
    let world = World::new().await;
    let problems = world.get("/api/definitions/problems").await.body;
    assert_eq!(problems[0]["table"], "prefect_tasks", "{problems}");
    assert_eq!(problems[0]["flow"], "broken", "{problems}");
    assert!(
        problems[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("nothing")),
        "{problems}"
    );
    assert_eq!(world.get("/api/flows/name/broken").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/plugins").await.body, json!([]));
    assert_eq!(world.get("/api/plugins/celery").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deployment_has_what_clients_read() {
    let world = World::new().await;
    let one = world.get("/api/deployments/name/stocks/daily").await.body;
    let schedule = &one["schedules"][0];
    assert_eq!(
        schedule["schedule"],
        json!({"cron": "30 15 * * 1-5", "timezone": "Asia/Kolkata", "day_or": true})
    );
    assert_eq!(schedule["active"], true);
    assert_eq!(one["parameters"]["n"], 2);
    assert_eq!(one["parameters"]["environment"], "production");
    assert_eq!(one["enforce_parameter_schema"], true);
    assert_eq!(one["parameter_openapi_schema"]["properties"]["n"]["minimum"], 1);
    for field in [
        "id",
        "flow_id",
        "created",
        "tags",
        "paused",
        "job_variables",
        "work_pool_name",
    ] {
        assert!(!one[field].is_null(), "{field}");
    }
    let id = one["id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/api/deployments/{id}")).await.body, one);

    let flow = one["flow_id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/api/flows/{flow}")).await.body["name"], "stocks");
    let by_flow = json!({"flows": {"name": {"any_": ["loose"]}}});
    assert_eq!(
        names(&world.post("/api/deployments/filter", by_flow.clone()).await.body),
        ["any"]
    );
    assert_eq!(world.post("/api/deployments/count", by_flow).await.body, 1);
    let by_id = json!({"flows": {"operator": "and_", "id": {"any_": [flow]}, "name": null, "tags": null}});
    assert_eq!(names(&world.post("/api/flows/filter", by_id).await.body), ["stocks"]);
    let by_tag = json!({"flows": {"tags": {"all_": ["data"]}}});
    assert_eq!(names(&world.post("/api/flows/filter", by_tag).await.body), ["stocks"]);
}

#[tokio::test]
async fn a_plan_is_told_and_nothing_is_started() {
    let world = World::new().await;
    let path = format!("/api/deployments/{}/plan", world.daily().await);
    let plan = world.post(&path, json!({"parameters": {"n": 5}})).await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.body);
    assert_eq!(plan.body["parameters"]["n"], 5);
    assert_eq!(plan.body["work_pool"]["name"], "pool");
    assert_eq!(names(&plan.body["tasks"]), ["load"]);
    // There are no plugins here.
    assert!(plan.body["tasks"][0]["problem"].is_string(), "{}", plan.body);
    let refused = world.post(&path, json!({"parameters": {"n": 0}})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let unknown = world
        .post("/api/deployments/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b/plan", json!({}))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let runs = world.post("/api/flow_runs/count", json!({})).await;
    assert_eq!(runs.body, json!(0));
}

#[tokio::test]
async fn a_flow_run_is_made_of_what_was_sent_and_what_the_deployment_has() {
    let world = World::new().await;
    let path = format!("/api/deployments/{}/create_flow_run", world.daily().await);
    let body = json!({"name": null, "parameters": {"debug": true}, "tags": ["x", "d"], "context": {}, "labels": {"l": 1},
        "idempotency_key": "k1", "parent_task_run_id": null, "job_variables": {},
        "state": {"type": "SCHEDULED", "name": "Scheduled", "message": null, "data": null,
            "state_details": {"scheduled_time": "2026-03-02T12:00:00Z", "cache_key": null}}});
    let first = world.post(&path, body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(
        first.body["parameters"],
        json!({"environment": "production", "debug": true, "n": 2})
    );
    assert_eq!(first.body["tags"], json!(["x", "d"]));
    assert_eq!(first.body["labels"], json!({"l": 1}));
    for field in ["expected_start_time", "next_scheduled_start_time"] {
        assert_eq!(first.body[field], "2026-03-02T12:00:00.000Z", "{field}");
    }
    assert_eq!(
        first.body["state"]["state_details"]["scheduled_time"],
        "2026-03-02T12:00:00.000Z"
    );

    let again = world.post(&path, body).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.body["id"], first.body["id"]);
}

#[tokio::test]
async fn parameters_are_judged_in_the_words_that_clients_print() {
    let world = World::new().await;
    let path = format!("/api/deployments/{}/create_flow_run", world.daily().await);
    let cases = [
        (
            json!({"n": "abc"}),
            "Validation failed for field 'n'. Failure reason: 'abc' is not of type 'integer'",
        ),
        (
            json!({"n": 0}),
            "Validation failed for field 'n'. Failure reason: 0 is less than the minimum of 1",
        ),
    ];
    for (parameters, why) in cases {
        let answer = world.post(&path, json!({"parameters": parameters})).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(
            answer.body,
            json!({"detail": format!("Error creating flow run: {why}")})
        );
    }
    let unknown = world.post(&path, json!({"parameters": {"zzz": 1}})).await;
    assert_eq!(unknown.status, StatusCode::CONFLICT, "additionalProperties is false");

    let loose = world.get("/api/deployments/name/loose/any").await.body["id"]
        .as_str()
        .map(str::to_owned);
    let path = format!("/api/deployments/{}/create_flow_run", loose.expect("an id"));
    let answer = world.post(&path, json!({"parameters": {"anything": [1]}})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "without a schema nothing is judged");
}

#[tokio::test]
async fn a_runner_that_stops_is_worth_another_try() {
    let world = World::new().await;
    let path = format!("/api/deployments/{}/create_flow_run", world.daily().await);
    world.refuse_with(runner::Error::Draining);
    let answer = world.post(&path, json!({})).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_signal_is_brought_to_the_task_run() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    let task = world.put_waiting_task(run).await;
    let path = format!("/api/task_runs/{task}/signal/approve");
    for payload in [json!({"by": "ann"}), json!(true), json!([1]), json!({})] {
        let answer = world.post(&path, payload.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["id"], task.to_string());
        let (to, node, name, brought) = world.signals().pop().expect("one was brought");
        assert_eq!((to, node, name.as_str()), (run, NodeId::task(0), "approve"));
        assert_eq!(brought.to_value(), payload);
    }
}

#[tokio::test]
async fn a_signal_that_cannot_arrive_is_refused() {
    let world = World::new().await;
    let run = world.run_in(StateType::Running, "Running").await;
    let task = world.put_waiting_task(run).await;
    let at = |task: &str, name: &str| format!("/api/task_runs/{task}/signal/{name}");
    for name in ["started:child", &"x".repeat(200), "a%2Fb"] {
        let answer = world.post(&at(&task.to_string(), name), json!({})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
    }
    let unknown = world.post(&at(&Uuid::nil().to_string(), "approve"), json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let nonsense = world.post(&at("nonsense", "approve"), json!({})).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(world.signals().is_empty());

    let refusal = runner::Error::NotAwaited {
        name: "no".to_owned(),
        open: "it waits for approve".to_owned(),
    };
    world.refuse_with(refusal);
    let answer = world.post(&at(&task.to_string(), "no"), json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|why| why.ends_with("it waits for approve"))
    );
    world.refuse_with(runner::Error::ReadBack(run));
    let answer = world.post(&at(&task.to_string(), "approve"), json!({})).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);

    world.put_task(run, Json::null()).await;
    let ended = world.post(&at(&task.to_string(), "approve"), json!({})).await;
    assert_eq!(ended.status, StatusCode::CONFLICT);
    assert!(
        ended.body["detail"]
            .as_str()
            .is_some_and(|why| why.contains("has ended"))
    );
}

#[tokio::test]
async fn runs_tasks_logs_and_results_are_found() {
    let world = World::new().await;
    let id = world.run_in(StateType::Running, "Running").await;
    world.run_in(StateType::Failed, "Failed").await;
    world.put_task(id, Json::from(&json!({"rows": 3}))).await;

    let body = json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "flows": {"name": {"any_": ["stocks"], "like_": null}}});
    let found = world.post("/api/flow_runs/filter", body.clone()).await.body;
    assert_eq!(found[0]["id"], id.to_string());
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(world.post("/api/flow_runs/count", body).await.body, 1);
    let by_tag = json!({"flows": {"tags": {"all_": ["nothing"]}}});
    assert_eq!(world.post("/api/flow_runs/count", by_tag).await.body, 0);

    let tasks = world
        .post(
            "/api/task_runs/filter",
            json!({"task_runs": {"flow_run_id": {"any_": [id]}}}),
        )
        .await
        .body;
    assert_eq!(names(&tasks), ["load"]);
    assert_eq!(tasks[0]["total_run_time"], 1.5);
    assert_eq!(tasks[0]["task_key"], "load");
    let task = tasks[0]["id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/api/task_runs/{task}")).await.body, tasks[0]);
    assert_eq!(
        world.get(&format!("/api/task_runs/{task}/result")).await.body,
        json!({"rows": 3})
    );
    let states = world
        .get(&format!("/api/task_run_states/?task_run_id={task}"))
        .await
        .body;
    assert_eq!(states[0]["type"], "COMPLETED");

    let states = world.get(&format!("/api/flow_run_states/?flow_run_id={id}")).await.body;
    let last = states.as_array().and_then(|states| states.last());
    assert_eq!(last.map(|state| &state["type"]), Some(&json!("RUNNING")));

    let filter = json!({"logs": {"flow_run_id": {"any_": [id]}, "level": null}, "sort": "TIMESTAMP_ASC", "limit": 2, "offset": 1});
    let logs = world.post("/api/logs/filter", filter).await.body;
    let messages: Vec<&str> = logs
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["message"].as_str())
        .collect();
    assert_eq!(messages, ["second", "third"]);
    let latest = world
        .post("/api/logs/filter", json!({"sort": "TIMESTAMP_DESC", "limit": 1}))
        .await
        .body;
    assert_eq!(latest[0]["message"], "third");
}

#[tokio::test]
async fn only_a_run_that_has_ended_can_be_deleted() {
    let world = World::new().await;
    let delete = |id| {
        Request::delete(format!("/api/flow_runs/{id}"))
            .body(Body::empty())
            .expect("a request")
    };
    let running = world.run_in(StateType::Running, "Running").await;
    assert_eq!(world.send(delete(running)).await.status, StatusCode::CONFLICT);
    let ended = world.run_in(StateType::Failed, "Failed").await;
    assert_eq!(world.send(delete(ended)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.send(delete(ended)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_pool_is_switched_and_not_redefined() {
    let world = World::new().await;
    let answer = world.patch("/api/work_pools/pool", json!({"is_paused": true})).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let pool = world.get("/api/work_pools/pool").await.body;
    assert_eq!(
        (&pool["is_paused"], &pool["status"], &pool["concurrency_limit"]),
        (&json!(true), &json!("PAUSED"), &json!(3))
    );

    world
        .patch("/api/work_pools/pool", json!({"concurrency_limit": null}))
        .await;
    let pool = world.get("/api/work_pools/pool").await.body;
    assert_eq!(
        (&pool["is_paused"], &pool["concurrency_limit"]),
        (&json!(true), &Value::Null)
    );

    let answer = world.patch("/api/work_pools/pool", json!({"description": "new"})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.get("/api/work_pools/nope").await.status, StatusCode::NOT_FOUND);

    let queues = world
        .post("/api/work_pools/pool/queues/filter", json!({"work_queues": null}))
        .await
        .body;
    assert_eq!(names(&queues), ["default"]);
    let queue = queues[0]["id"].as_str().expect("an id");
    let answer = world
        .patch(&format!("/api/work_queues/{queue}"), json!({"is_paused": true}))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
}
