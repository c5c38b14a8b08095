//! Which way a list or a count is read.
//!
//! SQLite chooses an index without knowing how many rows are behind a value, and a wrong choice in a
//! million flow runs takes seconds. We know, by the tallies and by counting up to a bound: few rows
//! are fetched and sorted; many are read along an index in the order of the answer, which meets
//! enough of them soon; those of a few origins and states are merged from where each lies sorted.
//!
//! A way only says where to look: what it does not choose by itself is asked of every row.

use grepx_engine::StateType;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::Error;
use super::filter::{Choice, Conditions, Join};
use super::tallies::{self, Of, Place};

mod fetch;
mod flow_runs;
mod origins;
mod task_runs;

pub(super) use flow_runs::{count_flow_runs, flow_runs, of_flow_runs};
pub(super) use task_runs::{count_task_runs, task_runs};

/// Rows that are fetched to be sorted at most.
const FETCH_MAX: i64 = if cfg!(test) { 3 } else { 5_000 };
/// The same where it is quick (no row is read, an index has all) or any other way is far longer.
const FETCH_MAX_OF_ALL: i64 = if cfg!(test) { 6 } else { 100_000 };
/// Sorted sources that are merged at most.
const SOURCES_MAX: i64 = 64;
/// Values of a merge at most; SQLite takes 32,766 in a statement.
const VALUES_MAX: usize = 30_000;

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
    fn any() -> Self {
        Self::of(|_| ())
    }

    fn is_any(&self) -> bool {
        self.sql == "1"
    }

    fn and(mut self, other: Self) -> Self {
        self.sql = format!("{} AND {}", self.sql, other.sql);
        self.values.extend(other.values);
        self
    }

    /// The same values for another text.
    fn with(self, sql: String) -> Self {
        Self { sql, ..self }
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

/// Rows to read, and of which table by which index.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) from: String,
    pub(super) clause: Clause,
    /// There are few of them, or few have to be looked at.
    pub(super) few: bool,
}

/// What the tallies know of a filter that says something of origin or state.
struct Known {
    of: Of,
    asked: Clause,
    of_every_origin: bool,
    states: Vec<tallies::InState>,
}

impl Known {
    /// `None` when nothing is said.
    fn read(sql: &Connection, of: Of, origins: Option<Clause>, state: Clause) -> Result<Option<Self>, Error> {
        if origins.is_none() && state.is_any() {
            return Ok(None);
        }
        let of_every_origin = origins.is_none();
        let asked = origins.unwrap_or_else(every_origin).and(state);
        Ok(Some(Self {
            of,
            of_every_origin,
            states: tallies::in_states(sql, of, &asked)?,
            asked,
        }))
    }

    fn runs(&self) -> i64 {
        self.states.iter().map(|state| state.runs).sum()
    }

    /// Their origins and states one by one, if these are few.
    fn places(&self, sql: &Connection) -> Result<Option<Vec<Place>>, Error> {
        let places: i64 = self.states.iter().map(|state| state.origins).sum();
        if places > SOURCES_MAX {
            return Ok(None);
        }
        tallies::places(sql, self.of, &self.asked).map(Some)
    }

    /// As [`Known::places`], to be merged with the rest of the conditions at each.
    fn merged(&self, sql: &Connection, rest: &Clause) -> Result<Option<Vec<Place>>, Error> {
        let places = self.places(sql)?;
        Ok(places.filter(|places| places.len() * (rest.values.len() + 3) <= VALUES_MAX))
    }

    /// The states, each once. Types and names are asked for apart, as an index serves them.
    fn state_clause(&self, table: &str) -> Clause {
        let each = |word: fn(&tallies::InState) -> &String| {
            let mut words: Vec<String> = self.states.iter().map(word).cloned().collect();
            words.sort();
            words.dedup();
            Choice::any(words)
        };
        Clause::of(|conditions| {
            conditions.choice(&format!("{table}.state_type"), &each(|state| &state.state_type));
            conditions.choice(&format!("{table}.state_name"), &each(|state| &state.state_name));
        })
    }

    fn all_are(&self, like: impl Fn(StateType) -> bool) -> bool {
        let mut types = self.states.iter().map(|state| StateType::parse(&state.state_type));
        types.all(|state| state.is_some_and(&like))
    }
}

fn every_origin() -> Clause {
    Clause::any().with(format!("t.origin = {}", tallies::EVERY_ORIGIN))
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

fn count(sql: &Connection, from: &str, clause: &Clause) -> Result<u64, Error> {
    let mut select = sql.prepare_cached(&format!("SELECT count(*) FROM {from} WHERE {}", clause.sql))?;
    let rows: i64 = select.query_row(params_from_iter(&clause.values), |row| row.get(0))?;
    Ok(unsigned(rows))
}

fn unsigned(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

#[cfg(test)]
mod tests;
