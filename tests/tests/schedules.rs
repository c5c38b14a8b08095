//! Schedules fire: each planned time once, whatever happens to the host, the rows and the people
//! who pause things.

#![allow(clippy::disallowed_methods, reason = "the tests change databases under the host")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use grepx_tests::{Host, wait_for};
use serde_json::{Value, json};

fn flows(task: &str, deployment: &str) -> String {
    format!(
        "prefect_work_pools: [{{name: pool, concurrency_limit: 100}}]\nprefect_flows: [{{name: flow}}]\n\
         prefect_tasks: [{{name: task, flow_name: flow, {task}}}]\n\
         prefect_deployments: [{{name: night, flow_name: flow, work_pool_name: pool, {deployment}}}]\n"
    )
}

const QUICK: &str = "task_kind: transform, task_config: {program: '1'}";
const SLOW: &str = "task_kind: sleep, task_config: {seconds: 60}";
const EVERY_SECOND: &str =
    "schedule_type: interval, schedule_config: {interval_seconds: 1, anchor_date: '2026-01-01T00:00:00Z'}";
const HOURLY: &str = "schedule_type: cron, schedule_config: {cron_string: '7 * * * *'}";

/// Runs of schedules in the order of their times, with one filter of Prefect's.
fn runs(host: &Host, filter: &Value) -> Vec<Value> {
    let body = json!({"sort": "EXPECTED_START_TIME_ASC", "limit": 200, "flow_runs": filter});
    let (status, found) = host.post("/flow_runs/filter", &body);
    assert_eq!(status, 200, "{found}");
    let all = found.as_array().expect("a list").clone();
    all.into_iter().filter(|run| run["auto_scheduled"] == true).collect()
}

fn of_type(host: &Host, state_type: &str) -> Vec<Value> {
    runs(host, &json!({"state": {"type": {"any_": [state_type]}}}))
}

fn expected(run: &Value) -> DateTime<Utc> {
    let text = run["expected_start_time"].as_str().expect("a time");
    text.parse().expect("RFC 3339")
}

fn sql(host: &Host, statement: &str) {
    let database = rusqlite::Connection::open(host.database()).expect("the database");
    database.execute_batch(statement).expect("the statement");
}

fn deployment(host: &Host) -> Value {
    host.get("/deployments/name/flow/night").1
}

fn deployment_id(host: &Host) -> String {
    deployment(host)["id"].as_str().expect("an id").to_owned()
}

#[test]
fn each_planned_time_has_one_run_over_crashes_and_changes() {
    let mut host = Host::with(&flows(QUICK, &format!("catch_up: all, {EVERY_SECOND}"))).start();
    let ended = |host: &Host, most: usize| {
        wait_for("runs of the schedule", || {
            let ended = of_type(host, "COMPLETED");
            (ended.len() >= most).then_some(ended)
        })
    };
    for most in [2, 4] {
        let _ = ended(&host, most);
        host.kill();
        host.serve();
    }
    // Another tag makes the planned runs again; the times stay.
    sql(&host, "UPDATE prefect_deployments SET tags = '[\"changed\"]'");
    wait_for("the changed tag", || {
        of_type(&host, "SCHEDULED")
            .iter()
            .all(|run| run["tags"] == json!(["auto-scheduled", "changed"]))
            .then_some(())
    });
    let all = ended(&host, 8);
    let times: Vec<DateTime<Utc>> = all.iter().map(expected).collect();
    for pair in times.windows(2) {
        assert_eq!((pair[1] - pair[0]).num_milliseconds(), 1_000, "{times:?}");
    }
    let first = &all[0];
    assert_eq!(first["created_by"]["type"], "SCHEDULE");
    assert_eq!(first["created_by"]["display_value"], "schedule");
    let key = first["idempotency_key"].as_str().expect("a key");
    let schedule = deployment(&host)["schedules"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(
        key.starts_with(&format!("scheduled {} {schedule} 20", deployment_id(&host))),
        "{key}"
    );
}

#[test]
fn upcoming_runs_are_shown_and_follow_the_definitions() {
    let host = Host::with(&flows(QUICK, HOURLY)).start();
    let planned = wait_for("planned runs", || {
        let planned = of_type(&host, "SCHEDULED");
        (planned.len() >= 3).then_some(planned)
    });
    assert!(planned.len() <= 100);
    let now = Utc::now();
    for run in &planned {
        assert_eq!(run["state"]["name"], "Scheduled");
        assert_eq!(expected(run).format("%M:%S").to_string(), "07:00");
        assert!(expected(run) > now - chrono::TimeDelta::seconds(5));
    }
    let (status, soon) = host.post(
        "/deployments/get_scheduled_flow_runs",
        &json!({"deployment_ids": [deployment_id(&host)]}),
    );
    assert_eq!((status, &soon[0]["id"]), (200, &planned[0]["id"]));
    let (_, of_pool) = host.post("/work_pools/pool/get_scheduled_flow_runs", &json!({}));
    assert_eq!(of_pool[0]["flow_run"]["id"], planned[0]["id"]);

    sql(
        &host,
        "UPDATE prefect_deployments SET schedule_config = '{\"cron_string\": \"*/20 * * * *\", \"timezone\": \"Asia/Kolkata\"}'",
    );
    wait_for("the new rule", || {
        let planned = of_type(&host, "SCHEDULED");
        let quarter = |run: &Value| ["10", "30", "50"].contains(&expected(run).format("%M").to_string().as_str());
        (planned.len() >= 3 && planned.iter().all(quarter)).then_some(())
    });
    sql(&host, "UPDATE prefect_deployments SET schedule_type = NULL");
    wait_for("no schedule any more", || {
        of_type(&host, "SCHEDULED").is_empty().then_some(())
    });
}

#[test]
fn a_pause_takes_what_is_to_come_and_a_resume_begins_anew() {
    let host = Host::with(&flows(QUICK, HOURLY)).start();
    wait_for("planned runs", || {
        (of_type(&host, "SCHEDULED").len() >= 3).then_some(())
    });
    let _ = host.cli(&["deployment", "pause", "flow/night"]).success();
    assert!(of_type(&host, "SCHEDULED").is_empty(), "gone when the answer comes");
    assert_eq!(deployment(&host)["paused"], true);
    let by_hand = host.run_to_end("flow/night", &json!({}));
    assert_eq!(by_hand["state"]["type"], "COMPLETED", "people still may");

    let _ = host.cli(&["deployment", "resume", "flow/night"]).success();
    wait_for("planned again", || {
        (of_type(&host, "SCHEDULED").len() >= 3).then_some(())
    });
    let listed = host.cli(&["deployment", "schedule", "ls", "flow/night"]).success();
    assert!(
        listed.out.contains("active") && listed.out.contains("schedule"),
        "{}",
        listed.out
    );
    let _ = host.cli(&["deployment", "schedule", "pause", "flow/night"]).success();
    assert!(of_type(&host, "SCHEDULED").is_empty());
    assert_eq!(deployment(&host)["schedules"][0]["active"], false);
    let _ = host
        .cli(&["deployment", "schedule", "resume", "night", "schedule"])
        .success();
    wait_for("planned once more", || {
        (of_type(&host, "SCHEDULED").len() >= 3).then_some(())
    });
    let wrong = host.cli(&["deployment", "schedule", "pause", "night", "weekly"]);
    assert_eq!(wrong.code, 4, "{wrong:?}");
    let id = deployment_id(&host);
    let (status, refused) = host.post(&format!("/deployments/{id}/schedules"), &json!([]));
    assert_eq!(status, 403);
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|why| why.contains("prefect_deployments")),
        "{refused}"
    );
}

#[test]
fn a_planned_run_that_was_cancelled_never_starts() {
    let every = "schedule_type: interval, schedule_config: {interval_seconds: 2, anchor_date: '2026-01-01T00:00:00Z'}";
    let host = Host::with(&flows(QUICK, every)).start();
    let planned = wait_for("planned runs", || {
        let planned = of_type(&host, "SCHEDULED");
        (planned.len() >= 4).then_some(planned)
    });
    let id = planned[2]["id"].as_str().expect("an id");
    let (_, answer) = host.post(
        &format!("/flow_runs/{id}/set_state"),
        &json!({"state": {"type": "CANCELLING"}}),
    );
    assert_eq!(answer["state"]["type"], "CANCELLED", "{answer}");
    let later = wait_for("runs after it", || {
        let done = of_type(&host, "COMPLETED");
        done.iter()
            .any(|run| expected(run) > expected(&planned[2]))
            .then_some(done)
    });
    assert!(later.iter().all(|run| run["id"] != id));
    assert_eq!(host.get(&format!("/flow_runs/{id}")).1["state"]["type"], "CANCELLED");
}

/// Sets back what the host has noted, as if it had been away since `hours` ago.
fn away(host: &Host, hours: i64) {
    let store = host.folder().join("state/grepx-host.db");
    let store = rusqlite::Connection::open(store).expect("the run store");
    let changed = store
        .execute(
            "UPDATE schedules SET handled_until = handled_until - ?1, next_at = next_at - ?1, \
             planned_until = planned_until - ?1",
            [hours * 3_600_000],
        )
        .expect("set back");
    assert_eq!(changed, 1);
}

#[test]
fn missed_times_are_made_up_for_as_the_deployment_says() {
    for (catch_up, expected_runs) in [("latest", 1), ("all", 5), ("none", 0)] {
        let hourly =
            "schedule_type: interval, schedule_config: {interval_seconds: 3600, anchor_date: '2026-01-01T00:00:30Z'}";
        let mut host = Host::with(&flows(QUICK, &format!("catch_up: {catch_up}, {hourly}"))).start();
        wait_for("planned runs", || {
            (of_type(&host, "SCHEDULED").len() >= 3).then_some(())
        });
        host.stop();
        away(&host, 5);
        host.serve();
        let count = wait_for("the judgement on what was missed", || {
            let plan = runs(&host, &json!({}));
            let late: Vec<_> = plan.iter().filter(|run| expected(run) < Utc::now()).collect();
            let done = late.iter().filter(|run| run["state"]["type"] == "COMPLETED").count();
            (done == expected_runs && late.len() == done).then_some(done)
        });
        assert_eq!(count, expected_runs, "{catch_up}");
        if catch_up != "all" {
            let process = host.process.as_mut().expect("it serves");
            let line = process.wait_for_line("planned times were missed");
            let passed_over = format!("\"passed_over\":{}", 5 - expected_runs);
            assert!(line.contains(&passed_over), "{line}");
        }
    }
}

#[test]
fn overlap_decides_what_a_busy_deployment_does() {
    for overlap in ["skip", "cancel_new", "cancel_running", "enqueue"] {
        let deployment = format!("concurrency_limit: 1, overlap: {overlap}, {EVERY_SECOND}");
        let host = Host::with(&flows(SLOW, &deployment)).start();
        let count = |host: &Host| -> BTreeMap<String, usize> {
            let mut states = BTreeMap::new();
            for run in runs(
                host,
                &json!({"expected_start_time": {"before_": Utc::now().to_rfc3339()}}),
            ) {
                *states
                    .entry(run["state"]["name"].as_str().expect("a name").to_owned())
                    .or_default() += 1;
            }
            states
        };
        wait_for(overlap, || {
            let states = count(&host);
            let of = |name: &str| states.get(name).copied().unwrap_or(0);
            assert!(of("Running") <= 1, "{overlap}: {states:?}");
            match overlap {
                "enqueue" => of("Running") == 1 && of("AwaitingConcurrencySlot") >= 2,
                "skip" => of("Running") == 1 && of("AwaitingConcurrencySlot") == 0 && skipped(&host) >= 2,
                _ => of("Cancelled") >= 2,
            }
            .then_some(())
        });
        if overlap == "enqueue" {
            let waiting = runs(
                &host,
                &json!({"state": {"name": {"any_": ["AwaitingConcurrencySlot"]}}}),
            );
            let reason = waiting[0]["reason"].as_str().expect("a reason");
            assert!(
                reason.starts_with("deployment night: 1 of 1 runs are live ("),
                "{reason}"
            );
        }
    }
}

fn skipped(host: &Host) -> usize {
    let process = host.process.as_ref().expect("it serves");
    process.output().matches("its overlap is skip").count()
}

#[test]
fn a_run_that_waits_too_long_is_late_with_a_reason() {
    let host = Host::with(&flows(QUICK, HOURLY)).start();
    let (status, _) = host.patch("/work_pools/pool", &json!({"is_paused": true}));
    assert_eq!(status, 204);
    let id = deployment_id(&host);
    let past = (Utc::now() - chrono::TimeDelta::seconds(20)).to_rfc3339();
    let (status, run) = host.post(
        &format!("/deployments/{id}/create_flow_run"),
        &json!({"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": past}}}),
    );
    assert_eq!(status, 201, "{run}");
    let path = format!("/flow_runs/{}", run["id"].as_str().expect("an id"));
    let late = wait_for("Late", || {
        let (_, run) = host.get(&path);
        (run["state"]["name"] == "Late").then_some(run)
    });
    assert_eq!(late["state"]["type"], "SCHEDULED");
    assert_eq!(late["reason"], "work pool pool is paused");
    let (status, _) = host.patch("/work_pools/pool", &json!({"is_paused": false}));
    assert_eq!(status, 204);
    assert_eq!(
        host.wait(run["id"].as_str().expect("an id"))["state"]["type"],
        "COMPLETED"
    );
}

#[test]
fn a_refused_rule_costs_itself_and_says_why() {
    let schedules = "schedules: [{slug: never, schedule_type: cron, schedule_config: {cron_string: '0 0 30 2 *'}}, \
                     {slug: hourly, schedule_type: cron, schedule_config: {cron_string: '7 * * * *'}, parameters: {debug: true}}]";
    let host = Host::with(&flows(QUICK, schedules)).start();
    let planned = wait_for("the other schedule", || {
        let planned = of_type(&host, "SCHEDULED");
        (planned.len() >= 3).then_some(planned)
    });
    assert_eq!(
        planned[0]["parameters"]["debug"], true,
        "a schedule has its own parameters"
    );
    let (_, problems) = host.get("/definitions/problems");
    let message = problems[0]["message"].as_str().expect("a problem");
    assert!(message.contains("never: cron \"0 0 30 2 *\""), "{message}");
    assert_eq!(host.run_to_end("flow/night", &json!({}))["state"]["type"], "COMPLETED");
    let shown = deployment(&host);
    assert_eq!(shown["schedules"][0]["active"], false);
    assert!(shown["schedules"][0]["problem"].is_string() && shown["schedules"][1]["problem"].is_null());
}

#[test]
fn a_preview_shows_rules_rows_and_deployments() {
    let host = Host::with(&flows(
        QUICK,
        "schedule_type: cron, schedule_config: {cron_string: '30 15 * * 1-5', timezone: Asia/Kolkata}",
    ))
    .start();
    let from = ["--from", "2026-03-06T00:00:00Z", "-n", "2", "--json"];
    let words = [
        "schedule",
        "preview",
        "cron",
        "30 15 * * 1-5",
        "--timezone",
        "Asia/Kolkata",
    ];
    let shown = host.cli(&[&words[..], &from].concat()).success().json();
    assert_eq!(shown["instants"][0]["utc"], "2026-03-06T10:00:00Z");
    assert_eq!(shown["instants"][1]["local"], "2026-03-09T15:30:00+05:30");
    assert!(
        shown["description"]
            .as_str()
            .is_some_and(|text| text.contains("Asia/Kolkata")),
        "{shown}"
    );
    let table = host.cli(&words).success();
    assert!(
        table.out.contains("Mon") && table.out.contains("+05:30"),
        "{}",
        table.out
    );

    let by_name = host
        .cli(&[&["schedule", "preview", "flow/night"][..], &from].concat())
        .success()
        .json();
    assert_eq!(by_name["schedules"][0]["instants"], shown["instants"]);
    let body = json!({"type": "cron", "config": {"cron_string": "30 15 * * 1-5", "timezone": "Asia/Kolkata"}, "from": from[1], "n": 2});
    assert_eq!(host.post("/schedules/preview", &body), (200, shown));

    let refused = host.cli(&["schedule", "preview", "rrule", "FREQ=DAILY;INTERVAL=0"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("INTERVAL"), "{}", refused.err);
    let (status, refused) = host.post(
        "/schedules/preview",
        &json!({"type": "cron", "config": {"cron_string": "R * * * *"}}),
    );
    assert_eq!(status, 422, "{refused}");
}
