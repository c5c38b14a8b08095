//! One [`Commit`] as statements. The JSON is made by the submitter, not by the writer's thread,
//! which everybody shares.

mod task_row;

use std::sync::Arc;

use grepx_engine::{FlowRunId, Json, State, StateType, Timestamp};
use rusqlite::{OptionalExtension, ToSql, params};

use super::admission;
use super::changes::{Changed, CommittedRows, RunChange, Step};
use super::model::{Commit, RunState, SendId};
use super::rows::{THE_RUN, blob, item};
use super::tallies::Of;
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
        let before = RunBefore::read(writing, self.commit.run)?;
        self.apply_to(writing, &before)
    }

    fn apply_to(&self, writing: &mut Writing<'_>, before: &RunBefore) -> Result<Vec<SendId>, Error> {
        let (commit, rows) = (&self.commit, &self.rows);
        self.insert_facts(writing)?;
        for node in &commit.renewed {
            task_row::renew(writing, commit.run, before.origin, *node)?;
        }
        let state = match &rows.state {
            Some(state) => update_run(writing, commit.run, state, before)?,
            None => None,
        };
        let mut tasks = Vec::new();
        for (place, (row, input)) in (0..).zip(rows.tasks.iter().zip(&self.inputs)) {
            let step = task_row::put(writing, commit.run, before.origin, row, input.as_ref())?;
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
    pub(super) fn apply_first(
        &self,
        writing: &mut Writing<'_>,
        before: RunBefore,
        created_at: Timestamp,
    ) -> Result<(), Error> {
        if self.rows.state.is_none() {
            let scheduled = RunState::new(State {
                state_type: StateType::Scheduled,
                name: "Scheduled",
                message: None,
                since: created_at,
            });
            update_run(writing, self.commit.run, &scheduled, &before)?;
            self.apply(writing)?;
        } else {
            self.apply_to(writing, &before)?;
        }
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
pub(super) struct RunBefore {
    /// The definition of a run that was only planned.
    definition: Option<String>,
    origin: i64,
    /// Start and end.
    times: [Option<i64>; 2],
    states: i64,
    word: String,
    name: String,
    message: Option<String>,
    reason: Option<String>,
}

impl RunBefore {
    /// Of a row that was just inserted.
    pub(super) fn new(origin: i64) -> Self {
        Self {
            definition: None,
            origin,
            times: [None; 2],
            states: 0,
            word: "SCHEDULED".to_owned(),
            name: "Scheduled".to_owned(),
            message: None,
            reason: None,
        }
    }

    /// Of a run that was planned, with the definition that it runs by.
    pub(super) fn planned(origin: i64, definition: String) -> Self {
        Self {
            definition: Some(definition),
            ..Self::new(origin)
        }
    }

    fn read(writing: &Writing<'_>, run: FlowRunId) -> Result<Self, Error> {
        let mut select = writing.sql.prepare_cached(
            "SELECT states, state_type, state_name, state_message, reason, origin, start_time, end_time \
             FROM flow_runs WHERE id = ?",
        )?;
        select
            .query_row([blob(&run.0)], |row| {
                Ok(Self {
                    definition: None,
                    states: row.get(0)?,
                    word: row.get(1)?,
                    name: row.get(2)?,
                    message: row.get(3)?,
                    reason: row.get(4)?,
                    origin: row.get(5)?,
                    times: [row.get(6)?, row.get(7)?],
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
    writing: &mut Writing<'_>,
    run: FlowRunId,
    new: &RunState,
    before: &RunBefore,
) -> Result<Option<Step>, Error> {
    let changed = !before.is(&new.state);
    if changed {
        put_state(writing, run, (THE_RUN, -1), before.states, &new.state)?;
    }
    // SQLite rewrites every index of a column that is set, changed or not, and the row for each
    // statement: what has indexes is set only where it differs, and all in one statement.
    let (since, total) = (new.state.since.0, to_i64(new.total_run_time_ms));
    let (word, name) = (new.state.state_type.as_str(), new.state.name);
    let (states, terminal) = (before.states + i64::from(changed), new.state.state_type.is_terminal());
    let times = [new.start_time, new.end_time].map(|at| at.map(|at| at.0));
    let mut set = "UPDATE flow_runs SET state_message = ?, state_since = ?, states = ?, total_run_time_ms = ?, \
         run_count = ?, starts_again = ?, reason = ?"
        .to_owned();
    let again = new.starts_again.map(|at| at.0);
    let mut values: Vec<&dyn ToSql> = vec![
        &new.state.message,
        &since,
        &states,
        &total,
        &new.run_count,
        &again,
        &new.reason,
    ];
    if (before.word.as_str(), before.name.as_str()) != (word, name) {
        set.push_str(", state_type = ?, state_name = ?, terminal = ?");
        values.extend([&word as &dyn ToSql, &name, &terminal]);
        let was = (before.word.as_str(), before.name.as_str());
        writing.tallies.change(Of::FlowRuns, before.origin, was, (word, name));
    }
    for ((column, now), was) in [", start_time = ?", ", end_time = ?"]
        .into_iter()
        .zip(&times)
        .zip(before.times)
    {
        if *now != was {
            set.push_str(column);
            values.push(now);
        }
    }
    if let Some(definition) = &before.definition {
        set.push_str(", planned = 0, definition = ?");
        values.push(definition);
    }
    set.push_str(" WHERE id = ?");
    let id = blob(&run.0);
    values.push(&id);
    writing.sql.prepare_cached(&set)?.execute(values.as_slice())?;
    Ok(before.step(new))
}

fn put_state(
    writing: &Writing<'_>,
    run: FlowRunId,
    (task, item): (i64, i64),
    n: i64,
    state: &State,
) -> Result<(), Error> {
    let mut insert = writing.sql.prepare_cached(
        "INSERT INTO states (run_id, task, item, n, type, name, message, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        blob(&run.0),
        task,
        item,
        n,
        state.state_type.as_str(),
        state.name,
        state.message,
        state.since.0
    ])?;
    Ok(())
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
