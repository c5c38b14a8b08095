//! One [`Commit`] as statements. The JSON is made by the submitter, not by the writer's thread,
//! which everybody shares.

use std::sync::Arc;

use grepx_engine::{FlowRunId, Json, NodeId, State, StateType, TaskRunId, Timestamp};
use rusqlite::{OptionalExtension, named_params, params};

use super::admission;
use super::changes::{Changed, CommittedRows, RunChange, Step};
use super::model::{Commit, INPUT_BYTES_MAX, RunState, SendId, TaskRow};
use super::rows::{THE_RUN, blob, item};
use super::writer::Writing;
use super::{Error, logs};

/// A commit with its JSON made.
pub(super) struct Prepared {
    /// Without what `rows` has of it.
    commit: Commit,
    rows: Arc<CommittedRows>,
    /// Of `rows.tasks`.
    inputs: Vec<Option<Json>>,
    facts: Vec<String>,
    ops: Vec<String>,
}

impl Prepared {
    pub(super) fn new(mut commit: Commit) -> Self {
        let facts = commit.facts.iter().map(|record| to_json(&record.fact)).collect();
        let ops = commit.outbox.iter().map(|send| to_json(&send.op)).collect();
        for row in &mut commit.logs {
            logs::cut(&mut row.message);
        }
        let inputs = commit.tasks.iter_mut().map(|row| row.input.take()).collect();
        let rows = Arc::new(CommittedRows {
            run: commit.run,
            identity: commit.identity.take(),
            state: commit.state.take(),
            tasks: std::mem::take(&mut commit.tasks),
            logs: std::mem::take(&mut commit.logs),
        });
        Self {
            commit,
            rows,
            inputs,
            facts,
            ops,
        }
    }

    pub(super) fn apply(&self, writing: &mut Writing<'_>) -> Result<Vec<SendId>, Error> {
        let (commit, rows) = (&self.commit, &self.rows);
        let before = RunBefore::read(writing, commit.run)?;
        self.insert_facts(writing)?;
        for node in &commit.renewed {
            renew(writing, commit.run, *node)?;
        }
        let state = match &rows.state {
            Some(state) => update_run(writing, commit.run, state, &before)?,
            None => None,
        };
        let mut tasks = Vec::new();
        for (place, (row, input)) in (0..).zip(rows.tasks.iter().zip(&self.inputs)) {
            let step = put_task(writing, commit.run, row, input.as_ref())?;
            tasks.extend(step.map(|step| (place, step)));
        }
        for (node, json) in &commit.results {
            let mut put = writing
                .sql
                .prepare_cached("INSERT OR REPLACE INTO results (run_id, task, item, json) VALUES (?, ?, ?, ?)")?;
            put.execute(params![blob(&commit.run.0), node.task, item(*node), json.as_str()])?;
        }
        let sends = self.change_sends(writing)?;
        let logs = logs::append(writing, commit.run, &rows.logs)?;
        let change = RunChange {
            rows: Arc::clone(rows),
            state,
            tasks,
            first_line: logs.first,
            lines: logs.lines,
            last_line: logs.last,
        };
        if !change.is_empty() {
            writing.tell(|| Changed::Run(Arc::new(change)));
        }
        if let Some(slot) = &commit.slot {
            admission::change(writing, commit.run, slot)?;
        }
        if rows
            .state
            .as_ref()
            .is_some_and(|state| state.state.state_type.is_terminal())
        {
            admission::release(writing, commit.run)?;
        }
        Ok(sends)
    }

    /// Of a run just created: its history begins with the commit's state, else with SCHEDULED.
    pub(super) fn apply_first(&self, writing: &mut Writing<'_>, created_at: Timestamp) -> Result<(), Error> {
        if self.rows.state.is_none() {
            let state = State {
                state_type: StateType::Scheduled,
                name: "Scheduled",
                message: None,
                since: created_at,
            };
            put_state(writing, self.commit.run, (THE_RUN, -1), 0, &state)?;
            let mut update = writing
                .sql
                .prepare_cached("UPDATE flow_runs SET states = 1 WHERE id = ?")?;
            update.execute([blob(&self.commit.run.0)])?;
        }
        self.apply(writing)?;
        Ok(())
    }

    fn insert_facts(&self, writing: &Writing<'_>) -> Result<(), Error> {
        let run = self.commit.run;
        if self.facts.is_empty() {
            return Ok(());
        }
        let next = next_seq(writing, run)?;
        let mut insert = writing
            .sql
            .prepare_cached("INSERT INTO facts (run_id, seq, at, fact) VALUES (?, ?, ?, ?)")?;
        for (next, (record, json)) in (next..).zip(self.commit.facts.iter().zip(&self.facts)) {
            if record.seq != next {
                return Err(Error::Fenced {
                    run,
                    seq: record.seq,
                    next,
                });
            }
            insert.execute(params![blob(&run.0), to_i64(record.seq), record.at.0, json])?;
        }
        Ok(())
    }

    fn change_sends(&self, writing: &Writing<'_>) -> Result<Vec<SendId>, Error> {
        let run = self.commit.run;
        for (node, attempt) in &self.commit.sends_over {
            let mut over = writing.sql.prepare_cached(
                "DELETE FROM outbox WHERE run_id = ? AND task = ? AND item = ? AND attempt = ? AND keep = 0",
            )?;
            over.execute(params![blob(&run.0), node.task, item(*node), attempt])?;
        }
        drop_sends(writing, &self.commit.sends_done)?;
        let mut ids = Vec::with_capacity(self.ops.len());
        for (send, op) in self.commit.outbox.iter().zip(&self.ops) {
            let mut insert = writing.sql.prepare_cached(
                "INSERT INTO outbox (run_id, task, item, attempt, key, op, keep) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?;
            ids.push(SendId(insert.insert(params![
                blob(&run.0),
                send.node.task,
                item(send.node),
                send.attempt,
                send.key,
                op,
                send.keep
            ])?));
        }
        Ok(ids)
    }
}

pub(super) fn mark_sent(writing: &Writing<'_>, ids: &[SendId], at: Timestamp) -> Result<(), Error> {
    for id in ids {
        let mut sent = writing
            .sql
            .prepare_cached("UPDATE outbox SET sent_at = ? WHERE id = ?")?;
        sent.execute([at.0, id.0])?;
    }
    Ok(())
}

pub(super) fn drop_sends(writing: &Writing<'_>, ids: &[SendId]) -> Result<(), Error> {
    for id in ids {
        let mut done = writing.sql.prepare_cached("DELETE FROM outbox WHERE id = ?")?;
        done.execute([id.0])?;
    }
    Ok(())
}

fn next_seq(writing: &Writing<'_>, run: FlowRunId) -> Result<u64, Error> {
    let mut last = writing
        .sql
        .prepare_cached("SELECT max(seq) FROM facts WHERE run_id = ?")?;
    let last: Option<i64> = last.query_row([blob(&run.0)], |row| row.get(0))?;
    Ok(last.map_or(0, |seq| u64::try_from(seq).unwrap_or(0) + 1))
}

/// The row before the change: history gets a row only when type or name of the state change.
struct RunBefore {
    states: i64,
    word: String,
    name: String,
    message: Option<String>,
    reason: Option<String>,
}

impl RunBefore {
    fn read(writing: &Writing<'_>, run: FlowRunId) -> Result<Self, Error> {
        let mut select = writing.sql.prepare_cached(
            "SELECT states, state_type, state_name, state_message, reason FROM flow_runs WHERE id = ?",
        )?;
        select
            .query_row([blob(&run.0)], |row| {
                Ok(Self {
                    states: row.get(0)?,
                    word: row.get(1)?,
                    name: row.get(2)?,
                    message: row.get(3)?,
                    reason: row.get(4)?,
                })
            })
            .optional()?
            .ok_or(Error::UnknownRun(run))
    }

    fn is(&self, state: &State) -> bool {
        self.states > 0 && self.word == state.state_type.as_str() && self.name == state.name
    }

    /// What people see change; `None` when it is nothing.
    fn step(&self, new: &RunState) -> Option<Step> {
        let changed = !self.is(&new.state);
        let seen = changed || self.message != new.state.message || self.reason != new.reason;
        seen.then(|| Step {
            n: self.states - i64::from(!changed),
            from: (changed && self.states > 0)
                .then(|| Some((StateType::parse(&self.word)?, self.name.as_str().into())))
                .flatten(),
            new: self.states == 0,
        })
    }
}

fn update_run(
    writing: &Writing<'_>,
    run: FlowRunId,
    new: &RunState,
    before: &RunBefore,
) -> Result<Option<Step>, Error> {
    let changed = !before.is(&new.state);
    if changed {
        put_state(writing, run, (THE_RUN, -1), before.states, &new.state)?;
    }
    // SQLite rewrites every index of a column that is set, changed or not: what has indexes and
    // seldom changes is set apart, where it differs.
    let mut times = writing.sql.prepare_cached(
        "UPDATE flow_runs SET start_time = ?2, end_time = ?3 WHERE id = ?1 \
         AND (start_time IS NOT ?2 OR end_time IS NOT ?3)",
    )?;
    times.execute(params![
        blob(&run.0),
        new.start_time.map(|at| at.0),
        new.end_time.map(|at| at.0)
    ])?;
    if let Some(expected) = new.expected_start {
        let mut update = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET expected_start = ? WHERE id = ?")?;
        update.execute(params![expected.0, blob(&run.0)])?;
    }
    if changed {
        let mut state = writing
            .sql
            .prepare_cached("UPDATE flow_runs SET state_type = ?, terminal = ? WHERE id = ?")?;
        let word = new.state.state_type;
        state.execute(params![word.as_str(), word.is_terminal(), blob(&run.0)])?;
    }
    let mut update = writing.sql.prepare_cached(
        "UPDATE flow_runs SET state_name = :name, state_message = :message, state_since = :since, \
         states = :states, total_run_time_ms = :total, run_count = :count, starts_again = :again, \
         reason = :reason WHERE id = :id",
    )?;
    update.execute(named_params! {
        ":name": new.state.name,
        ":message": new.state.message,
        ":since": new.state.since.0,
        ":states": before.states + i64::from(changed),
        ":total": to_i64(new.total_run_time_ms),
        ":count": new.run_count,
        ":again": new.starts_again.map(|at| at.0),
        ":reason": new.reason,
        ":id": blob(&run.0),
    })?;
    Ok(before.step(new))
}

/// What people see change; `None` when it is nothing.
fn put_task(writing: &Writing<'_>, run: FlowRunId, row: &TaskRow, input: Option<&Json>) -> Result<Option<Step>, Error> {
    let mut select = writing.sql.prepare_cached(
        "SELECT states, state_type, state_name, attempt, state_message, status, reason FROM task_runs \
         WHERE run_id = ? AND task = ? AND item = ?",
    )?;
    let before = select
        .query_row(params![blob(&run.0), row.node.task, item(row.node)], |found| {
            task_step(found, row)
        })
        .optional()?;
    let step = before.unwrap_or(Some(Step {
        n: 0,
        from: None,
        new: true,
    }));
    let states = match &step {
        Some(step) if step.is_new_state() => {
            let place = (i64::from(row.node.task), item(row.node));
            put_state(writing, run, place, step.n, &row.state)?;
            Some(step.n + 1)
        }
        _ => None,
    };
    upsert_task(writing, run, row, input, states)?;
    Ok(step)
}

/// From the row before to `new`.
fn task_step(before: &rusqlite::Row<'_>, new: &TaskRow) -> rusqlite::Result<Option<Step>> {
    let states: i64 = before.get(0)?;
    let (word, name) = (before.get_ref(1)?.as_str()?, before.get_ref(2)?.as_str()?);
    if word != new.state.state_type.as_str() || name != new.state.name {
        return Ok(Some(Step {
            n: states,
            from: StateType::parse(word).map(|word| (word, name.into())),
            new: states == 0,
        }));
    }
    let text = |column| Ok::<_, rusqlite::Error>(before.get_ref(column)?.as_str_or_null()?);
    let same = before.get::<_, u32>(3)? == new.attempt
        && text(4)? == new.state.message.as_deref()
        && text(5)? == new.status.as_deref()
        && text(6)? == new.reason.as_deref();
    Ok((!same).then_some(Step {
        n: states - 1,
        from: None,
        new: false,
    }))
}

/// `states`: `None` leaves the number of states as it is.
fn upsert_task(
    writing: &Writing<'_>,
    run: FlowRunId,
    row: &TaskRow,
    input: Option<&Json>,
    states: Option<i64>,
) -> Result<(), Error> {
    let TaskRunId(id) = row.node.run_id(run);
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO task_runs (run_id, task, item, id, name, kind, attempt, state_type, state_name, state_message, \
         state_since, states, expected_start, start_time, end_time, total_run_time_ms, reason, status, external_id, \
         tags, result_bytes, input) VALUES (:run, :task, :item, :id, :name, :kind, :attempt, :type, :state, :message, \
         :since, coalesce(:states, 1), :expected, :start, :end, :total, :reason, :status, :external, :tags, :bytes, :input) \
         ON CONFLICT (run_id, task, item) DO UPDATE SET attempt = excluded.attempt, \
         state_type = excluded.state_type, state_name = excluded.state_name, state_message = excluded.state_message, \
         state_since = excluded.state_since, states = coalesce(:states, states), expected_start = excluded.expected_start, \
         start_time = excluded.start_time, end_time = excluded.end_time, \
         total_run_time_ms = excluded.total_run_time_ms, reason = excluded.reason, status = excluded.status, \
         external_id = excluded.external_id, tags = excluded.tags, \
         result_bytes = coalesce(excluded.result_bytes, result_bytes), input = coalesce(excluded.input, input)",
    )?;
    put.execute(named_params! {
        ":run": blob(&run.0),
        ":task": row.node.task,
        ":item": item(row.node),
        ":id": blob(&id),
        ":name": row.name,
        ":kind": row.kind,
        ":attempt": row.attempt,
        ":type": row.state.state_type.as_str(),
        ":state": row.state.name,
        ":message": row.state.message,
        ":since": row.state.since.0,
        ":states": states,
        ":expected": row.expected_start.map(|at| at.0),
        ":start": row.start_time.map(|at| at.0),
        ":end": row.end_time.map(|at| at.0),
        ":total": to_i64(row.total_run_time_ms),
        ":reason": row.reason,
        ":status": row.status,
        ":external": row.external_id,
        ":tags": to_json(&row.tags),
        ":bytes": row.result_bytes.map(to_i64),
        ":input": input.map(|input| bounded(input.as_str())),
    })?;
    Ok(())
}

fn renew(writing: &Writing<'_>, run: FlowRunId, node: NodeId) -> Result<(), Error> {
    let place = params![blob(&run.0), node.task, item(node)];
    for change in [
        "DELETE FROM results WHERE run_id = ? AND task = ? AND item = ?",
        "UPDATE task_runs SET result_bytes = NULL, input = NULL WHERE run_id = ? AND task = ? AND item = ?",
    ] {
        writing.sql.prepare_cached(change)?.execute(place)?;
    }
    if node.index.is_some() {
        return Ok(());
    }
    for delete in [
        "DELETE FROM results WHERE run_id = ? AND task = ? AND item >= 0",
        "DELETE FROM task_runs WHERE run_id = ? AND task = ? AND item >= 0",
        "DELETE FROM states WHERE run_id = ? AND task = ? AND item >= 0",
    ] {
        let mut delete = writing.sql.prepare_cached(delete)?;
        delete.execute(params![blob(&run.0), node.task])?;
    }
    Ok(())
}

/// `place`: the task and the item.
fn put_state(writing: &Writing<'_>, run: FlowRunId, place: (i64, i64), n: i64, state: &State) -> Result<(), Error> {
    let mut insert = writing.sql.prepare_cached(
        "INSERT INTO states (run_id, task, item, n, type, name, message, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        blob(&run.0),
        place.0,
        place.1,
        n,
        state.state_type.as_str(),
        state.name,
        state.message,
        state.since.0
    ])?;
    Ok(())
}

fn bounded(input: &str) -> std::borrow::Cow<'_, str> {
    if input.len() <= INPUT_BYTES_MAX {
        input.into()
    } else {
        format!(r#"{{"truncated": true, "bytes": {}}}"#, input.len()).into()
    }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our types have string keys and always serialise")
}

/// What does not fit an SQLite integer is cut to the largest one.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
