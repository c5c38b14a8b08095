//! The ways to task runs.

use grepx_engine::StateType;
use rusqlite::Connection;

use super::super::Error;
use super::super::filter::{Choice, FlowRunFilter, Join, TaskRunFilter, TaskRunSort};
use super::super::tallies::{self, Of};
use super::fetch::{Fetch, Fetches, Table};
use super::flow_runs;
use super::origins::{beyond_tallies, of_origins};
use super::{Clause, FETCH_MAX, FETCH_MAX_OF_ALL, Known, Way, count, merge, of_states, unsigned};

const BY_KEY: &str = "sqlite_autoindex_task_runs_1";
const BY_NAME: &str = "task_runs_name";
const BY_STATE: &str = "task_runs_state";

const TABLE: Table = Table {
    from: "task_runs t",
    by_key: BY_KEY,
    key: "(t.run_id, t.task, t.item)",
    tags: "task_run_tags g",
    key_of_tag: "g.run_id, g.task, g.item",
};

/// Keys of the rows that match, in the order of the answer; the statement still wants its LIMIT.
pub(in super::super) fn task_runs(
    sql: &Connection,
    filter: &TaskRunFilter,
    sort: TaskRunSort,
) -> Result<Option<Clause>, Error> {
    let order = sort.sql();
    let asked = Asked::read(sql, filter)?;
    Ok(match asked.way(sql, sort)? {
        Way::Nowhere => None,
        Way::Key => {
            let select = format!(
                "SELECT t.run_id, t.task, t.item FROM task_runs t WHERE {} ORDER BY {order}",
                asked.wanted.sql
            );
            Some(asked.wanted.with(select))
        }
        Way::Index(index, clause) => {
            let clause = clause.and(asked.wanted);
            let select = format!(
                "SELECT t.run_id, t.task, t.item FROM task_runs t INDEXED BY {index} WHERE {} ORDER BY {order}",
                clause.sql
            );
            Some(clause.with(select))
        }
        Way::Merge(places) => {
            let down = sort == TaskRunSort::ExpectedStartDesc;
            let merged = merge(&places, down, |place| {
                let clause = place.clause("t").and(asked.wanted.clone());
                let select = format!(
                    "SELECT t.run_id AS run_id, t.expected_start AS at, t.task AS task, t.item AS item \
                     FROM task_runs t INDEXED BY {BY_STATE} WHERE {}",
                    clause.sql
                );
                clause.with(select)
            });
            let down = if down { " DESC" } else { "" };
            let select = format!("{}, 3{down}, 4{down}", merged.sql);
            Some(merged.with(select))
        }
    })
}

/// A filter, and what has been found out about the flow runs that it asks for.
struct Asked<'a> {
    filter: &'a TaskRunFilter,
    wanted: Clause,
    /// The flow runs, where they are few.
    of_runs: Option<Clause>,
}

impl<'a> Asked<'a> {
    /// What is asked of the flow run is asked for each row where it lets many flow runs through: a
    /// list of them would take longer than the answer.
    fn read(sql: &Connection, filter: &'a TaskRunFilter) -> Result<Self, Error> {
        let own = TaskRunFilter {
            flow_run: None,
            ..filter.clone()
        };
        let own = Clause::of(|conditions| conditions.task_runs(&own));
        let Some(of_run) = &filter.flow_run else {
            return Ok(Self {
                filter,
                wanted: own,
                of_runs: None,
            });
        };
        let of_runs = match flow_runs::of_flow_runs(sql, of_run)? {
            None => Some(Clause::any().with("t.run_id IN (SELECT NULL WHERE 0)".to_owned())),
            Some(source) if source.few => {
                let select = format!(
                    "t.run_id IN (SELECT r.id FROM {} WHERE {})",
                    source.from, source.clause.sql
                );
                Some(source.clause.with(select))
            }
            Some(_) => None,
        };
        let each = of_runs.clone().unwrap_or_else(|| {
            let each = Clause::of(|conditions| conditions.flow_runs(of_run));
            let select = format!(
                "EXISTS (SELECT 1 FROM flow_runs r WHERE r.id = t.run_id AND {})",
                each.sql
            );
            each.with(select)
        });
        Ok(Self {
            filter,
            wanted: own.and(each),
            of_runs,
        })
    }

    fn way(&self, sql: &Connection, sort: TaskRunSort) -> Result<Way, Error> {
        let filter = self.filter;
        if filter.join == Join::Any || by_key(filter) {
            return Ok(Way::Key);
        }
        let known = known(sql, filter)?;
        let Some(least) = self.fewest(sql, index_of(sort), known.as_ref())? else {
            return Ok(Way::Nowhere);
        };
        let in_vain = known.as_ref().is_some_and(|known| in_vain(known, sort));
        if least.rows <= if in_vain { FETCH_MAX_OF_ALL } else { FETCH_MAX } {
            return Ok(Way::Index(least.index, least.clause));
        }
        if matches!(sort, TaskRunSort::ExpectedStartAsc | TaskRunSort::ExpectedStartDesc) {
            let name = &filter.name.choice;
            if name.join == Join::All && name.any.as_ref().is_some_and(|any| any.len() == 1) {
                return Ok(Way::Index(BY_NAME, Clause::any()));
            }
            // Indexes of task runs know of no origin.
            if let Some(known) = known.filter(|known| known.of_every_origin)
                && let Some(places) = known.merged(sql, &self.wanted)?
            {
                return Ok(Way::Merge(places));
            }
        }
        Ok(Way::Index(index_of(sort), Clause::any()))
    }

    fn fewest(&self, sql: &Connection, along: &'static str, known: Option<&Known>) -> Result<Option<Fetch>, Error> {
        let filter = self.filter;
        let mut fetches = Fetches::new(sql, &TABLE, along);
        if let Some(known) = known {
            if known.runs() == 0 {
                return Ok(None);
            }
            // How many there are of these states, of whatever origin.
            let clause = known.state_clause("t");
            let of_states = Known::read(sql, Of::TaskRuns, None, known.state_clause("t"))?;
            fetches.add(of_states.map_or(0, |all| all.runs()), BY_STATE, clause);
        }
        if let Some(of_runs) = &self.of_runs {
            if let Some(rows) = fetches.few(TABLE.from, of_runs)? {
                fetches.add(rows, BY_KEY, Clause::any());
            }
        } else if let Some(of_run) = &filter.flow_run {
            by_origins(sql, of_run, &mut fetches)?;
        }
        fetches.by_tags(&filter.tags)?;
        let name = &filter.name.choice;
        if name.any.is_some() {
            fetches.by(BY_NAME, Clause::of(|conditions| conditions.choice("t.name", name)))?;
        }
        fetches.by_periods([
            (&filter.expected_start, "t.expected_start", "task_runs_expected"),
            (&filter.start_time, "t.start_time", "task_runs_start"),
            (&filter.end_time, "t.end_time", "task_runs_end"),
        ])?;
        Ok(fetches.least())
    }
}

/// Through all flow runs of the origins, where few task runs are of few flow runs.
fn by_origins(sql: &Connection, of_run: &FlowRunFilter, fetches: &mut Fetches<'_>) -> Result<(), Error> {
    let all = |of| Known::read(sql, of, of_origins("t.origin", of_run), Clause::any());
    let (Some(origins), Some(flow_runs), Some(task_runs)) =
        (of_origins("r.origin", of_run), all(Of::FlowRuns)?, all(Of::TaskRuns)?)
    else {
        return Ok(());
    };
    let select = format!("t.run_id IN (SELECT r.id FROM flow_runs r WHERE {})", origins.sql);
    fetches.add(flow_runs.runs().max(task_runs.runs()), BY_KEY, origins.with(select));
    Ok(())
}

fn by_key(filter: &TaskRunFilter) -> bool {
    filter.id.any.is_some() || filter.run.any.is_some()
}

fn known(sql: &Connection, filter: &TaskRunFilter) -> Result<Option<Known>, Error> {
    let state = of_states(filter.state_join, &filter.state_type, &filter.state_name);
    let origins = filter.flow_run.as_ref().and_then(|run| of_origins("t.origin", run));
    Known::read(sql, Of::TaskRuns, origins, state)
}

/// As for flow runs.
fn in_vain(known: &Known, sort: TaskRunSort) -> bool {
    match sort {
        TaskRunSort::StartAsc => known.all_are(|state| state == StateType::Scheduled),
        TaskRunSort::EndDesc => known.all_are(|state| !state.is_terminal()),
        _ => false,
    }
}

const fn index_of(sort: TaskRunSort) -> &'static str {
    match sort {
        TaskRunSort::DefinitionAsc => BY_KEY,
        TaskRunSort::IdDesc => "task_runs_id",
        TaskRunSort::ExpectedStartAsc | TaskRunSort::ExpectedStartDesc => "task_runs_expected",
        TaskRunSort::StartAsc => "task_runs_start",
        TaskRunSort::EndDesc => "task_runs_end",
        TaskRunSort::NameAsc | TaskRunSort::NameDesc => BY_NAME,
    }
}

/// Without reading rows where the tallies say it.
pub(in super::super) fn count_task_runs(sql: &Connection, filter: &TaskRunFilter) -> Result<u64, Error> {
    let mut beyond = TaskRunFilter {
        state_join: Join::All,
        state_type: Choice::default(),
        state_name: Choice::default(),
        ..filter.clone()
    };
    let of_run = beyond.flow_run.take();
    let by_origin = of_run.is_none_or(|run| {
        run.state_type == Choice::default()
            && run.state_name == Choice::default()
            && beyond_tallies(&run) == FlowRunFilter::default()
    });
    if by_origin && beyond == TaskRunFilter::default() {
        return match known(sql, filter)? {
            Some(known) => Ok(unsigned(known.runs())),
            None => tallies::all(sql, Of::TaskRuns),
        };
    }
    let asked = Asked::read(sql, filter)?;
    let along = index_of(TaskRunSort::IdDesc);
    match asked.way(sql, TaskRunSort::IdDesc)? {
        Way::Nowhere => Ok(0),
        Way::Index(index, clause) if index != along => {
            let from = format!("{} INDEXED BY {index}", TABLE.from);
            count(sql, &from, &clause.and(asked.wanted))
        }
        Way::Index(..) | Way::Key | Way::Merge(_) => count(sql, TABLE.from, &asked.wanted),
    }
}
