//! How many flow runs and task runs there are, by origin and state. A transaction gathers what it
//! changes and adds it before it commits, so the numbers are those of the rows, and a large group of
//! commits writes few of them.
//!
//! They answer counts and choose the way of a list. Absent on purpose: any decision about a run.

use std::collections::BTreeMap;

use rusqlite::{Connection, params, params_from_iter};

use super::Error;
use super::rows;
use super::ways::Clause;

/// What is counted; the value of the column `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    FlowRuns = 0,
    TaskRuns = 1,
}

/// The row that sums over all origins.
pub(super) const EVERY_ORIGIN: i64 = 0;

/// State type and state name.
type State<'a> = (&'a str, &'a str);

/// What a transaction has changed so far.
#[derive(Debug, Default)]
pub(super) struct Tallies(BTreeMap<(Of, i64), BTreeMap<(String, String), i64>>);

impl Tallies {
    pub(super) fn add(&mut self, of: Of, origin: i64, (state_type, name): State<'_>, runs: i64) {
        let states = self.0.entry((of, origin)).or_default();
        *states.entry((state_type.to_owned(), name.to_owned())).or_default() += runs;
    }

    pub(super) fn change(&mut self, of: Of, origin: i64, before: State<'_>, after: State<'_>) {
        if before != after {
            self.add(of, origin, before, -1);
            self.add(of, origin, after, 1);
        }
    }

    /// All runs of one flow run: it goes. How many task runs it has.
    pub(super) fn forget(&mut self, sql: &Connection, run: &[u8]) -> Result<u64, Error> {
        let mut select = sql.prepare_cached("SELECT origin, state_type, state_name FROM flow_runs WHERE id = ?")?;
        let mut found = select.query([run])?;
        let Some(row) = found.next()? else { return Ok(0) };
        let origin = row.get(0)?;
        let (state_type, name): (String, String) = (row.get(1)?, row.get(2)?);
        self.add(Of::FlowRuns, origin, (&state_type, &name), -1);
        let mut tasks = sql.prepare_cached(
            "SELECT state_type, state_name, count(*) AS n FROM task_runs WHERE run_id = ? GROUP BY 1, 2",
        )?;
        let mut found = tasks.query([run])?;
        let mut counted = 0;
        while let Some(row) = found.next()? {
            let (state_type, name): (String, String) = (row.get(0)?, row.get(1)?);
            self.add(Of::TaskRuns, origin, (&state_type, &name), -row.get::<_, i64>(2)?);
            counted += rows::number(row, "n")?;
        }
        Ok(counted)
    }

    /// Into the transaction.
    pub(super) fn write(self, sql: &Connection) -> Result<(), Error> {
        let mut put = sql.prepare_cached(
            "INSERT INTO tallies (of, origin, state_type, state_name, runs) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
        )?;
        let mut sums: BTreeMap<_, i64> = BTreeMap::new();
        for ((of, origin), states) in self.0 {
            for ((state_type, name), runs) in states {
                if runs != 0 {
                    put.execute(params![of as i64, origin, state_type, name, runs])?;
                    *sums.entry((of as i64, state_type, name)).or_default() += runs;
                }
            }
        }
        for ((of, state_type, name), runs) in sums {
            if runs != 0 {
                put.execute(params![of, EVERY_ORIGIN, state_type, name, runs])?;
            }
        }
        Ok(())
    }
}

/// Runs in one state, of so many origins.
#[derive(Debug)]
pub(super) struct InState {
    pub(super) state_type: String,
    pub(super) state_name: String,
    pub(super) runs: i64,
    pub(super) origins: i64,
}

/// In which states there are runs, of the tallies `t` that match.
pub(super) fn in_states(sql: &Connection, of: Of, clause: &Clause) -> Result<Vec<InState>, Error> {
    let mut select = sql.prepare_cached(&format!(
        "SELECT t.state_type, t.state_name, sum(t.runs), count(*) FROM tallies t \
         WHERE t.of = {} AND {} AND t.runs > 0 GROUP BY 1, 2",
        of as i64, clause.sql
    ))?;
    let found = select.query_map(params_from_iter(&clause.values), |row| {
        Ok(InState {
            state_type: row.get(0)?,
            state_name: row.get(1)?,
            runs: row.get(2)?,
            origins: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Where runs are: of one origin in one state.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) origin: i64,
    pub(super) state_type: String,
    pub(super) state_name: String,
}

/// Where there are runs, of the tallies `t` that match.
pub(super) fn places(sql: &Connection, of: Of, clause: &Clause) -> Result<Vec<Place>, Error> {
    let mut select = sql.prepare_cached(&format!(
        "SELECT t.origin, t.state_type, t.state_name FROM tallies t WHERE t.of = {} AND {} AND t.runs > 0",
        of as i64, clause.sql
    ))?;
    let places = select.query_map(params_from_iter(&clause.values), |row| {
        Ok(Place {
            origin: row.get(0)?,
            state_type: row.get(1)?,
            state_name: row.get(2)?,
        })
    })?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Runs in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCount {
    pub state_type: String,
    pub state_name: String,
    pub runs: u64,
}

/// By state, over all origins. States that no run is in any more stay, with 0.
pub(super) fn by_state(sql: &Connection, of: Of) -> Result<Vec<StateCount>, Error> {
    let mut select = sql.prepare_cached(
        "SELECT state_type, state_name, runs AS n FROM tallies WHERE of = ? AND origin = ? ORDER BY 1, 2",
    )?;
    let found = select.query_map(params![of as i64, EVERY_ORIGIN], |row| {
        Ok(StateCount {
            state_type: row.get(0)?,
            state_name: row.get(1)?,
            runs: rows::number(row, "n")?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn all(sql: &Connection, of: Of) -> Result<u64, Error> {
    let mut select = sql.prepare_cached("SELECT ifnull(sum(runs), 0) FROM tallies WHERE of = ? AND origin = ?")?;
    let runs: i64 = select.query_row(params![of as i64, EVERY_ORIGIN], |row| row.get(0))?;
    Ok(u64::try_from(runs).unwrap_or(0))
}

/// Where the tallies are not what the rows say, in words. Reads every run; a run that is being
/// removed counts no more.
pub(super) fn differences(sql: &Connection) -> Result<Vec<String>, Error> {
    let mut beyond = Tallies::default();
    for (of, sign, select) in [
        (
            Of::FlowRuns,
            1,
            "SELECT origin, state_type, state_name, count(*) FROM flow_runs GROUP BY 1, 2, 3",
        ),
        // Added up here: SQLite would sort them all first.
        (
            Of::TaskRuns,
            1,
            "SELECT r.origin, t.state_type, t.state_name, 1 FROM flow_runs r CROSS JOIN task_runs t ON t.run_id = r.id",
        ),
        (
            Of::FlowRuns,
            -1,
            "SELECT origin, state_type, state_name, runs FROM tallies WHERE of = 0",
        ),
        (
            Of::TaskRuns,
            -1,
            "SELECT origin, state_type, state_name, runs FROM tallies WHERE of = 1",
        ),
    ] {
        let mut select = sql.prepare_cached(select)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            let state = (row.get_ref(1)?.as_str(), row.get_ref(2)?.as_str());
            let (state_type, name) = (
                state.0.map_err(rusqlite::Error::from)?,
                state.1.map_err(rusqlite::Error::from)?,
            );
            let (origin, runs): (i64, i64) = (row.get(0)?, row.get(3)?);
            beyond.add(of, origin, (state_type, name), sign * runs);
            if sign > 0 {
                beyond.add(of, EVERY_ORIGIN, (state_type, name), runs);
            }
        }
    }
    let each = beyond
        .0
        .iter()
        .flat_map(|(of, states)| states.iter().map(move |(state, runs)| (of, state, *runs)));
    let wrong = each.filter(|(.., runs)| *runs != 0);
    Ok(wrong
        .map(|((of, origin), state, runs)| difference(*of, *origin, state, runs))
        .collect())
}

fn difference(of: Of, origin: i64, (state_type, name): &(String, String), beyond: i64) -> String {
    let what = match of {
        Of::FlowRuns => "flow runs",
        Of::TaskRuns => "task runs",
    };
    let of_origin = match origin {
        EVERY_ORIGIN => String::new(),
        origin => format!(" of origin {origin}"),
    };
    let than = if beyond > 0 { "more" } else { "fewer" };
    let by = beyond.unsigned_abs();
    format!("{by} {than} {what}{of_origin} are {name} ({state_type}) than are counted")
}
