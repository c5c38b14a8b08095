//! Prefect's own answers, 773 of them: what is given here must be what Prefect gives.
//!
//! The file was taken from Prefect 3.8.8 on Python 3.13. Left out of the comparison are answers
//! that nobody should imitate (`prefect-accident`); instants before the start asked for are
//! dropped; intervals are held against Prefect's documentation where Prefect differs from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use grepx_schedule::{Schedule, Spec};
use serde::Deserialize;
use serde_json::Value;

/// Differences on purpose: the vector and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("cron-dst-0705", STARTED_IN_MOVED_TIME),
    ("cron-dst-0738", STARTED_IN_MOVED_TIME),
    ("cron-dst-0804", STARTED_IN_MOVED_TIME),
    ("cron-dst-0833", STARTED_IN_MOVED_TIME),
    (
        "cron-hash-0557",
        "`R` draws other times at every reading: it is refused",
    ),
    ("interval-basic-0101", JUMPED_IN_SECONDS),
    ("rrule-dst-0354", NEGATIVE_DST),
    ("rrule-dst-0356", NEGATIVE_DST),
    ("rrule-dst-0382", NEGATIVE_DST),
];

const STARTED_IN_MOVED_TIME: &str = "asked from the hour after a gap, Prefect forgets the times that the gap \
     moved into that hour; here the instants of a rule do not depend on the time one asks from";

const JUMPED_IN_SECONDS: &str = "Prefect goes from the anchor to the start in elapsed seconds and counts days on the \
     wall clock from there, so that its instants depend on the start";

const NEGATIVE_DST: &str = "where summer time is the standard (Dublin, Casablanca), Prefect loses the hour after the \
     overlap, which every clock there shows once";

#[derive(Debug, Deserialize)]
struct Vector {
    id: String,
    schedule_type: String,
    schedule_config: Value,
    start: DateTime<Utc>,
    expected: Vec<DateTime<Utc>>,
    expected_documented: Option<Vec<DateTime<Utc>>>,
    #[serde(default)]
    partial_before_error: Vec<DateTime<Utc>>,
    error: Option<String>,
    error_stage: Option<String>,
    tags: Vec<String>,
}

impl Vector {
    fn tagged(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// What is wrong with our answer.
    fn judge(&self) -> Result<(), String> {
        let spec = Spec {
            schedule_type: self.schedule_type.clone(),
            config: self.schedule_config.clone(),
        };
        let ours = Schedule::parse(&spec, None);
        let instants = |schedule: &Schedule, n: usize| schedule.from(self.start).take(n).collect::<Vec<_>>();
        match (&self.error, ours) {
            (Some(_), Err(_)) => Ok(()),
            (Some(error), Ok(schedule)) => {
                // Prefect fails where the instants end; the ones before are right.
                let late = self.error_stage.as_deref() == Some("generate");
                let ours = instants(&schedule, 12);
                if late && ours == self.partial_before_error {
                    Ok(())
                } else {
                    Err(format!("{error} / {ours:?}"))
                }
            }
            (None, Err(refusal)) => Err(format!("{:?} / {refusal}", self.expected)),
            (None, Ok(schedule)) => {
                let expected = self.expected_documented.as_ref().unwrap_or(&self.expected);
                let expected: Vec<_> = expected.iter().copied().filter(|at| *at >= self.start).collect();
                let ours = instants(&schedule, if expected.len() < 12 { 12 } else { expected.len() });
                let same = if self.tagged("before-start") || self.expected.len() == 12 {
                    ours.get(..expected.len()) == Some(&expected[..])
                } else {
                    ours == expected
                };
                if same {
                    Ok(())
                } else {
                    Err(format!("{expected:?} / {ours:?}"))
                }
            }
        }
    }
}

fn read() -> Vec<Vector> {
    let text = include_str!("schedules.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// The score by tag, and the differences that are on nobody's purpose.
fn compare(kind: &str) -> (String, String) {
    let mut table: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = String::new();
    for vector in read().iter().filter(|vector| vector.schedule_type == kind) {
        let verdict = vector.judge();
        for tag in vector.tags.iter().map(String::as_str).chain(["(all)"]) {
            let row = table.entry(tag.to_owned()).or_default();
            row.0 += usize::from(verdict.is_ok());
            row.1 += 1;
        }
        let known = ON_PURPOSE.iter().any(|(id, _)| *id == vector.id);
        assert!(!known || verdict.is_err(), "{} is equal after all", vector.id);
        if let Err(difference) = verdict
            && !known
            && !vector.tagged("prefect-accident")
        {
            let _ = writeln!(wrong, "{} {}: {difference}", vector.id, vector.schedule_config);
        }
    }
    let mut score = String::new();
    for (tag, (equal, all)) in &table {
        let _ = writeln!(score, "{kind:9} {tag:32} {equal:4} of {all:4}");
    }
    for (id, reason) in ON_PURPOSE.iter().filter(|(id, _)| id.starts_with(kind)) {
        let _ = writeln!(score, "on purpose: {id}: {reason}");
    }
    (score, wrong)
}

#[test]
fn every_vector_is_there() {
    assert_eq!(read().len(), 773);
}

#[test]
fn cron_answers_are_those_of_prefect() {
    let (score, wrong) = compare("cron");
    println!("{score}");
    assert!(wrong.is_empty(), "expected / ours:\n{wrong}");
}

#[test]
fn interval_answers_are_those_of_prefect() {
    let (score, wrong) = compare("interval");
    println!("{score}");
    assert!(wrong.is_empty(), "expected / ours:\n{wrong}");
}

#[test]
fn rrule_answers_are_those_of_prefect() {
    let (score, wrong) = compare("rrule");
    println!("{score}");
    assert!(wrong.is_empty(), "expected / ours:\n{wrong}");
}
