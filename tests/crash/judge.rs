//! Says what a series of crashes has cost. Everything that is checked here is a promise of the host;
//! each broken one is a sentence.

#![allow(
    clippy::disallowed_methods,
    reason = "a look from outside at what the host has written"
)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::Utc;
use grepx_tests::wait_at_most;
use redis::Commands as _;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::flows::{CHILD, GAUGES, Kind, NARROW_SLOTS, TICK, TOCK};
use crate::life::Life;
use crate::trouble::Fault;

/// How long runs of the schedules and revocations may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was counted, for the table.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) flow_runs: u64,
    pub(crate) task_runs: u64,
    pub(crate) executions: u64,
    /// Attempts that the host gave up, because their worker was gone with them.
    pub(crate) lost_attempts: u64,
    /// Of those, what had ended all the same: its result was gone with the worker.
    pub(crate) lost_after_end: u64,
    /// Executions of messages that Celery itself has delivered again.
    pub(crate) redelivered: u64,
    pub(crate) duplicates: u64,
    pub(crate) losses: u64,
    pub(crate) limits_exceeded: u64,
    pub(crate) instants: u64,
    pub(crate) instants_missing: u64,
    pub(crate) instants_doubled: u64,
}

/// What the tasks of a flow run have counted.
#[derive(Debug, Default)]
struct Executed {
    /// By attempt, without what Celery has delivered again.
    attempts: Vec<u64>,
    /// Attempts of which there is nothing but a second delivery.
    only_again: u64,
    redelivered: u64,
    /// Attempts that ran to their end.
    ended: u64,
    /// Attempts that the host gave up.
    lost: u64,
}

struct Row {
    id: String,
    deployment: String,
    key: Option<String>,
    state: String,
    terminal: bool,
    expected: i64,
    scheduled: bool,
    parent: Option<String>,
    message: String,
}

/// Lets the schedules come to rest, stops the host and judges what it leaves.
pub(crate) fn judge(life: &mut Life) -> Figures {
    let mut figures = Figures::default();
    let cut = rest(life);
    life.host.stop();
    let rows = rows(life);
    figures.flow_runs = rows.len() as u64;
    let executions = executions(life);
    asked_once(life, &rows, &mut figures);
    executed_once(life, &rows, &executions, &mut figures);
    children(life, &rows, &mut figures);
    for (deployment, every) in [(TICK, 1_000), (TOCK, 2_000)] {
        instants(life, &rows, deployment, every, cut, &mut figures);
    }
    limits(life, &mut figures);
    nothing_left(life);
    replays(life, &mut figures);
    figures
}

/// The schedules are paused, their runs end, the outbox empties. The instant up to which every
/// planned time has to have its run.
fn rest(life: &mut Life) -> i64 {
    let cut = Utc::now().timestamp_millis() - 1_000;
    let due = wait_at_most(PATIENCE, || {
        let open = count(
            life,
            "SELECT count(*) FROM flow_runs WHERE expected_start <= ?1 AND (terminal = 0 OR planned = 1)",
            cut,
        );
        (open == 0).then_some(())
    });
    if due.is_none() {
        life.violations
            .push("runs of schedules never start or never end".to_owned());
    }
    for name in [TICK, TOCK] {
        let (_, found) = life.host.get(&format!("/deployments/name/{name}/{name}"));
        let id = found["id"].as_str().expect("an id");
        let (status, answer) = life
            .host
            .post(&format!("/deployments/{id}/pause_deployment"), &json!({}));
        assert!(status < 300, "{answer}");
    }
    let rest = wait_at_most(PATIENCE, || {
        let open = count(
            life,
            "SELECT count(*) FROM flow_runs WHERE terminal = 0 AND expected_start > ?1",
            -1,
        );
        (open == 0).then_some(())
    });
    if rest.is_none() {
        life.violations.push("flow runs never end".to_owned());
    }
    let sent = wait_at_most(PATIENCE, || {
        (count(life, "SELECT count(*) FROM outbox WHERE id > ?1", -1) == 0).then_some(())
    });
    if sent.is_none() {
        let ops = texts(life, "SELECT key || ' ' || op FROM outbox LIMIT 3");
        life.violations
            .push(format!("the outbox never empties: {}", ops.join(", ")));
    }
    cut
}

fn database(life: &Life) -> Connection {
    let path = life.host.folder().join("state/grepx-host.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the run database")
}

fn count(life: &Life, sql: &str, parameter: i64) -> i64 {
    database(life)
        .query_row(sql, [parameter], |row| row.get(0))
        .expect("a count")
}

fn texts(life: &Life, sql: &str) -> Vec<String> {
    let database = database(life);
    let mut select = database.prepare(sql).expect("a query");
    let rows = select.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

fn rows(life: &Life) -> Vec<Row> {
    let id = |bytes: Vec<u8>| Uuid::from_slice(&bytes).expect("an id").to_string();
    let database = database(life);
    let mut select = database
        .prepare(
            "SELECT id, deployment_name, idempotency_key, state_type, terminal, expected_start, auto_scheduled, \
             parent_run, coalesce(state_message, '') || ' ' || coalesce((SELECT group_concat(t.state_message) FROM task_runs t \
             WHERE t.run_id = flow_runs.id AND t.state_type = 'FAILED'), '') FROM flow_runs WHERE planned = 0",
        )
        .expect("a query");
    let rows = select.query_map([], |row| {
        Ok(Row {
            id: id(row.get(0)?),
            deployment: row.get(1)?,
            key: row.get(2)?,
            state: row.get(3)?,
            terminal: row.get(4)?,
            expected: row.get(5)?,
            scheduled: row.get(6)?,
            parent: row.get::<_, Option<Vec<u8>>>(7)?.map(id),
            message: row.get(8)?,
        })
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("flow runs")
}

/// By flow run.
fn executions(life: &Life) -> HashMap<String, Executed> {
    let mut redis = life.trouble.redis.connect();
    let mut executed: HashMap<String, Executed> = HashMap::new();
    let keys: Vec<String> = redis.keys("ran:*:*").expect("Redis answers");
    for key in keys {
        let mut parts = key.split(':').skip(1);
        let (kind, run) = (parts.next().expect("a kind"), parts.next().expect("a flow run"));
        let times: u64 = redis.scard(&key).expect("a count");
        let one = executed.entry(run.to_owned()).or_default();
        match kind {
            "attempt" => one.attempts.push(times),
            "ended" => one.ended = times,
            _ => {
                one.redelivered += times;
                let first: bool = redis.exists(key.replace(kind, "attempt")).expect("Redis answers");
                one.only_again += u64::from(!first);
            }
        }
    }
    let given_up = "SELECT lower(hex(run_id)) FROM facts WHERE fact LIKE '{\"attempt_failed\"%\"celery-lost\"%'";
    for run in texts(life, given_up) {
        let run = Uuid::parse_str(&run).expect("an id").to_string();
        executed.entry(run).or_default().lost += 1;
    }
    executed
}

/// Every flow run that was asked for exists once and has ended as it should; there is no other.
fn asked_once(life: &mut Life, rows: &[Row], figures: &mut Figures) {
    let mut by_key: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in rows.iter().filter(|row| !row.scheduled && row.parent.is_none()) {
        by_key
            .entry(row.key.as_deref().unwrap_or("none"))
            .or_default()
            .push(row);
    }
    for one in &life.load.asked {
        match by_key.remove(one.key.as_str()).as_deref() {
            None => {
                figures.losses += 1;
                life.violations.push(format!("lost: the flow run {}", one.key));
            }
            Some([row]) => {
                if row.state != one.kind.ends() {
                    figures.losses += 1;
                    let what = format!(
                        "{} ({}) ended as {}, not {}: {}",
                        one.key,
                        row.id,
                        row.state,
                        one.kind.ends(),
                        row.message
                    );
                    life.violations.push(what);
                }
            }
            Some(more) => {
                figures.duplicates += more.len() as u64 - 1;
                life.violations
                    .push(format!("{} has {} flow runs", one.key, more.len()));
            }
        }
    }
    for (key, rows) in by_key {
        life.violations.push(format!(
            "{} flow runs with the key {key} were not asked for",
            rows.len()
        ));
    }
}

/// No attempt was executed twice, and each run had as many as it should: one more for each that was
/// given up with its worker.
fn executed_once(life: &mut Life, rows: &[Row], executed: &HashMap<String, Executed>, figures: &mut Figures) {
    let kinds: BTreeMap<&str, Kind> = Kind::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
    let none = Executed::default();
    for row in rows {
        let of_run = executed.get(&row.id).unwrap_or(&none);
        figures.executions += of_run.attempts.iter().sum::<u64>() + of_run.redelivered;
        figures.redelivered += of_run.redelivered;
        figures.lost_attempts += of_run.lost;
        for times in of_run.attempts.iter().filter(|times| **times > 1) {
            figures.duplicates += times - 1;
            let what = format!(
                "an attempt of {} ({}) was executed {times} times",
                row.deployment, row.id
            );
            life.violations.push(what);
        }
        let (least, most) = match kinds.get(row.deployment.as_str()) {
            Some(kind) => kind.executions(),
            None if row.state == "COMPLETED" && row.deployment != TICK => (1, 1),
            None => (0, u64::from(row.deployment != TICK)),
        };
        figures.lost_after_end += of_run.ended.saturating_sub(most).min(of_run.lost);
        let attempts = of_run.attempts.len() as u64 + of_run.only_again;
        if !(least..=most + of_run.lost).contains(&attempts) {
            let what = format!(
                "{} ({}) had {attempts} attempts at workers, it should have {least} to {most}, and {} were given up",
                row.deployment, row.id, of_run.lost
            );
            figures.losses += u64::from(attempts < least);
            figures.duplicates += attempts.saturating_sub(most + of_run.lost);
            life.violations.push(what);
        }
    }
    of_celery(life, figures);
}

/// What Celery may do to tasks when its worker or its connection is gone, and only then.
fn of_celery(life: &mut Life, figures: &Figures) {
    let causes = [
        Fault::AllCut,
        Fault::RedisKilled,
        Fault::WorkerKilled,
        Fault::WorkerFallen,
    ];
    let causes: u64 = causes.map(|fault| life.trouble.count(fault)).into_iter().sum();
    let celery = [
        ("given up as lost", figures.lost_attempts, causes * 1_000),
        // As many as a worker runs at once.
        ("given up although they had ended", figures.lost_after_end, causes * 4),
        ("delivered again by Celery", figures.redelivered, causes * 1_000),
    ];
    for (what, number, most) in celery {
        if number > most {
            life.violations
                .push(format!("{number} attempts were {what}, at most {most} may be"));
        }
    }
}

/// One child for each flow run that starts one.
fn children(life: &mut Life, rows: &[Row], figures: &mut Figures) {
    let mut children: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        if row.deployment == Kind::Nested.name() {
            children.entry(&row.id).or_default();
        }
        if row.deployment == CHILD {
            *children.entry(row.parent.as_deref().unwrap_or("none")).or_default() += 1;
        }
    }
    for (parent, number) in children.into_iter().filter(|(_, number)| *number != 1) {
        figures.losses += u64::from(number == 0);
        figures.duplicates += number.saturating_sub(1);
        life.violations.push(format!("{parent} has {number} child runs"));
    }
}

/// Each instant up to `cut` has one run, and that has completed.
fn instants(life: &mut Life, rows: &[Row], deployment: &str, every: i64, cut: i64, figures: &mut Figures) {
    let mut runs: BTreeMap<i64, u64> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.deployment == deployment && row.expected <= cut)
    {
        *runs.entry(row.expected).or_default() += 1;
        if row.state != "COMPLETED" || !row.terminal || !row.scheduled {
            figures.losses += 1;
            life.violations.push(format!(
                "the run of {deployment} at {} ended as {}",
                row.expected, row.state
            ));
        }
    }
    figures.instants += runs.len() as u64;
    for (at, number) in runs.iter().filter(|(_, number)| **number > 1) {
        figures.instants_doubled += number - 1;
        life.violations.push(format!("{deployment} has {number} runs at {at}"));
    }
    let Some(first) = runs.keys().next().copied() else {
        life.violations.push(format!("{deployment} never fired"));
        return;
    };
    let last_due = cut - (cut - first).rem_euclid(every);
    let mut at = first;
    while at <= last_due {
        if !runs.contains_key(&at) {
            figures.instants_missing += 1;
            life.violations.push(format!("{deployment} has no run at {at}"));
        }
        at += every;
    }
}

/// What the tasks themselves have seen.
fn limits(life: &mut Life, figures: &mut Figures) {
    let mut redis = life.trouble.redis.connect();
    for (gauge, limit) in GAUGES.into_iter().zip([NARROW_SLOTS, 1]) {
        let most: Option<i64> = redis.get(format!("most:{gauge}")).expect("Redis answers");
        if most.is_some_and(|most| most > limit) {
            figures.limits_exceeded += 1;
            life.violations
                .push(format!("{most:?} tasks of {gauge} ran at once, {limit} may"));
        }
    }
}

/// No message, no slot, no send.
fn nothing_left(life: &mut Life) {
    let mut redis = life.trouble.redis.connect();
    for queue in ["celery", "nobody"] {
        let left: i64 = redis.llen(queue).expect("Redis answers");
        if left > 0 {
            life.violations
                .push(format!("{left} messages are left in the queue {queue}"));
        }
    }
    let slots = count(life, "SELECT count(*) FROM slots WHERE held > ?1", -2);
    if slots > 0 {
        life.violations
            .push(format!("{slots} slots are held or waited for by nobody"));
    }
}

/// The log of each run says what is shown.
fn replays(life: &mut Life, figures: &mut Figures) {
    let outcome = life.host.cli(&["store", "verify", "--json"]);
    if outcome.out.is_empty() {
        return life
            .violations
            .push(format!("the store cannot be verified: {}", outcome.err));
    }
    let verified: Value = outcome.json();
    figures.task_runs = verified["task_runs"].as_u64().unwrap_or(0);
    for one in verified["differences"].as_array().into_iter().flatten() {
        life.violations.push(format!("replayed otherwise: {one}"));
    }
    if verified["flow_runs"].as_u64() != Some(figures.flow_runs) {
        life.violations
            .push(format!("{} flow runs, {verified}", figures.flow_runs));
    }
}
