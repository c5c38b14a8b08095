//! Which way a list or a count is read.
//!
//! SQLite chooses an index without knowing how many rows are behind a value, and a wrong choice in a
//! million flow runs takes seconds. We know, by the tallies and by counting up to a bound: few rows
//! are fetched and sorted; many are read along an index in the order of the answer, which meets
//! enough of them soon; those of a few origins and states are merged from where each lies sorted.
//!
//! A way only says where to look: every condition is still put to every row.

use std::collections::BTreeSet;

use grepx_engine::StateType;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::Error;
use super::filter::{Choice, Conditions, FlowRunFilter, FlowRunSort, Join, Period, Tags};
use super::tallies::{self, Of, Place};

mod task_runs;

pub(super) use task_runs::{count_task_runs, task_runs};

/// Rows that are fetched to be sorted at most.
const FETCH_MAX: i64 = if cfg!(test) { 3 } else { 5_000 };
/// The same where an index has all that is asked and sorted by, so that no row is read.
const COVERED_MAX: i64 = if cfg!(test) { 6 } else { 100_000 };
const BY_ORIGIN: &str = "flow_runs_origin";
/// Sorted sources that are merged at most.
const SOURCES_MAX: usize = 64;

/// A condition with its values.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Clause {
    fn of(fill: impl FnOnce(&mut Conditions)) -> Self {
        let mut conditions = Conditions::default();
        fill(&mut conditions);
        Self {
            sql: conditions.sql(),
            values: conditions.values,
        }
    }

    /// Nothing is asked.
    fn is_any(&self) -> bool {
        self.sql == "1"
    }

    fn and(mut self, other: Self) -> Self {
        self.sql = format!("{} AND {}", self.sql, other.sql);
        self.values.extend(other.values);
        self
    }
}

#[derive(Debug)]
enum Way {
    /// No row can match.
    Nowhere,
    /// Rows are named by a key: SQLite finds it.
    Key,
    /// Along or through one index, by a condition that it serves.
    Index(&'static str, Clause),
    Merge(Vec<Place>),
}

/// A way to rows that have to be sorted, and how many there are: one more than [`FETCH_MAX`] is many.
struct Fetch {
    rows: i64,
    index: &'static str,
    clause: Clause,
}

/// Numbers of the rows that match, in the order of the answer; the statement still wants its LIMIT.
pub(super) fn flow_runs(sql: &Connection, filter: &FlowRunFilter, sort: FlowRunSort) -> Result<Option<Clause>, Error> {
    // Where rows come from and their state is what the ways by tallies choose by.
    let beyond = beyond_tallies(filter);
    let rest = Clause::of(|conditions| conditions.flow_runs(&beyond));
    let wanted = Clause::of(|conditions| conditions.flow_runs(filter));
    let order = sort.sql();
    Ok(match flow_run_way(sql, filter, sort)? {
        Way::Nowhere => None,
        Way::Key => Some(Clause {
            sql: format!(
                "SELECT r.rowid AS place FROM flow_runs r WHERE {} ORDER BY {order}",
                wanted.sql
            ),
            ..wanted
        }),
        Way::Index(index, clause) => {
            let wanted = if index == BY_ORIGIN { rest } else { wanted };
            let Clause { sql, values } = clause.and(wanted);
            let sql =
                format!("SELECT r.rowid AS place FROM flow_runs r INDEXED BY {index} WHERE {sql} ORDER BY {order}");
            Some(Clause { sql, values })
        }
        Way::Merge(places) => {
            let down = sort == FlowRunSort::ExpectedStartDesc;
            Some(merge(&places, down, |place| {
                let (index, clause) = place.of_flow_runs();
                let Clause { sql, values } = clause.and(rest.clone());
                let sql = format!(
                    "SELECT r.rowid AS place, r.expected_start FROM flow_runs r INDEXED BY {index} WHERE {sql}"
                );
                Clause { sql, values }
            }))
        }
    })
}

/// Ids of the flow runs that match, of which there are few.
fn ids(sql: &Connection, filter: &FlowRunFilter) -> Result<Clause, Error> {
    let wanted = Clause::of(|conditions| conditions.flow_runs(filter));
    Ok(match flow_run_way(sql, filter, FlowRunSort::IdDesc)? {
        Way::Nowhere => Clause {
            sql: "SELECT NULL WHERE 0".to_owned(),
            values: Vec::new(),
        },
        Way::Index(index, clause) => {
            let Clause { sql, values } = clause.and(wanted);
            let sql = format!("SELECT r.id FROM flow_runs r INDEXED BY {index} WHERE {sql}");
            Clause { sql, values }
        }
        Way::Key | Way::Merge(_) => Clause {
            sql: format!("SELECT r.id FROM flow_runs r WHERE {}", wanted.sql),
            ..wanted
        },
    })
}

fn merge(places: &[Place], down: bool, select: impl Fn(&Place) -> Clause) -> Clause {
    let (mut parts, mut values) = (Vec::new(), Vec::new());
    for place in places {
        let part = select(place);
        parts.push(part.sql);
        values.extend(part.values);
    }
    let down = if down { " DESC" } else { "" };
    let sql = format!("{} ORDER BY 2{down}, 1{down}", parts.join(" UNION ALL "));
    Clause { sql, values }
}

impl Place {
    /// Its rows, by the columns that an index begins with.
    fn clause(&self, table: &str) -> Clause {
        let mut values = Vec::new();
        let mut sql = String::new();
        if self.origin != tallies::EVERY_ORIGIN {
            sql = format!("{table}.origin = ? AND ");
            values.push(Value::Integer(self.origin));
        }
        sql.push_str(&format!("{table}.state_type = ? AND {table}.state_name = ?"));
        values.push(Value::Text(self.state_type.clone()));
        values.push(Value::Text(self.state_name.clone()));
        Clause { sql, values }
    }

    fn of_flow_runs(&self) -> (&'static str, Clause) {
        let index = match self.origin {
            tallies::EVERY_ORIGIN => "flow_runs_state",
            _ => BY_ORIGIN,
        };
        (index, self.clause("r"))
    }
}

fn flow_run_way(sql: &Connection, filter: &FlowRunFilter, sort: FlowRunSort) -> Result<Way, Error> {
    if filter.join == Join::Any || names_flow_runs(filter) {
        return Ok(Way::Key);
    }
    let places = flow_run_places(sql, filter)?;
    let Some(few) = fewest(sql, filter, sort, places.as_deref())? else {
        return Ok(Way::Nowhere);
    };
    let covered = few.index == BY_ORIGIN && beyond_tallies(filter) == FlowRunFilter::default();
    if few.rows <= if covered { COVERED_MAX } else { FETCH_MAX } {
        return Ok(Way::Index(few.index, few.clause));
    }
    let by_expected = matches!(sort, FlowRunSort::ExpectedStartAsc | FlowRunSort::ExpectedStartDesc);
    Ok(match places {
        Some(places) if by_expected && places.len() <= SOURCES_MAX => Way::Merge(places),
        _ => Way::Index(index_of(sort), Clause::of(|_| ())),
    })
}

/// By something of which only few have the same value.
fn names_flow_runs(filter: &FlowRunFilter) -> bool {
    filter.id.any.is_some()
        || filter.name.choice.any.is_some()
        || filter.parent_run.any.is_some()
        || filter.parent_task_run.any.is_some()
        || filter.idempotency_key.any.is_some()
        || filter.task_run.as_ref().is_some_and(|task| task.id.any.is_some())
}

/// What a filter says of where flow runs come from, and nothing else.
fn origin_part(filter: &FlowRunFilter) -> FlowRunFilter {
    FlowRunFilter {
        join: filter.join,
        flow_id: filter.flow_id.clone(),
        flow_name: filter.flow_name.clone(),
        deployment_id: filter.deployment_id.clone(),
        deployment_name: filter.deployment_name.clone(),
        work_pool: filter.work_pool.clone(),
        work_queue: filter.work_queue.clone(),
        parts: filter
            .parts
            .iter()
            .filter(|part| is_of_origins(part))
            .cloned()
            .collect(),
        ..FlowRunFilter::default()
    }
}

fn is_of_origins(filter: &FlowRunFilter) -> bool {
    *filter == origin_part(filter)
}

fn origins(conditions: &mut Conditions, filter: &FlowRunFilter) {
    conditions.nested(filter.join, |all| {
        all.choice("o.flow_id", &filter.flow_id);
        all.text("o.flow_name", &filter.flow_name);
        all.choice("o.deployment_id", &filter.deployment_id);
        all.text("o.deployment_name", &filter.deployment_name);
        all.choice("o.work_pool", &filter.work_pool);
        all.choice("o.work_queue", &filter.work_queue);
        for part in &filter.parts {
            origins(all, part);
        }
    });
}

/// The origins that are asked for, if any are.
fn of_origins(column: &str, filter: &FlowRunFilter) -> Option<Clause> {
    if filter.join == Join::Any {
        return None;
    }
    let Clause { sql, values } = Clause::of(|conditions| origins(conditions, &origin_part(filter)));
    (sql != "1").then(|| Clause {
        sql: format!("{column} IN (SELECT o.id FROM origins o WHERE {sql})"),
        values,
    })
}

/// The states that are asked for, of the tallies `t`.
fn of_states(join: Join, types: &Choice<StateType>, names: &Choice<String>) -> Clause {
    Clause::of(|conditions| {
        conditions.nested(join, |state| {
            state.choice("t.state_type", types);
            state.choice("t.state_name", names);
        });
    })
}

/// What the tallies know of a filter; `None` when it says nothing of origin and state.
fn flow_run_places(sql: &Connection, filter: &FlowRunFilter) -> Result<Option<Vec<Place>>, Error> {
    if filter.join == Join::Any {
        return Ok(None);
    }
    let state = of_states(filter.state_join, &filter.state_type, &filter.state_name);
    places(sql, Of::FlowRuns, of_origins("t.origin", filter), state)
}

fn places(sql: &Connection, of: Of, origins: Option<Clause>, state: Clause) -> Result<Option<Vec<Place>>, Error> {
    if origins.is_none() && state.is_any() {
        return Ok(None);
    }
    let origins = origins.unwrap_or_else(|| Clause {
        sql: format!("t.origin = {}", tallies::EVERY_ORIGIN),
        values: Vec::new(),
    });
    tallies::places(sql, of, &origins.and(state)).map(Some)
}

/// The way to the fewest rows; `None` when there are none. With more than [`FETCH_MAX`] it is none.
fn fewest(
    sql: &Connection,
    filter: &FlowRunFilter,
    sort: FlowRunSort,
    places: Option<&[Place]>,
) -> Result<Option<Fetch>, Error> {
    let mut found = Vec::new();
    if let Some(places) = places {
        let states = states_of(places, "r");
        let (index, clause) = match of_origins("r.origin", filter) {
            Some(origins) => (BY_ORIGIN, origins.and(states)),
            None => ("flow_runs_state", states),
        };
        let rows = places.iter().map(|place| place.runs).sum();
        found.push(Fetch { rows, index, clause });
    }
    for tags in demanded(&filter.tags) {
        let tagged = Clause::of(|conditions| conditions.choice("g.tag", &Choice::any(tags)));
        let rows = count_up_to(sql, "flow_run_tags g", &tagged)?;
        let clause = Clause {
            sql: format!("r.id IN (SELECT g.run_id FROM flow_run_tags g WHERE {})", tagged.sql),
            values: tagged.values,
        };
        found.push(Fetch {
            rows,
            index: "sqlite_autoindex_flow_runs_1",
            clause,
        });
    }
    let periods = [
        (&filter.expected_start, "r.expected_start", "flow_runs_expected"),
        (&filter.start_time, "r.start_time", "flow_runs_start"),
        (&filter.end_time, "r.end_time", "flow_runs_end"),
    ];
    for (period, column, index) in periods {
        if index != index_of(sort) && bounds(period) {
            let clause = Clause::of(|conditions| conditions.period(column, period));
            let rows = count_up_to(sql, &format!("flow_runs r INDEXED BY {index}"), &clause)?;
            found.push(Fetch { rows, index, clause });
        }
    }
    let none = Fetch {
        rows: i64::MAX,
        index: index_of(sort),
        clause: Clause::of(|_| ()),
    };
    let fewest = found.into_iter().chain([none]).min_by_key(|fetch| fetch.rows);
    Ok(fewest.filter(|fetch| fetch.rows > 0))
}

/// The states of the places, each once.
fn states_of(places: &[Place], table: &str) -> Clause {
    let types: BTreeSet<_> = places.iter().map(|place| place.state_type.clone()).collect();
    let names: BTreeSet<_> = places.iter().map(|place| place.state_name.clone()).collect();
    Clause::of(|conditions| {
        let types = Choice::any(types.into_iter().collect::<Vec<_>>());
        conditions.choice(&format!("{table}.state_type"), &types);
        let names = Choice::any(names.into_iter().collect::<Vec<_>>());
        conditions.choice(&format!("{table}.state_name"), &names);
    })
}

/// Lists of tags, of each of which a run has to have one.
fn demanded(tags: &Tags) -> Vec<Vec<String>> {
    if tags.join == Join::Any {
        return Vec::new();
    }
    let all = tags.all.iter().flatten().map(|tag| vec![tag.clone()]);
    all.chain(tags.any.clone()).collect()
}

fn bounds(period: &Period) -> bool {
    period.after.is_some() || period.before.is_some()
}

/// Rows, counted up to one more than are fetched.
fn count_up_to(sql: &Connection, table: &str, clause: &Clause) -> Result<i64, Error> {
    let select = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {} LIMIT {})",
        clause.sql,
        FETCH_MAX + 1
    );
    let mut select = sql.prepare_cached(&select)?;
    Ok(select.query_row(params_from_iter(&clause.values), |row| row.get(0))?)
}

const fn index_of(sort: FlowRunSort) -> &'static str {
    match sort {
        FlowRunSort::IdDesc => "sqlite_autoindex_flow_runs_1",
        FlowRunSort::ExpectedStartAsc | FlowRunSort::ExpectedStartDesc | FlowRunSort::NextScheduledStartAsc => {
            "flow_runs_expected"
        }
        FlowRunSort::StartAsc | FlowRunSort::StartDesc => "flow_runs_start",
        FlowRunSort::EndDesc => "flow_runs_end",
        FlowRunSort::NameAsc | FlowRunSort::NameDesc => "flow_runs_name",
    }
}

/// A filter without what the tallies know.
fn beyond_tallies(filter: &FlowRunFilter) -> FlowRunFilter {
    let none = FlowRunFilter::default();
    FlowRunFilter {
        flow_id: none.flow_id,
        flow_name: none.flow_name,
        deployment_id: none.deployment_id,
        deployment_name: none.deployment_name,
        work_pool: none.work_pool,
        work_queue: none.work_queue,
        state_join: none.state_join,
        state_type: none.state_type,
        state_name: none.state_name,
        parts: filter
            .parts
            .iter()
            .filter(|part| !is_of_origins(part))
            .cloned()
            .collect(),
        ..filter.clone()
    }
}

/// Without reading rows where the tallies say it, or where an index has all that is asked.
pub(super) fn count_flow_runs(sql: &Connection, filter: &FlowRunFilter) -> Result<u64, Error> {
    let wanted = Clause::of(|conditions| conditions.flow_runs(filter));
    if filter.join == Join::Any || names_flow_runs(filter) {
        return count(sql, "flow_runs r", &wanted);
    }
    let places = flow_run_places(sql, filter)?;
    let mut beyond = beyond_tallies(filter);
    if beyond == FlowRunFilter::default() {
        return match places {
            Some(places) => Ok(sum(&places)),
            None => tallies::all(sql, Of::FlowRuns),
        };
    }
    let expected = std::mem::take(&mut beyond.expected_start);
    if beyond == FlowRunFilter::default() {
        let within = Clause::of(|conditions| conditions.period("r.expected_start", &expected));
        match places {
            None => return count(sql, "flow_runs r INDEXED BY flow_runs_expected", &within),
            Some(places) if places.len() <= SOURCES_MAX => {
                let mut runs = 0;
                for place in &places {
                    let (index, clause) = place.of_flow_runs();
                    runs += count(
                        sql,
                        &format!("flow_runs r INDEXED BY {index}"),
                        &clause.and(within.clone()),
                    )?;
                }
                return Ok(runs);
            }
            Some(_) => {}
        }
    }
    match fewest(sql, filter, FlowRunSort::IdDesc, places.as_deref())? {
        None => Ok(0),
        Some(few) if few.rows <= FETCH_MAX => count(
            sql,
            &format!("flow_runs r INDEXED BY {}", few.index),
            &few.clause.and(wanted),
        ),
        Some(_) => count(sql, "flow_runs r", &wanted),
    }
}

fn sum(places: &[Place]) -> u64 {
    u64::try_from(places.iter().map(|place| place.runs).sum::<i64>()).unwrap_or(0)
}

fn count(sql: &Connection, table: &str, clause: &Clause) -> Result<u64, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT count(*) FROM {table} WHERE {}", clause.sql))?;
    let rows: i64 = select.query_row(params_from_iter(&clause.values), |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

#[cfg(test)]
mod tests;
