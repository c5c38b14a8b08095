//! The ways to task runs.

use rusqlite::Connection;

use super::super::Error;
use super::super::filter::{Choice, FlowRunFilter, Join, Period, TaskRunFilter, TaskRunSort};
use super::super::tallies::{self, Of, Place};
use super::{
    Clause, FETCH_MAX, Fetch, SOURCES_MAX, Way, beyond_tallies, bounds, count, count_up_to, demanded, flow_run_places,
    merge, names_flow_runs, of_origins, of_states, places, states_of, sum,
};

const BY_KEY: &str = "sqlite_autoindex_task_runs_1";
/// Flow runs whose task runs are fetched to be sorted at most.
const FLOW_RUNS_MAX: i64 = 1_000;

/// Keys of the rows that match, in the order of the answer; the statement still wants its LIMIT.
pub(in super::super) fn task_runs(
    sql: &Connection,
    filter: &TaskRunFilter,
    sort: TaskRunSort,
) -> Result<Option<Clause>, Error> {
    let order = sort.sql();
    let wanted = wanted(sql, filter)?;
    Ok(match way(sql, filter, sort)? {
        Way::Nowhere => None,
        Way::Key => {
            let Clause { sql, values } = wanted;
            let sql = format!("SELECT t.run_id, t.task, t.item FROM task_runs t WHERE {sql} ORDER BY {order}");
            Some(Clause { sql, values })
        }
        Way::Index(index, clause) => {
            let Clause { sql, values } = clause.and(wanted);
            let sql = format!(
                "SELECT t.run_id, t.task, t.item FROM task_runs t INDEXED BY {index} WHERE {sql} ORDER BY {order}"
            );
            Some(Clause { sql, values })
        }
        Way::Merge(places) => {
            let down = sort == TaskRunSort::ExpectedStartDesc;
            let Clause { sql, values } = merge(&places, down, |place| {
                let Clause { sql, values } = place.clause("t").and(wanted.clone());
                let sql = format!(
                    "SELECT t.run_id AS run_id, t.expected_start AS at, t.task AS task, t.item AS item \
                     FROM task_runs t INDEXED BY task_runs_state WHERE {sql}"
                );
                Clause { sql, values }
            });
            let down = if down { " DESC" } else { "" };
            Some(Clause {
                sql: format!("{sql}, 3{down}, 4{down}"),
                values,
            })
        }
    })
}

/// The conditions of a filter. Those of the flow run are asked for each row where they let many
/// flow runs through: a list of them would take longer than the answer.
fn wanted(sql: &Connection, filter: &TaskRunFilter) -> Result<Clause, Error> {
    let own = TaskRunFilter {
        flow_run: None,
        ..filter.clone()
    };
    let own = Clause::of(|conditions| conditions.task_runs(&own));
    let Some(of_run) = &filter.flow_run else {
        return Ok(own);
    };
    let of_run = if few_flow_runs(sql, of_run)? {
        let found = super::ids(sql, of_run)?;
        Clause {
            sql: format!("t.run_id IN ({})", found.sql),
            ..found
        }
    } else {
        let each = Clause::of(|conditions| conditions.flow_runs(of_run));
        Clause {
            sql: format!(
                "EXISTS (SELECT 1 FROM flow_runs r WHERE r.id = t.run_id AND {})",
                each.sql
            ),
            ..each
        }
    };
    Ok(own.and(of_run))
}

fn few_flow_runs(sql: &Connection, filter: &FlowRunFilter) -> Result<bool, Error> {
    if filter.join == Join::Any {
        return Ok(false);
    }
    if names_flow_runs(filter) {
        return Ok(true);
    }
    let places = flow_run_places(sql, filter)?;
    Ok(places.is_some_and(|places| places.iter().map(|place| place.runs).sum::<i64>() <= FLOW_RUNS_MAX))
}

fn way(sql: &Connection, filter: &TaskRunFilter, sort: TaskRunSort) -> Result<Way, Error> {
    if filter.join == Join::Any || names_task_runs(filter) {
        return Ok(Way::Key);
    }
    if let Some(of_run) = &filter.flow_run
        && few_flow_runs(sql, of_run)?
    {
        return Ok(Way::Index(BY_KEY, Clause::of(|_| ())));
    }
    let places = task_run_places(sql, filter)?;
    let Some(few) = fewest(sql, filter, sort, places.as_deref())? else {
        return Ok(Way::Nowhere);
    };
    if few.rows <= FETCH_MAX {
        return Ok(Way::Index(few.index, few.clause));
    }
    let by_expected = matches!(sort, TaskRunSort::ExpectedStartAsc | TaskRunSort::ExpectedStartDesc);
    Ok(match (places, &filter.name.choice.any) {
        (_, Some(names)) if by_expected && names.len() == 1 => Way::Index("task_runs_name", Clause::of(|_| ())),
        (Some(places), _) if by_expected && of_all(&places) => Way::Merge(places),
        _ => Way::Index(index_of(sort), Clause::of(|_| ())),
    })
}

/// Indexes of task runs know of no origin.
fn of_all(places: &[Place]) -> bool {
    places.len() <= SOURCES_MAX && places.iter().all(|place| place.origin == tallies::EVERY_ORIGIN)
}

fn names_task_runs(filter: &TaskRunFilter) -> bool {
    filter.id.any.is_some() || filter.run.any.is_some()
}

fn task_run_places(sql: &Connection, filter: &TaskRunFilter) -> Result<Option<Vec<Place>>, Error> {
    let state = of_states(filter.state_join, &filter.state_type, &filter.state_name);
    let origins = filter.flow_run.as_ref().and_then(|run| of_origins("t.origin", run));
    places(sql, Of::TaskRuns, origins, state)
}

fn fewest(
    sql: &Connection,
    filter: &TaskRunFilter,
    sort: TaskRunSort,
    places: Option<&[Place]>,
) -> Result<Option<Fetch>, Error> {
    let mut found = Vec::new();
    if let Some(places) = places {
        let runs: i64 = places.iter().map(|place| place.runs).sum();
        if runs == 0 {
            return Ok(None);
        }
        // How many there are of these states, of whatever origin.
        let clause = states_of(places, "t");
        let rows = super::places(sql, Of::TaskRuns, None, clause.clone())?.unwrap_or_default();
        let rows = rows.iter().map(|place| place.runs).sum();
        found.push(Fetch {
            rows,
            index: "task_runs_state",
            clause,
        });
    }
    for tags in demanded(&filter.tags) {
        let tagged = Clause::of(|conditions| conditions.choice("g.tag", &Choice::any(tags)));
        let rows = count_up_to(sql, "task_run_tags g", &tagged)?;
        let clause = Clause {
            sql: format!(
                "(t.run_id, t.task, t.item) IN (SELECT g.run_id, g.task, g.item FROM task_run_tags g WHERE {})",
                tagged.sql
            ),
            values: tagged.values,
        };
        found.push(Fetch {
            rows,
            index: BY_KEY,
            clause,
        });
    }
    let named = filter.name.choice.any.as_ref();
    if named.is_some() {
        let clause = Clause::of(|conditions| conditions.choice("t.name", &filter.name.choice));
        let rows = count_up_to(sql, "task_runs t INDEXED BY task_runs_name", &clause)?;
        found.push(Fetch {
            rows,
            index: "task_runs_name",
            clause,
        });
    }
    for (period, column, index) in periods(filter) {
        if index != index_of(sort) && bounds(period) {
            let clause = Clause::of(|conditions| conditions.period(column, period));
            let rows = count_up_to(sql, &format!("task_runs t INDEXED BY {index}"), &clause)?;
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

fn periods(filter: &TaskRunFilter) -> [(&Period, &'static str, &'static str); 3] {
    [
        (&filter.expected_start, "t.expected_start", "task_runs_expected"),
        (&filter.start_time, "t.start_time", "task_runs_start"),
        (&filter.end_time, "t.end_time", "task_runs_end"),
    ]
}

const fn index_of(sort: TaskRunSort) -> &'static str {
    match sort {
        TaskRunSort::DefinitionAsc => BY_KEY,
        TaskRunSort::IdDesc => "task_runs_id",
        TaskRunSort::ExpectedStartAsc | TaskRunSort::ExpectedStartDesc => "task_runs_expected",
        TaskRunSort::StartAsc => "task_runs_start",
        TaskRunSort::EndDesc => "task_runs_end",
        TaskRunSort::NameAsc | TaskRunSort::NameDesc => "task_runs_name",
    }
}

/// Without reading rows where the tallies say it.
pub(in super::super) fn count_task_runs(sql: &Connection, filter: &TaskRunFilter) -> Result<u64, Error> {
    let wanted = wanted(sql, filter)?;
    if filter.join == Join::Any || names_task_runs(filter) {
        return count(sql, "task_runs t", &wanted);
    }
    let mut beyond = TaskRunFilter {
        state_join: Join::All,
        state_type: Choice::default(),
        state_name: Choice::default(),
        ..filter.clone()
    };
    let places = task_run_places(sql, filter)?;
    let of_run = beyond.flow_run.take();
    let by_origin = of_run.is_none_or(|run| {
        run.state_type == Choice::default()
            && run.state_name == Choice::default()
            && beyond_tallies(&run) == FlowRunFilter::default()
    });
    if by_origin && beyond == TaskRunFilter::default() {
        return match places {
            Some(places) => Ok(sum(&places)),
            None => tallies::all(sql, Of::TaskRuns),
        };
    }
    match way(sql, filter, TaskRunSort::IdDesc)? {
        Way::Nowhere => Ok(0),
        Way::Index(index, clause) if index != index_of(TaskRunSort::IdDesc) => {
            count(sql, &format!("task_runs t INDEXED BY {index}"), &clause.and(wanted))
        }
        Way::Index(..) | Way::Key | Way::Merge(_) => count(sql, "task_runs t", &wanted),
    }
}
