use std::collections::HashMap;
use std::path::Path;

use grepx_engine::Timestamp;
use uuid::Uuid;

use super::{Roster, Switches};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::definitions::{Catalog, Files, KindProblem, Kinds, Timings, compile, rows_of};
use crate::store::{Progress, ScheduleRow};

struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &serde_json::Value, _: bool) -> Result<(), KindProblem> {
        Ok(())
    }
}

const HOURLY: &str = "schedule_type: interval, schedule_config: {interval_seconds: 3600, anchor_date: '2026-01-01T00:00:00Z', timezone: UTC}";

fn catalog(deployment: &str) -> Catalog {
    let text = format!(
        "prefect_work_pools: [{{name: p}}]\nprefect_flows: [{{name: f}}]\nprefect_tasks: [{{name: t, flow_name: f, celery_task_name: x}}]\n\
prefect_deployments: [{{name: d, flow_name: f, work_pool_name: p, {deployment}}}]\n"
    );
    let files = Files::parse(Path::new("all.yaml"), &text).expect("valid YAML");
    let catalog = compile(&rows_of(&files).expect("rows"), &AnyKind, &Timings::default());
    assert!(catalog.problems.is_empty(), "{:?}", catalog.problems);
    catalog
}

fn at(text: &str) -> Timestamp {
    parse_rfc3339(&format!("2026-03-01T{text}Z")).expect("a time")
}

fn sync(roster: &mut Roster, catalog: &Catalog, stored: Vec<ScheduleRow>, now: &str) -> super::Gone {
    let mut stored: HashMap<_, _> = stored.into_iter().map(|row| (row.id, row)).collect();
    roster.sync(catalog, &Switches::new(), &mut stored, at(now))
}

fn only(catalog: &Catalog) -> Uuid {
    catalog.deployments[0].schedules[0].id
}

/// Starts of the planned runs that one planning gives.
fn planned(roster: &mut Roster, now: &str) -> (bool, Vec<String>) {
    let id = roster.take_to_plan(at(now)).expect("something to plan");
    let entry = roster.get_mut(id).expect("there");
    let plan = entry.plan(at(now));
    let starts = plan
        .runs
        .iter()
        .map(|run| rfc3339(run.expected_start)[11..19].to_owned());
    (plan.anew, starts.collect())
}

#[test]
fn plans_as_far_as_people_look() {
    let mut roster = Roster::default();
    let hourly = catalog(HOURLY);
    sync(&mut roster, &hourly, vec![], "02:10:00");
    assert_eq!(roster.next_due(), Some(at("03:00:00")));
    let (anew, starts) = planned(&mut roster, "02:10:00");
    assert!(anew);
    assert_eq!(starts, ["03:00:00", "04:00:00", "05:00:00", "06:00:00"]);

    let mut busy = Roster::default();
    let config = "schedule_type: interval, schedule_config: {interval_seconds: 5, anchor_date: '2026-01-01T00:00:00Z'}";
    sync(&mut busy, &catalog(config), vec![], "02:10:00");
    assert_eq!(planned(&mut busy, "02:10:00").1.len(), 100, "never more");

    let mut minutely = Roster::default();
    let config = "schedule_type: cron, schedule_config: {cron_string: '* * * * *'}";
    sync(&mut minutely, &catalog(config), vec![], "02:10:30");
    assert_eq!(planned(&mut minutely, "02:10:30").1.len(), 60, "the next hour");
}

#[test]
fn after_a_start_only_what_is_missing_is_planned() {
    let mut roster = Roster::default();
    let hourly = catalog(HOURLY);
    sync(&mut roster, &hourly, vec![], "02:10:00");
    planned(&mut roster, "02:10:00");
    let id = only(&hourly);
    assert_eq!(roster.take_due(at("03:00:00"), 10), [id]);
    let progress = Progress {
        handled_until: at("03:00:00"),
        next_at: Some(at("04:00:00")),
    };
    roster.get_mut(id).expect("there").advance(progress, Some(1));
    roster.put_back(id, None, at("03:00:02"));
    assert_eq!(roster.next_due(), Some(at("04:00:00")));
    assert!(roster.take_to_plan(at("03:00:01")).is_none(), "starts go first");
    assert_eq!(planned(&mut roster, "03:00:02"), (false, vec!["07:00:00".to_owned()]));
}

#[test]
fn a_restart_goes_on_and_a_missed_time_is_due_at_once() {
    let hourly = catalog(HOURLY);
    let mut first = Roster::default();
    sync(&mut first, &hourly, vec![], "02:10:00");
    let id = first.take_to_plan(at("02:10:00")).expect("something to plan");
    let plan = first.get_mut(id).expect("there").plan(at("02:10:00"));
    let row = || ScheduleRow {
        id: plan.id,
        deployment_id: plan.deployment_id,
        rule: plan.rule.clone(),
        progress: plan.progress,
        planned_until: plan.planned_until,
    };
    let mut second = Roster::default();
    let gone = sync(&mut second, &hourly, vec![row()], "09:00:00");
    assert_eq!(gone, super::Gone::default());
    assert_eq!(second.next_due(), Some(at("03:00:00")), "missed, so due");
    assert!(second.take_to_plan(at("09:00:00")).is_none(), "its rows are there");

    let mut other = Roster::default();
    let every_minute = catalog("schedule_type: cron, schedule_config: {cron_string: '* * * * *'}");
    sync(&mut other, &every_minute, vec![row()], "09:00:30");
    assert_eq!(
        other.next_due(),
        Some(at("09:01:00")),
        "another rule owes nothing of the past"
    );
    assert!(planned(&mut other, "09:00:30").0, "the rows of the first go");

    let mut set_back = Roster::default();
    sync(&mut set_back, &hourly, vec![row()], "01:30:00");
    assert_eq!(
        set_back.next_due(),
        Some(at("02:00:00")),
        "the clock was set back meanwhile"
    );
}

#[test]
fn other_parameters_make_the_rows_again_and_leave_the_times() {
    let mut roster = Roster::default();
    sync(&mut roster, &catalog(HOURLY), vec![], "02:10:00");
    planned(&mut roster, "02:10:00");
    sync(&mut roster, &catalog(HOURLY), vec![], "02:20:00");
    assert!(roster.take_to_plan(at("02:20:00")).is_none(), "nothing has changed");
    sync(
        &mut roster,
        &catalog(&format!("{HOURLY}, tags: [night]")),
        vec![],
        "02:30:00",
    );
    let (anew, starts) = planned(&mut roster, "02:30:00");
    assert!(anew && starts[0] == "03:00:00");
    assert_eq!(roster.next_due(), Some(at("03:00:00")));
}

#[test]
fn what_is_paused_or_gone_is_forgotten() {
    let hourly = catalog(HOURLY);
    let id = only(&hourly);
    let mut roster = Roster::default();
    sync(&mut roster, &hourly, vec![], "02:10:00");
    let deployment = hourly.deployments[0].id;
    let paused = Switches::from([((deployment, None), false)]);
    let gone = roster.sync(&hourly, &paused, &mut HashMap::new(), at("02:11:00"));
    assert_eq!(gone.schedules, [id]);
    assert_eq!(gone.paused.into_iter().collect::<Vec<_>>(), [deployment]);
    assert_eq!(roster.next_due(), None);

    sync(&mut roster, &hourly, vec![], "05:30:00");
    assert_eq!(
        roster.next_due(),
        Some(at("06:00:00")),
        "the time of the pause is not made up for"
    );
    let off = Switches::from([((deployment, Some(id)), false)]);
    let gone = roster.sync(&hourly, &off, &mut HashMap::new(), at("05:31:00"));
    assert!(
        gone.paused.is_empty() && gone.schedules == [id],
        "its waiting runs stay"
    );
}

#[test]
fn a_clock_that_is_set_back_brings_its_times_again() {
    let hourly = catalog(HOURLY);
    let mut roster = Roster::default();
    sync(&mut roster, &hourly, vec![], "07:10:00");
    roster.step_back(at("07:05:00"));
    assert_eq!(roster.next_due(), Some(at("08:00:00")));
    roster.step_back(at("02:30:00"));
    assert_eq!(roster.next_due(), Some(at("03:00:00")));
    assert_eq!(planned(&mut roster, "02:30:00").1[0], "03:00:00");
}

#[test]
fn what_counts_from_now_on_is_noted_first_and_planned_by_whoever_finds_the_note() {
    let mut roster = Roster::default();
    let hourly = catalog(HOURLY);
    let id = only(&hourly);
    assert_eq!(sync(&mut roster, &hourly, vec![], "02:10:00").begun, [(id, false)]);
    assert!(
        sync(&mut roster, &hourly, vec![], "02:20:00").begun.is_empty(),
        "as before"
    );
    let note = roster.get(id).expect("there").note(false);
    assert!(note.runs.is_empty() && !note.anew);

    // The host has stopped before it had planned anything, and comes back hours later.
    let row = ScheduleRow {
        id: note.id,
        deployment_id: note.deployment_id,
        rule: note.rule,
        progress: note.progress,
        planned_until: note.planned_until,
    };
    let mut next = Roster::default();
    assert!(sync(&mut next, &hourly, vec![row], "05:10:00").begun.is_empty());
    assert_eq!(next.next_due(), Some(at("03:00:00")), "what was missed is due");
    assert_eq!(next.take_to_plan(at("05:10:00")), Some(id));

    let quarter = catalog(&HOURLY.replace("3600", "900"));
    assert_eq!(sync(&mut next, &quarter, vec![], "05:10:00").begun, [(id, true)]);
}
