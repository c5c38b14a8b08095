//! The ways to flow runs.

use grepx_engine::StateType;
use rusqlite::Connection;

use super::super::Error;
use super::super::filter::{Choice, FlowRunFilter, FlowRunSort, Join, Period};
use super::super::tallies::{self, Of, Place};
use super::fetch::{Fetch, Fetches, Table, demanded};
use super::origins::{beyond_tallies, of_origins};
use super::{Clause, FETCH_MAX, FETCH_MAX_OF_ALL, Known, Source, Way, count, merge, of_states, unsigned};

const BY_KEY: &str = "sqlite_autoindex_flow_runs_1";
/// Where they come from and their state, then all times.
const BY_ORIGIN: &str = "flow_runs_origin";
const BY_STATE: &str = "flow_runs_state";

const TABLE: Table = Table {
    from: "flow_runs r",
    by_key: BY_KEY,
    key: "r.id",
    tags: "flow_run_tags g",
    key_of_tag: "g.run_id",
};

/// Row numbers of the rows that match, in the order of the answer; the statement still wants its
/// LIMIT.
pub(in super::super) fn flow_runs(
    sql: &Connection,
    filter: &FlowRunFilter,
    sort: FlowRunSort,
) -> Result<Option<Clause>, Error> {
    let rest = Clause::of(|conditions| conditions.flow_runs(&beyond_tallies(filter)));
    let wanted = || Clause::of(|conditions| conditions.flow_runs(filter));
    let order = sort.sql();
    Ok(match way(sql, filter, sort, &rest)? {
        Way::Nowhere => None,
        Way::Key => {
            let wanted = wanted();
            let select = format!(
                "SELECT r.rowid AS number FROM flow_runs r WHERE {} ORDER BY {order}",
                wanted.sql
            );
            Some(wanted.with(select))
        }
        Way::Index(index, clause) => {
            let chosen = index == BY_ORIGIN && filter.state_join == Join::All;
            let clause = clause.and(if chosen { rest } else { wanted() });
            let select = format!(
                "SELECT r.rowid AS number FROM flow_runs r INDEXED BY {index} WHERE {} ORDER BY {order}",
                clause.sql
            );
            Some(clause.with(select))
        }
        Way::Merge(places) => {
            let down = sort == FlowRunSort::ExpectedStartDesc;
            Some(merge(&places, down, |place| {
                let (index, clause) = of_place(place);
                let clause = clause.and(rest.clone());
                let select = format!(
                    "SELECT r.rowid AS number, r.expected_start FROM flow_runs r INDEXED BY {index} WHERE {}",
                    clause.sql
                );
                clause.with(select)
            }))
        }
    })
}

fn way(sql: &Connection, filter: &FlowRunFilter, sort: FlowRunSort, rest: &Clause) -> Result<Way, Error> {
    if let Some(way) = named(filter) {
        return Ok(way);
    }
    let known = known(sql, filter)?;
    let Some(least) = fewest(sql, filter, index_of(sort), known.as_ref())? else {
        return Ok(Way::Nowhere);
    };
    let quick = least.index == BY_ORIGIN && rest.is_any() && filter.state_join == Join::All && by_time(sort);
    let in_vain = known.as_ref().is_some_and(|known| in_vain(known, sort));
    let fetch_max = if quick || in_vain { FETCH_MAX_OF_ALL } else { FETCH_MAX };
    if least.rows <= fetch_max {
        return Ok(Way::Index(least.index, least.clause));
    }
    let by_expected = matches!(sort, FlowRunSort::ExpectedStartAsc | FlowRunSort::ExpectedStartDesc);
    if by_expected
        && let Some(known) = known
        && let Some(places) = known.merged(sql, rest)?
    {
        return Ok(Way::Merge(places));
    }
    Ok(Way::Index(index_of(sort), Clause::any()))
}

/// Where the rows that match are, in no order; `None` when there are none.
pub(in super::super) fn of_flow_runs(sql: &Connection, filter: &FlowRunFilter) -> Result<Option<Source>, Error> {
    of_known(sql, filter, known(sql, filter)?.as_ref())
}

fn of_known(sql: &Connection, filter: &FlowRunFilter, known: Option<&Known>) -> Result<Option<Source>, Error> {
    let wanted = Clause::of(|conditions| conditions.flow_runs(filter));
    let indexed = |index: &str, clause: Clause, wanted: Clause| Source {
        from: format!("{} INDEXED BY {index}", TABLE.from),
        clause: clause.and(wanted),
        few: true,
    };
    let unnamed = |wanted: Clause, few: bool| Source {
        from: TABLE.from.to_owned(),
        clause: wanted,
        few,
    };
    match named(filter) {
        Some(Way::Nowhere) => return Ok(None),
        Some(Way::Index(index, clause)) => return Ok(Some(indexed(index, clause, wanted))),
        Some(Way::Key | Way::Merge(_)) => return Ok(Some(unnamed(wanted, filter.join == Join::All))),
        None => {}
    }
    let least = fewest(sql, filter, BY_KEY, known)?;
    Ok(least.map(|least| match least.rows <= FETCH_MAX {
        true => indexed(least.index, least.clause, wanted),
        false => unnamed(wanted, false),
    }))
}

/// As the filter itself has it.
fn named(filter: &FlowRunFilter) -> Option<Way> {
    if filter.join == Join::Any || by_key(filter) {
        return Some(Way::Key);
    }
    let keys = &filter.idempotency_key;
    let any = keys.any.as_ref().filter(|_| keys.join == Join::All)?;
    if any.is_empty() {
        return Some(Way::Nowhere);
    }
    // Such a key is one within a flow, and so the index begins with the flow.
    let clause = Clause::of(|conditions| {
        conditions.raw("r.flow_id IN (SELECT o.flow_id FROM origins o) AND r.idempotency_key IS NOT NULL");
        conditions.choice("r.idempotency_key", keys);
    });
    Some(Way::Index("flow_runs_once", clause))
}

/// By something that an index begins with and few rows have in common.
fn by_key(filter: &FlowRunFilter) -> bool {
    filter.id.any.is_some()
        || filter.name.choice.any.is_some()
        || filter.parent_run.any.is_some()
        || filter.parent_task_run.any.is_some()
        || filter.task_run.as_ref().is_some_and(|task| task.id.any.is_some())
}

fn known(sql: &Connection, filter: &FlowRunFilter) -> Result<Option<Known>, Error> {
    if filter.join == Join::Any {
        return Ok(None);
    }
    let state = of_states(filter.state_join, &filter.state_type, &filter.state_name);
    Known::read(sql, Of::FlowRuns, of_origins("t.origin", filter), state)
}

fn of_place(place: &Place) -> (&'static str, Clause) {
    let index = match place.origin {
        tallies::EVERY_ORIGIN => BY_STATE,
        _ => BY_ORIGIN,
    };
    (index, place.clause("r"))
}

fn fewest(
    sql: &Connection,
    filter: &FlowRunFilter,
    along: &'static str,
    known: Option<&Known>,
) -> Result<Option<Fetch>, Error> {
    let mut fetches = Fetches::new(sql, &TABLE, along);
    if let Some(known) = known {
        let states = known.state_clause("r");
        match of_origins("r.origin", filter) {
            Some(origins) => fetches.add(known.runs(), BY_ORIGIN, origins.and(states)),
            None => fetches.add(known.runs(), BY_STATE, states),
        }
    }
    fetches.by_tags(&filter.tags)?;
    fetches.by_periods([
        (&filter.expected_start, "r.expected_start", "flow_runs_expected"),
        (&filter.start_time, "r.start_time", "flow_runs_start"),
        (&filter.end_time, "r.end_time", "flow_runs_end"),
    ])?;
    Ok(fetches.least())
}

/// Whether one walks past all that have the time by which is sorted, and none of them is asked for.
fn in_vain(known: &Known, sort: FlowRunSort) -> bool {
    match sort {
        FlowRunSort::StartAsc | FlowRunSort::StartDesc => known.all_are(|state| state == StateType::Scheduled),
        FlowRunSort::EndDesc => known.all_are(|state| !state.is_terminal()),
        _ => false,
    }
}

/// By what the index of the origins has.
const fn by_time(sort: FlowRunSort) -> bool {
    !matches!(sort, FlowRunSort::IdDesc | FlowRunSort::NameAsc | FlowRunSort::NameDesc)
}

const fn index_of(sort: FlowRunSort) -> &'static str {
    match sort {
        FlowRunSort::IdDesc => BY_KEY,
        FlowRunSort::ExpectedStartAsc | FlowRunSort::ExpectedStartDesc | FlowRunSort::NextScheduledStartAsc => {
            "flow_runs_expected"
        }
        FlowRunSort::StartAsc | FlowRunSort::StartDesc => "flow_runs_start",
        FlowRunSort::EndDesc => "flow_runs_end",
        FlowRunSort::NameAsc | FlowRunSort::NameDesc => "flow_runs_name",
    }
}

/// Without reading rows where the tallies say it, or where an index has all that is asked.
pub(in super::super) fn count_flow_runs(sql: &Connection, filter: &FlowRunFilter) -> Result<u64, Error> {
    let known = known(sql, filter)?;
    let mut beyond = beyond_tallies(filter);
    if beyond == FlowRunFilter::default() {
        return match known {
            Some(known) => Ok(unsigned(known.runs())),
            None => tallies::all(sql, Of::FlowRuns),
        };
    }
    if let [tags] = demanded(&filter.tags).as_slice()
        && is_of_tags(filter)
    {
        return count_tagged(sql, tags);
    }
    let expected = std::mem::take(&mut beyond.expected_start);
    if beyond == FlowRunFilter::default()
        && let Some(runs) = count_expected(sql, known.as_ref(), &expected)?
    {
        return Ok(runs);
    }
    match of_known(sql, filter, known.as_ref())? {
        Some(source) => count(sql, &source.from, &source.clause),
        None => Ok(0),
    }
}

/// Whether a filter asks for one of these tags, and for nothing else.
fn is_of_tags(filter: &FlowRunFilter) -> bool {
    let only = FlowRunFilter {
        tags: filter.tags.clone(),
        ..FlowRunFilter::default()
    };
    *filter == only && filter.tags.is_null.is_none()
}

/// A run that is being removed keeps its tags for a while.
fn count_tagged(sql: &Connection, tags: &[String]) -> Result<u64, Error> {
    let tagged = Clause::of(|conditions| {
        conditions.choice("g.tag", &Choice::any(tags));
        conditions.raw("g.run_id NOT IN (SELECT run_id FROM removals)");
    });
    match tags {
        [_] => count(sql, TABLE.tags, &tagged),
        _ => count(
            sql,
            &format!("(SELECT DISTINCT g.run_id FROM {} WHERE {})", TABLE.tags, tagged.sql),
            &tagged.with("1".to_owned()),
        ),
    }
}

/// Where an index has their states and times.
fn count_expected(sql: &Connection, known: Option<&Known>, expected: &Period) -> Result<Option<u64>, Error> {
    let within = Clause::of(|conditions| conditions.period("r.expected_start", expected));
    let Some(known) = known else {
        return count(sql, "flow_runs r INDEXED BY flow_runs_expected", &within).map(Some);
    };
    let Some(places) = known.places(sql)? else {
        return Ok(None);
    };
    let mut runs = 0;
    for place in &places {
        let (index, clause) = of_place(place);
        let from = format!("{} INDEXED BY {index}", TABLE.from);
        runs += count(sql, &from, &clause.and(within.clone()))?;
    }
    Ok(Some(runs))
}
