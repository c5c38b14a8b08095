//! `doctor`: every question that is asked when something does not work, answered by looking. It works
//! with and without a host that runs, from this machine's point of view: the configuration that this
//! command line names, this machine's port, disk and clock, the Redis and the workers that are reached
//! from here.
//!
//! The checks know nothing of each other and run side by side, each within its time; what one cannot
//! find out costs the others nothing.
//!
//! Absent on purpose: repairs. A finding says what to do, and a person does it.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::arguments::{Doctor, Global};
use crate::cli::client::load_settings;
use crate::cli::exit::{Done, Exit};
use crate::cli::out::{self, Colour};

mod broker;
mod definitions;
mod host;
mod machine;
mod patient;
mod settings;
mod tasks;

use patient::Patient;

/// Findings of one check that are shown to a person when nothing is wrong with them; JSON has all.
const SOUND_SHOWN: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Ok,
    Warning,
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    level: Level,
    /// Where: a file, a row, a URL, a name.
    place: String,
    /// What is so, or what is wrong.
    what: String,
    /// What to do.
    help: Option<String>,
}

impl Finding {
    fn ok(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            place: place.into(),
            what: what.into(),
            help: None,
        }
    }

    fn warning(place: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            place: place.into(),
            what: what.into(),
            help: Some(help.into()),
        }
    }

    fn error(place: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            ..Self::warning(place, what, help)
        }
    }
}

struct Check {
    name: &'static str,
    look: fn(&Patient) -> Vec<Finding>,
}

/// In the order in which they are shown: what the later ones stand on comes first.
static CHECKS: [Check; 12] = [
    Check {
        name: "host",
        look: host::host,
    },
    Check {
        name: "port",
        look: host::port,
    },
    Check {
        name: "state directory",
        look: machine::state_directory,
    },
    Check {
        name: "run store",
        look: host::store,
    },
    Check {
        name: "disk",
        look: machine::disk,
    },
    Check {
        name: "clock",
        look: machine::clock,
    },
    Check {
        name: "definitions",
        look: definitions::definitions,
    },
    Check {
        name: "plugins",
        look: definitions::plugins,
    },
    Check {
        name: "redis",
        look: broker::servers,
    },
    Check {
        name: "workers",
        look: broker::workers,
    },
    Check {
        name: "tasks",
        look: tasks::tasks,
    },
    Check {
        name: "flow runs",
        look: host::flow_runs,
    },
];

/// What a check has found.
#[derive(Debug)]
struct Report {
    check: &'static str,
    findings: Vec<Finding>,
    took: Duration,
}

pub(crate) fn doctor(global: &Global, arguments: &Doctor) -> Done {
    let began = Instant::now();
    let mut reports = Vec::with_capacity(CHECKS.len() + 1);
    let loaded = load_settings(global, Vec::new());
    reports.push(Report {
        check: "configuration",
        findings: settings::findings(global, loaded.as_ref()),
        took: began.elapsed(),
    });
    if !global.json {
        reports.iter().for_each(|report| show(report, arguments.quiet));
    }
    if let Ok(settings) = loaded {
        let limit = Duration::from_secs(arguments.timeout);
        let patient = Arc::new(Patient::new(global.clone(), settings, limit));
        for check in examine(&patient, limit) {
            if !global.json {
                show(&check, arguments.quiet);
            }
            reports.push(check);
        }
    }
    let count = |level: Level| {
        let all = reports.iter().flat_map(|report| &report.findings);
        all.filter(|finding| finding.level == level).count()
    };
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if global.json {
        out::json(&json!({
            "ok": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "checks": reports.iter().map(described).collect::<Vec<_>>(),
        }));
    } else {
        out::line(summary(errors, warnings, count(Level::Ok)));
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::Failed })
}

/// The reports come in the order of the checks, each as soon as all before it are there.
fn examine(patient: &Arc<Patient>, limit: Duration) -> impl Iterator<Item = Report> {
    let began = Instant::now();
    let running: Vec<(&'static str, mpsc::Receiver<Report>)> = CHECKS
        .iter()
        .map(|check| {
            let (sender, receiver) = mpsc::channel();
            let patient = patient.clone();
            // A thread that hangs ends with the program.
            std::thread::spawn(move || {
                let findings = (check.look)(&patient);
                // Nobody listens any more to one that was too late.
                let _ = sender.send(Report {
                    check: check.name,
                    findings,
                    took: began.elapsed(),
                });
            });
            (check.name, receiver)
        })
        .collect();
    running.into_iter().map(move |(check, report)| {
        let left = limit.saturating_sub(began.elapsed());
        report.recv_timeout(left).unwrap_or_else(|gone| Report {
            check,
            findings: vec![match gone {
                mpsc::RecvTimeoutError::Timeout => Finding::error(
                    check,
                    format!("not found out within {} s", limit.as_secs()),
                    "ask again with a larger --timeout; if it stays so, what it looks at hangs",
                ),
                mpsc::RecvTimeoutError::Disconnected => Finding::error(
                    check,
                    "the check itself broke",
                    "its message is above; please report it",
                ),
            }],
            took: began.elapsed(),
        })
    })
}

fn show(report: &Report, quiet: bool) {
    let worst = report.findings.iter().map(|finding| finding.level).max();
    let worst = worst.unwrap_or(Level::Ok);
    if quiet && worst == Level::Ok {
        return;
    }
    let sound = report
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Ok)
        .count();
    let mut left_out = sound.saturating_sub(SOUND_SHOWN);
    out::line(format!(
        "{} {}",
        mark(worst),
        out::in_colour(Colour::Bold, report.check)
    ));
    let mut shown = 0;
    for finding in &report.findings {
        if finding.level == Level::Ok {
            shown += 1;
            if quiet || shown > SOUND_SHOWN {
                continue;
            }
        }
        let place = out::plain(&finding.place);
        let mut lines = finding.what.lines();
        let first = out::plain(lines.next().unwrap_or_default());
        out::line(format!("    {} {place}: {first}", mark(finding.level)));
        lines.for_each(|line| out::line(format!("        {}", out::plain(line))));
        if let Some(help) = &finding.help {
            out::line(format!("        → {}", out::plain(help)));
        }
    }
    if quiet {
        left_out = 0;
    }
    if left_out > 0 {
        out::line(format!(
            "    … and {left_out} more that are as they should be (--json has them all)"
        ));
    }
}

/// Said by a shape and a colour; the words are with it.
fn mark(level: Level) -> String {
    match level {
        Level::Ok => out::in_colour(Colour::Green, "✓"),
        Level::Warning => out::in_colour(Colour::Yellow, "! warning"),
        Level::Error => out::in_colour(Colour::Red, "✗ error"),
    }
}

fn summary(errors: usize, warnings: usize, sound: usize) -> String {
    let words = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let (errors, warnings) = (words(errors, "error", "errors"), words(warnings, "warning", "warnings"));
    format!("{errors}, {warnings}, {sound} as they should be")
}

fn described(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "level": finding.level.as_str(),
            "place": finding.place,
            "what": finding.what,
            "help": finding.help,
        })
    });
    json!({
        "check": report.check,
        "took_ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        "findings": findings.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
