//! Reads for the API and the CLI. Every answer is bounded by its [`Page`].

use grepx_engine::{FlowRunId, Json, StateType, TaskRunId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::Error;
use super::changes::line_id;
use super::filter::{Conditions, FlowRunFilter, FlowRunSort, Join, LogFilter, Page, TaskRunFilter, TaskRunSort};
use super::rows::{self, FlowRun, LogLine, RUN_COLUMNS, RUN_TABLES, StoredState, THE_RUN, TaskRun, blob};
use super::ways;

pub(super) fn flow_run(sql: &Connection, run: FlowRunId) -> Result<Option<FlowRun>, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT {RUN_COLUMNS} FROM {RUN_TABLES} WHERE r.id = ?"))?;
    Ok(select.query_row([blob(&run.0)], rows::flow_run).optional()?)
}

pub(super) fn flow_runs(
    sql: &Connection,
    filter: &FlowRunFilter,
    sort: FlowRunSort,
    page: Page,
) -> Result<Vec<FlowRun>, Error> {
    if sort == FlowRunSort::NextScheduledStartAsc {
        return scheduled_first(sql, filter, page);
    }
    let Some(page_of) = ways::flow_runs(sql, filter, sort)? else {
        return Ok(Vec::new());
    };
    // The long rows are read for the page only.
    let select = format!(
        "SELECT {RUN_COLUMNS} FROM ({} LIMIT ? OFFSET ?) p CROSS JOIN flow_runs r ON r.rowid = p.number \
         CROSS JOIN run_inputs i ON i.run_id = r.id ORDER BY {}",
        page_of.sql,
        sort.sql()
    );
    paged(sql, &select, page_of.values, page, rows::flow_run)
}

/// Two lists, one after the other.
fn scheduled_first(sql: &Connection, filter: &FlowRunFilter, page: Page) -> Result<Vec<FlowRun>, Error> {
    let scheduled = |yes: bool| {
        let mut filter = filter.clone();
        if [filter.join, filter.state_join, filter.state_type.join].contains(&Join::Any) {
            filter = FlowRunFilter {
                parts: vec![filter],
                ..FlowRunFilter::default()
            };
        }
        let all = StateType::ALL
            .iter()
            .filter(|state| (**state == StateType::Scheduled) == yes);
        let asked = |state: &&StateType| filter.state_type.any.as_ref().is_none_or(|any| any.contains(state));
        let any = all.filter(asked).copied().collect();
        filter.state_type.any = Some(any);
        filter
    };
    let sort = FlowRunSort::ExpectedStartAsc;
    let mut found = flow_runs(sql, &scheduled(true), sort, page)?;
    let left = page
        .limit
        .saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
    if left > 0 {
        let before = match found.is_empty() {
            true => ways::count_flow_runs(sql, &scheduled(true))?,
            false => page.offset,
        };
        let rest = Page {
            limit: left,
            offset: page.offset.saturating_sub(before),
        };
        found.extend(flow_runs(sql, &scheduled(false), sort, rest)?);
    }
    Ok(found)
}

/// A task run by its id, unless its flow run is being removed.
const BY_ID: &str = "id = ? AND run_id NOT IN (SELECT run_id FROM removals)";

pub(super) fn task_run(sql: &Connection, id: TaskRunId) -> Result<Option<TaskRun>, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT * FROM task_runs WHERE {BY_ID}"))?;
    Ok(select.query_row([blob(&id.0)], rows::task_run).optional()?)
}

pub(super) fn task_runs(
    sql: &Connection,
    filter: &TaskRunFilter,
    sort: TaskRunSort,
    page: Page,
) -> Result<Vec<TaskRun>, Error> {
    let Some(page_of) = ways::task_runs(sql, filter, sort)? else {
        return Ok(Vec::new());
    };
    let select = format!(
        "SELECT t.* FROM ({} LIMIT ? OFFSET ?) p CROSS JOIN task_runs t \
         ON t.run_id = p.run_id AND t.task = p.task AND t.item = p.item ORDER BY {}",
        page_of.sql,
        sort.sql()
    );
    paged(sql, &select, page_of.values, page, rows::task_run)
}

pub(super) fn logs(sql: &Connection, filter: &LogFilter, page: Page) -> Result<Vec<LogLine>, Error> {
    let mut conditions = Conditions::default();
    conditions.logs(filter);
    // Within one flow run the key is the order of writing, which needs no sorting.
    let all = [filter.join, filter.run.join] == [Join::All; 2];
    let one_run = all && filter.run.any.as_ref().is_some_and(|any| any.len() == 1);
    let order = match (one_run, filter.newest_first) {
        (true, false) => "l.n",
        (true, true) => "l.n DESC",
        (false, false) => "l.at, l.run_id, l.n",
        (false, true) => "l.at DESC, l.run_id DESC, l.n DESC",
    };
    let select = format!("SELECT * FROM logs l WHERE {} ORDER BY {order}", conditions.sql());
    paged(
        sql,
        &format!("{select} LIMIT ? OFFSET ?"),
        conditions.values,
        page,
        log_line,
    )
}

pub(super) fn log_line(row: &Row<'_>) -> rusqlite::Result<LogLine> {
    let run = FlowRunId(rows::uuid(row, "run_id")?);
    Ok(LogLine {
        id: line_id(run, row.get("n")?),
        run,
        task_run: rows::maybe_uuid(row, "task_run_id")?.map(TaskRunId),
        at: rows::time(row, "at")?,
        level: row.get("level")?,
        logger: row.get("logger")?,
        message: row.get("message")?,
    })
}

pub(super) fn run_states(sql: &Connection, run: FlowRunId) -> Result<Vec<StoredState>, Error> {
    states(sql, run.0, (run.0, THE_RUN, -1))
}

pub(super) fn task_states(sql: &Connection, id: TaskRunId) -> Result<Vec<StoredState>, Error> {
    match key(sql, id)? {
        Some(key) => states(sql, id.0, key),
        None => Ok(Vec::new()),
    }
}

/// Oldest first.
fn states(sql: &Connection, owner: Uuid, (run, task, item): Key) -> Result<Vec<StoredState>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT n, type, name, message, at FROM states WHERE run_id = ? AND task = ? AND item = ? ORDER BY n",
    )?;
    let found = select.query_map(params![blob(&run), task, item], |row| {
        Ok(StoredState {
            id: rows::state_id(owner, row.get(0)?),
            state_type: rows::state_type(row.get_ref(1)?.as_str()?)?,
            name: row.get(2)?,
            message: row.get(3)?,
            since: row.get(4).map(Timestamp)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Flow run, task and item.
type Key = (Uuid, i64, i64);

fn key(sql: &Connection, id: TaskRunId) -> Result<Option<Key>, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT run_id, task, item FROM task_runs WHERE {BY_ID}"))?;
    let found = select.query_row([blob(&id.0)], |row| {
        Ok((rows::uuid(row, "run_id")?, row.get("task")?, row.get("item")?))
    });
    Ok(found.optional()?)
}

pub(super) fn result(sql: &Connection, id: TaskRunId) -> Result<Option<Json>, Error> {
    let Some((run, task, item)) = key(sql, id)? else {
        return Ok(None);
    };
    result_of(sql, run, task, item)
}

pub(super) fn result_of(sql: &Connection, run: Uuid, task: i64, item: i64) -> Result<Option<Json>, Error> {
    let mut select = sql.prepare_cached("SELECT json FROM results WHERE run_id = ? AND task = ? AND item = ?")?;
    let json = select.query_row(params![blob(&run), task, item], |row| rows::parse_json(row.get(0)?));
    Ok(json.optional()?)
}

pub(super) fn definition(sql: &Connection, digest: &str) -> Result<Option<Json>, Error> {
    let mut select = sql.prepare_cached("SELECT json FROM definitions WHERE digest = ?")?;
    let json = select.query_row([digest], |row| rows::parse_json(row.get(0)?));
    Ok(json.optional()?)
}

fn paged<T>(
    sql: &Connection,
    select: &str,
    mut values: Vec<Value>,
    page: Page,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let mut select = sql.prepare_cached(select)?;
    values.push(Value::Integer(page.limit.into()));
    values.push(Value::Integer(i64::try_from(page.offset).unwrap_or(i64::MAX)));
    let found = select.query_map(params_from_iter(values), read)?;
    Ok(found.collect::<Result<_, _>>()?)
}
