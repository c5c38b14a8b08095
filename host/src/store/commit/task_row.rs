//! The row of a task run. What has an index is written only where it differs: a task run changes
//! several times, and SQLite rewrites every index of a column that is set.

use grepx_engine::{FlowRunId, Json, NodeId, StateType, TaskRunId};
use rusqlite::{OptionalExtension, ToSql, named_params, params};

use super::super::Error;
use super::super::changes::Step;
use super::super::model::{INPUT_BYTES_MAX, TaskRow};
use super::super::rows::{blob, item};
use super::super::tallies::Of;
use super::super::writer::Writing;
use super::{put_state, to_i64, to_json};

/// What a row of a task run says before the change, as far as indexes, tallies and those who watch
/// hang on it.
struct Before {
    states: i64,
    word: String,
    name: String,
    times: [Option<i64>; 3],
    tags: String,
    attempt: u32,
    message: Option<String>,
    status: Option<String>,
    reason: Option<String>,
}

impl Before {
    fn is(&self, row: &TaskRow) -> bool {
        (self.word.as_str(), self.name.as_str()) == (row.state.state_type.as_str(), row.state.name)
    }

    /// What people see change; `None` when it is nothing.
    fn step(&self, row: &TaskRow) -> Option<Step> {
        if !self.is(row) {
            return Some(Step {
                n: self.states,
                from: StateType::parse(&self.word).map(|word| (word, self.name.as_str().into())),
                new: self.states == 0,
            });
        }
        let same = self.attempt == row.attempt
            && self.message == row.state.message
            && self.status == row.status
            && self.reason == row.reason;
        (!same).then_some(Step {
            n: self.states - 1,
            from: None,
            new: false,
        })
    }
}

/// What people see change; `None` when it is nothing.
pub(super) fn put(
    writing: &mut Writing<'_>,
    run: FlowRunId,
    origin: i64,
    row: &TaskRow,
    input: Option<&Json>,
) -> Result<Option<Step>, Error> {
    let before = before(writing, run, row)?;
    let now = (row.state.state_type.as_str(), row.state.name);
    let step = match &before {
        Some(before) => before.step(row),
        None => Some(Step {
            n: 0,
            from: None,
            new: true,
        }),
    };
    let mut states = before.as_ref().map_or(0, |before| before.states);
    if !before.as_ref().is_some_and(|before| before.is(row)) {
        let place = (i64::from(row.node.task), item(row.node));
        put_state(writing, run, place, states, &row.state)?;
        states += 1;
    }
    let tags = to_json(&row.tags);
    match &before {
        None => {
            insert(writing, run, row, input, (states, &tags))?;
            writing.tallies.add(Of::TaskRuns, origin, now, 1);
        }
        Some(before) => {
            update(writing, run, row, input, (states, &tags), before)?;
            let was = (before.word.as_str(), before.name.as_str());
            writing.tallies.change(Of::TaskRuns, origin, was, now);
        }
    }
    let had = before.map_or_else(|| "[]".to_owned(), |before| before.tags);
    if had != tags {
        put_tags(writing, run, row)?;
    }
    Ok(step)
}

fn before(writing: &Writing<'_>, run: FlowRunId, row: &TaskRow) -> Result<Option<Before>, Error> {
    let mut select = writing.sql.prepare_cached(
        "SELECT states, state_type, state_name, expected_start, start_time, end_time, tags, attempt, state_message, \
         status, reason FROM task_runs WHERE run_id = ? AND task = ? AND item = ?",
    )?;
    let before = select.query_row(params![blob(&run.0), row.node.task, item(row.node)], |found| {
        Ok(Before {
            states: found.get(0)?,
            word: found.get(1)?,
            name: found.get(2)?,
            times: [found.get(3)?, found.get(4)?, found.get(5)?],
            tags: found.get(6)?,
            attempt: found.get(7)?,
            message: found.get(8)?,
            status: found.get(9)?,
            reason: found.get(10)?,
        })
    });
    Ok(before.optional()?)
}

fn insert(
    writing: &Writing<'_>,
    run: FlowRunId,
    row: &TaskRow,
    input: Option<&Json>,
    (states, tags): (i64, &str),
) -> Result<(), Error> {
    let TaskRunId(id) = row.node.run_id(run);
    let mut put = writing.sql.prepare_cached(
        "INSERT INTO task_runs (run_id, task, item, id, name, kind, attempt, state_type, state_name, state_message, \
         state_since, states, expected_start, start_time, end_time, total_run_time_ms, reason, status, external_id, \
         tags, result_bytes, input) VALUES (:run, :task, :item, :id, :name, :kind, :attempt, :type, :state, :message, \
         :since, :states, :expected, :start, :end, :total, :reason, :status, :external, :tags, :bytes, :input)",
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
        ":tags": tags,
        ":bytes": row.result_bytes.map(to_i64),
        ":input": input.map(|input| bounded(input.as_str())),
    })?;
    Ok(())
}

/// What has indexes is set only where it differs, as in `update_run`; all in one statement, because
/// each rewrites the row.
fn update(
    writing: &Writing<'_>,
    run: FlowRunId,
    row: &TaskRow,
    input: Option<&Json>,
    (states, tags): (i64, &str),
    before: &Before,
) -> Result<(), Error> {
    let (word, name) = (row.state.state_type.as_str(), row.state.name);
    let times = [row.expected_start, row.start_time, row.end_time].map(|at| at.map(|at| at.0));
    let (since, total) = (row.state.since.0, to_i64(row.total_run_time_ms));
    let bytes = row.result_bytes.map(to_i64);
    let input = input.map(|input| bounded(input.as_str()));
    let (id, item) = (blob(&run.0), item(row.node));
    let mut set = "UPDATE task_runs SET attempt = ?, state_message = ?, state_since = ?, states = ?, \
         total_run_time_ms = ?, reason = ?, status = ?, external_id = ?, tags = ?, \
         result_bytes = coalesce(?, result_bytes), input = coalesce(?, input)"
        .to_owned();
    let mut values: Vec<&dyn ToSql> = vec![
        &row.attempt,
        &row.state.message,
        &since,
        &states,
        &total,
        &row.reason,
        &row.status,
        &row.external_id,
        &tags,
        &bytes,
        &input,
    ];
    if (before.word.as_str(), before.name.as_str()) != (word, name) {
        set.push_str(", state_type = ?, state_name = ?");
        values.extend([&word as &dyn ToSql, &name]);
    }
    let columns = [", expected_start = ?", ", start_time = ?", ", end_time = ?"];
    for ((column, now), was) in columns.into_iter().zip(&times).zip(before.times) {
        if *now != was {
            set.push_str(column);
            values.push(now);
        }
    }
    set.push_str(" WHERE run_id = ? AND task = ? AND item = ?");
    values.extend([&id as &dyn ToSql, &row.node.task, &item]);
    writing.sql.prepare_cached(&set)?.execute(values.as_slice())?;
    Ok(())
}

fn put_tags(writing: &Writing<'_>, run: FlowRunId, row: &TaskRow) -> Result<(), Error> {
    let (id, node) = (blob(&run.0), row.node);
    let mut old = writing
        .sql
        .prepare_cached("DELETE FROM task_run_tags WHERE run_id = ? AND task = ? AND item = ?")?;
    old.execute(params![id, node.task, item(node)])?;
    for tag in &row.tags {
        let mut put = writing
            .sql
            .prepare_cached("INSERT OR IGNORE INTO task_run_tags (tag, run_id, task, item) VALUES (?, ?, ?, ?)")?;
        put.execute(params![tag, id, node.task, item(node)])?;
    }
    Ok(())
}

/// What an earlier time left of a task goes, with its items.
pub(super) fn renew(writing: &mut Writing<'_>, run: FlowRunId, origin: i64, node: NodeId) -> Result<(), Error> {
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
        "DELETE FROM task_run_tags WHERE run_id = ? AND task = ? AND item >= 0",
        "DELETE FROM states WHERE run_id = ? AND task = ? AND item >= 0",
    ] {
        let mut delete = writing.sql.prepare_cached(delete)?;
        delete.execute(params![blob(&run.0), node.task])?;
    }
    let mut items = writing.sql.prepare_cached(
        "DELETE FROM task_runs WHERE run_id = ? AND task = ? AND item >= 0 RETURNING state_type, state_name",
    )?;
    let mut gone = items.query(params![blob(&run.0), node.task])?;
    while let Some(row) = gone.next()? {
        let (state_type, name): (String, String) = (row.get(0)?, row.get(1)?);
        writing.tallies.add(Of::TaskRuns, origin, (&state_type, &name), -1);
    }
    Ok(())
}

fn bounded(input: &str) -> std::borrow::Cow<'_, str> {
    if input.len() <= INPUT_BYTES_MAX {
        input.into()
    } else {
        format!(r#"{{"truncated": true, "bytes": {}}}"#, input.len()).into()
    }
}
