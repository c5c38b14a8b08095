//! What Prefect's clients, pages and scripts ask for beyond lists: pages with counts, history,
//! operators, filters across resources, limits, and what is not kept here.

use axum::http::StatusCode;
use grepx_engine::{Json, StateType};
use serde_json::{Value, json};

use super::world::World;

/// Two runs of `stocks`: one runs and has a task run, one has failed. Their ids.
async fn two(world: &World) -> [String; 2] {
    let running = world.run_in(StateType::Running, "Running").await;
    let failed = world.run_in(StateType::Failed, "Failed").await;
    world.put_task(running, Json::from(&json!(1))).await;
    [running.to_string(), failed.to_string()]
}

async fn count(world: &World, resource: &str, body: Value) -> u64 {
    let answer = world.post(&format!("/api/{resource}/count"), body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.body);
    answer.body.as_u64().expect("a number")
}

#[tokio::test]
async fn conditions_are_joined_as_the_operator_says() {
    let world = World::new().await;
    let [running, failed] = two(&world).await;
    let cases = [
        (
            json!({"operator": "or_", "id": {"any_": [running]}, "state": {"type": {"any_": ["FAILED"]}}}),
            2,
        ),
        (
            json!({"operator": "and_", "id": {"any_": [running]}, "state": {"type": {"any_": ["FAILED"]}}}),
            0,
        ),
        (
            json!({"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Failed"]}}}),
            2,
        ),
        (
            json!({"state": {"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Failed"]}}}),
            0,
        ),
        (
            json!({"tags": {"operator": "or_", "all_": ["nobody"], "is_null_": false}}),
            2,
        ),
        (json!({"tags": {"is_null_": true}}), 0),
        (
            json!({"parent_task_run_id": {"operator": "or_", "any_": [failed], "is_null_": true}}),
            2,
        ),
        (
            json!({"next_scheduled_start_time": {"after_": "2000-01-01T00:00:00Z"}}),
            0,
        ),
    ];
    for (filter, found) in cases {
        assert_eq!(
            count(&world, "flow_runs", json!({"flow_runs": filter})).await,
            found,
            "{filter}"
        );
    }
    let wrong = world
        .post("/api/flow_runs/count", json!({"flow_runs": {"operator": "xor_"}}))
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn every_filter_of_a_body_counts_for_every_resource() {
    let world = World::new().await;
    let [running, _] = two(&world).await;
    let cases = [
        ("flow_runs", json!({"task_runs": {"name": {"any_": ["load"]}}}), 1),
        (
            "flow_runs",
            json!({"task_runs": {"state": {"type": {"any_": ["FAILED"]}}}}),
            0,
        ),
        (
            "flow_runs",
            json!({"flows": {"operator": "or_", "name": {"any_": ["x"]}, "tags": {"all_": ["data"]}}}),
            2,
        ),
        ("flow_runs", json!({"work_pools": {"type": {"any_": ["process"]}}}), 2),
        (
            "flow_runs",
            json!({"work_queues": {"name": {"startswith_": ["def"]}}}),
            2,
        ),
        (
            "flow_runs",
            json!({"work_pool_queues": {"name": {"any_": ["other"]}}}),
            0,
        ),
        ("flow_runs", json!({"deployments": {"paused": {"eq_": true}}}), 0),
        (
            "task_runs",
            json!({"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}}),
            0,
        ),
        (
            "task_runs",
            json!({"flow_runs": {"id": {"any_": [running]}}, "flows": {"name": {"like_": "STOCK"}}}),
            1,
        ),
        (
            "task_runs",
            json!({"task_runs": {"subflow_runs": {"exists_": true}}}),
            0,
        ),
        (
            "flows",
            json!({"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}}),
            1,
        ),
        ("flows", json!({"task_runs": {"name": {"any_": ["nobody"]}}}), 0),
        ("flows", json!({"deployments": {"name": {"any_": ["any"]}}}), 1),
        ("flows", json!({"work_pools": {"name": {"any_": ["nobody"]}}}), 0),
        ("flows", json!({"flows": {"deployment": {"is_null_": true}}}), 0),
        ("deployments", json!({"flow_runs": {"id": {"any_": [running]}}}), 1),
        (
            "deployments",
            json!({"deployments": {"flow_or_deployment_name": {"like_": "LOOS"}}}),
            1,
        ),
        (
            "deployments",
            json!({"deployments": {"concurrency_limit": {"is_null_": true}}}),
            2,
        ),
    ];
    for (resource, body, found) in cases {
        assert_eq!(count(&world, resource, body.clone()).await, found, "{resource}: {body}");
    }
}

/// A deployment that was paused at run time is paused for filters, too.
#[tokio::test]
async fn what_is_switched_is_filtered_by() {
    let world = World::new().await;
    let daily = world.daily().await;
    let paused = json!({"deployments": {"paused": {"eq_": true}}});
    assert_eq!(count(&world, "deployments", paused.clone()).await, 0);
    let path = format!("/api/deployments/{daily}/pause_deployment");
    assert_eq!(world.post(&path, json!({})).await.status, StatusCode::OK);
    assert_eq!(count(&world, "deployments", paused).await, 1);
}

#[tokio::test]
async fn pages_come_with_their_count() {
    let world = World::new().await;
    two(&world).await;
    let answer = world
        .post("/api/flow_runs/paginate", json!({"limit": 1, "page": 2}))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let page = answer.body;
    let (count, pages, number) = (&page["count"], &page["pages"], &page["page"]);
    assert_eq!([count, pages, number], [&json!(2), &json!(2), &json!(2)]);
    assert_eq!(page["results"].as_array().map(Vec::len), Some(1));
    for (resource, found) in [("flows", 2), ("deployments", 2), ("task_runs", 1)] {
        let page = world
            .post(&format!("/api/{resource}/paginate"), json!({"page": null}))
            .await
            .body;
        assert_eq!(
            (&page["count"], &page["pages"]),
            (&json!(found), &json!(1)),
            "{resource}: {page}"
        );
        assert_eq!(page["limit"], 200);
    }
    let none = world.post("/api/flows/paginate", json!({"limit": 0})).await.body;
    assert_eq!((&none["pages"], &none["results"]), (&json!(0), &json!([])));
    let wrong = world.post("/api/flows/paginate", json!({"page": 0})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn history_has_every_interval_and_sums_in_seconds() {
    let world = World::new().await;
    two(&world).await;
    let body = json!({"history_start": "2026-03-01T11:59:00Z", "history_end": "2026-03-01T12:01:00Z",
        "history_interval_seconds": 60});
    let history = world.post("/api/task_runs/history", body.clone()).await.body;
    assert_eq!(history.as_array().map(Vec::len), Some(2), "{history}");
    assert_eq!(history[0]["states"], json!([]), "{history}");
    assert_eq!(history[1]["interval_start"], "2026-03-01T12:00:00.000Z");
    assert_eq!(
        history[1]["states"],
        json!([{"state_type": "COMPLETED", "state_name": "Completed", "count_runs": 1,
            "sum_estimated_run_time": 1.5, "sum_estimated_lateness": 0.0}])
    );
    let runs = world.post("/api/flow_runs/history", body).await;
    assert_eq!(runs.status, StatusCode::OK, "{}", runs.body);
    let short = json!({"history_start": "2026-03-01T11:59:00Z", "history_end": "2026-03-01T12:01:00Z",
        "history_interval_seconds": 0.5});
    let refused = world.post("/api/flow_runs/history", short).await;
    assert_eq!(
        refused.body["detail"],
        "History interval must not be less than 1 second."
    );
    let missing = world.post("/api/flow_runs/history", json!({})).await;
    assert_eq!(
        missing.body["exception_detail"][0]["loc"],
        json!(["body", "history_start"])
    );
    assert!(world.post("/api/flow_runs/lateness", json!({})).await.body.is_f64());
}

#[tokio::test]
async fn a_run_is_renamed_and_labelled_and_not_made_another() {
    let world = World::new().await;
    let [running, _] = two(&world).await;
    let path = format!("/api/flow_runs/{running}");
    let answer = world
        .patch(&path, json!({"name": "better", "tags": ["a"], "parameters": {}}))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let labels = format!("{path}/labels");
    assert_eq!(
        world.patch(&labels, json!({"team": "desk"})).await.status,
        StatusCode::NO_CONTENT
    );
    let run = world.get(&path).await.body;
    assert_eq!((&run["name"], &run["tags"]), (&json!("better"), &json!(["a"])));
    assert_eq!(run["labels"], json!({"team": "desk"}));
    assert_eq!(run["parameters"]["n"], 2);
    for (path, body) in [
        (&path, json!({"parameters": {"n": 3}})),
        (&path, json!({"name": ""})),
        (&labels, json!({"deep": {}})),
        (&labels, json!([])),
    ] {
        let refused = world.patch(path, body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let nobody = "/api/flow_runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    assert_eq!(
        world.patch(nobody, json!({"name": "x"})).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_limit_is_kept_and_its_slots_are_leased() {
    let world = World::new().await;
    let limits = "/api/v2/concurrency_limits";
    let body = json!({"name": "db", "limit": 2, "active": true, "active_slots": 0, "slot_decay_per_second": 0.0});
    let created = world.post(&format!("{limits}/"), body.clone()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    assert_eq!(
        world.post(&format!("{limits}/"), body).await.status,
        StatusCode::CONFLICT
    );
    let lease = json!({"names": ["db"], "slots": 2, "mode": "concurrency", "lease_duration": 300.0, "holder": null});
    let taken = world
        .post(&format!("{limits}/increment-with-lease"), lease.clone())
        .await
        .body;
    assert_eq!(taken["limits"][0]["name"], "db", "{taken}");
    assert_eq!(world.get(&format!("{limits}/db")).await.body["active_slots"], 2);
    let full = world.post(&format!("{limits}/increment-with-lease"), lease).await;
    assert_eq!(full.status, StatusCode::LOCKED);
    assert_eq!(full.headers["retry-after"], "1.000");
    let id = taken["lease_id"].as_str().expect("an id");
    let renewed = world
        .post(&format!("{limits}/leases/{id}/renew"), json!({"lease_duration": 60}))
        .await;
    assert_eq!(renewed.status, StatusCode::NO_CONTENT);
    let ended = world
        .post(&format!("{limits}/decrement-with-lease"), json!({"lease_id": id}))
        .await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    let renewed = world.post(&format!("{limits}/leases/{id}/renew"), json!({})).await;
    assert_eq!(renewed.status, StatusCode::GONE);
    let without = world
        .post(&format!("{limits}/increment"), json!({"names": ["db"], "slots": 1}))
        .await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", without.body);

    let off = world
        .patch(&format!("{limits}/db"), json!({"active": false, "limit": null}))
        .await;
    assert_eq!(off.status, StatusCode::NO_CONTENT);
    let all = world
        .post(&format!("{limits}/filter"), json!({"limit": 10, "offset": 0}))
        .await
        .body;
    assert_eq!((&all[0]["active"], &all[0]["limit"]), (&json!(false), &json!(2)));
    let deleted = world.ask("DELETE", &format!("{limits}/db"), &[], Value::Null).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&format!("{limits}/db")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_tag_has_one_limit() {
    let world = World::new().await;
    let body = |limit: u32| json!({"tag": "db", "concurrency_limit": limit});
    let created = world.post("/api/concurrency_limits/", body(2)).await;
    assert_eq!(
        (created.status, &created.body["active_slots"]),
        (StatusCode::CREATED, &json!([]))
    );
    let again = world.post("/api/concurrency_limits/", body(5)).await;
    assert_eq!(
        (again.status, &again.body["concurrency_limit"]),
        (StatusCode::OK, &json!(5))
    );
    assert_eq!(again.body["id"], created.body["id"]);
    let found = world.get("/api/concurrency_limits/tag/db").await.body;
    assert_eq!(found["concurrency_limit"], 5);
    let id = found["id"].as_str().expect("an id");
    assert_eq!(world.get(&format!("/api/concurrency_limits/{id}")).await.body, found);
    let listed = world.post("/api/concurrency_limits/filter", json!({})).await.body;
    assert_eq!(listed, json!([found]));
    let reset = world
        .post("/api/concurrency_limits/tag/db/reset", json!({"slot_override": null}))
        .await;
    assert_eq!(reset.status, StatusCode::OK);
    let gone = world
        .ask("DELETE", "/api/concurrency_limits/tag/db", &[], Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(
        world.get("/api/concurrency_limits/tag/db").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_is_not_kept_here_says_so_and_where_it_is() {
    let world = World::new().await;
    for path in ["automations", "variables", "artifacts", "artifacts/latest"] {
        assert_eq!(
            world.post(&format!("/api/{path}/filter"), json!({})).await.body,
            json!([]),
            "{path}"
        );
        assert_eq!(
            world.post(&format!("/api/{path}/count"), json!({})).await.body,
            0,
            "{path}"
        );
    }
    let daily = world.daily().await;
    let cases = [
        ("POST", "/api/deployments/".to_owned(), 403, "prefect_deployments"),
        ("DELETE", format!("/api/deployments/{daily}"), 403, "grepx-host apply"),
        ("POST", "/api/flows/".to_owned(), 403, "prefect_flows"),
        ("POST", "/api/work_pools/".to_owned(), 403, "prefect_work_pools"),
        ("DELETE", "/api/work_pools/pool".to_owned(), 403, "prefect_work_pools"),
        ("POST", "/api/flow_runs/".to_owned(), 501, "create_flow_run"),
        ("POST", "/api/automations/".to_owned(), 501, "automations"),
        ("GET", "/api/artifacts/x".to_owned(), 404, "Artifact not found"),
    ];
    for (method, path, status, told) in cases {
        let answer = world.ask(method, &path, &[], json!({})).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(told), "{method} {path}: {detail}");
    }
    let known = world.post("/api/flows/", json!({"name": "stocks"})).await;
    assert_eq!((known.status, &known.body["name"]), (StatusCode::OK, &json!("stocks")));
    let workers = world.post("/api/work_pools/pool/workers/filter", json!({})).await;
    assert_eq!(workers.body, json!([]));
    let ui = world.get("/ui-settings").await;
    assert_eq!(ui.body["csrf_enabled"], false, "{}", ui.body);
    let settings = world.get("/api/admin/settings").await.body;
    assert!(settings["server.port"].is_string(), "{settings}");
}

#[tokio::test]
async fn who_holds_the_slots_of_a_pool_is_told_queue_by_queue() {
    let world = World::new().await;
    let path = "/api/work_pools/pool/concurrency_status";
    let status = world.post(path, json!({"page": 1, "flow_run_limit": 200})).await;
    assert_eq!(status.status, StatusCode::OK, "{}", status.body);
    let status = status.body;
    assert_eq!(
        (&status["active_slots"], &status["concurrency_limit"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(
        (&status["count"], &status["pages"], &status["page"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(status["queues"][0]["queue_name"], "default");
    assert_eq!(status["queues"][0]["flow_runs"], json!([]));
    let refused = world.post(path, json!({"flow_run_limit": 201})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = world.post("/api/work_pools/nobody/concurrency_status", json!({})).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn flow_runs_are_found_by_who_asked_for_them() {
    let world = World::new().await;
    let daily = world.daily().await;
    let made = world
        .post("/api/keys", json!({"name": "k", "scope": "admin"}))
        .await
        .body;
    let key = format!("Bearer {}", made["key"].as_str().expect("a key"));
    let key = [("authorization", key.as_str())];
    let path = format!("/api/deployments/{daily}/create_flow_run");
    let created = world.ask("POST", &path, &key, json!({})).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    for (creator, found) in [
        (json!({"type_": ["KEY", "HOOK"]}), 1),
        (json!({"id_": [made["id"]]}), 1),
        (json!({"type_": ["SCHEDULE"]}), 0),
        (json!({"is_null_": true}), 0),
        (json!({"operator": "or_", "type_": ["SCHEDULE"], "is_null_": false}), 1),
    ] {
        let body = json!({"flow_runs": {"created_by": creator}});
        let answer = world.ask("POST", "/api/flow_runs/count", &key, body).await;
        assert_eq!(answer.body, found, "{creator}");
    }
}

#[tokio::test]
async fn what_a_run_is_made_with_is_judged_as_what_it_is_changed_to() {
    let world = World::new().await;
    let path = format!("/api/deployments/{}/create_flow_run", world.daily().await);
    for body in [
        json!({"labels": {"deep": {}}}),
        json!({"labels": {"long": "x".repeat(5_000)}}),
        json!({"tags": ["x".repeat(5_000)]}),
    ] {
        let answer = world.post(&path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let lease = json!({"names": ["x"], "slots": 1, "holder": {"type": "x".repeat(5_000)}});
    let answer = world
        .post("/api/v2/concurrency_limits/increment-with-lease", lease)
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = json!({"state": {"type": "CANCELLING", "message": "x".repeat(5_000)}});
    let run = world.run_in(StateType::Running, "Running").await;
    let answer = world.post(&format!("/api/flow_runs/{run}/set_state"), message).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}
