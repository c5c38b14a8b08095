//! `/logs/out`: log lines as they are written, by Prefect's filter of logs. What was written before is
//! read by `POST /logs/filter`.

use serde_json::json;

use super::talk::{Close, Talk};
use crate::api::body::Body;
use crate::api::bus::{Event, Taken, What};
use crate::api::{ApiState, filter, wire};
use crate::store::{Choice, Join, LogFilter, LogLine, Period, line_id};

pub(super) async fn send(state: &ApiState, talk: &mut Talk) -> Result<(), Close> {
    let Some((asked, _)) = super::filter(talk).await? else {
        return Ok(());
    };
    let wanted = Body::of(json!({"logs": asked}))
        .read(filter::logs)
        .map_err(|refused| Close::protocol(&super::invalid_filter(&refused)))?;
    let mut subscription = state.events.subscribe();
    loop {
        let taken = tokio::select! {
            taken = subscription.next() => taken,
            heard = talk.receive() => match heard? {
                Some(_) => continue,
                None => return Ok(()),
            },
        };
        match taken {
            None => return Err(Close::going_away()),
            Some(Taken::Gap(gap)) => {
                let missed = gap.missed.unwrap_or_default();
                return Err(Close::trouble(&format!(
                    "{missed} events were not taken in time and are gone: read the lines by /logs/filter"
                )));
            }
            Some(Taken::Entries { after, entries }) => {
                for event in entries.iter().flat_map(|entry| entry.events_after(after)) {
                    if let Some(line) = line(&event).filter(|line| includes(&wanted, line)) {
                        talk.send(&json!({"type": "log", "log": wire::log(&line)})).await?;
                    }
                }
            }
        }
    }
}

fn line(event: &Event<'_>) -> Option<LogLine> {
    let What::Log(change, n, row) = &event.what else {
        return None;
    };
    let run = change.rows.run;
    Some(LogLine {
        id: line_id(run, *n),
        run,
        task_run: row.task_run,
        at: row.at,
        level: row.level,
        logger: row.logger.clone(),
        message: row.message.clone(),
    })
}

fn includes(wanted: &LogFilter, line: &LogLine) -> bool {
    let text = |text: &String| {
        let message = line.message.to_ascii_lowercase();
        message.contains(&text.to_ascii_lowercase())
    };
    let within = |period: &Period| {
        period.after.is_none_or(|after| line.at >= after) && period.before.is_none_or(|before| line.at <= before)
    };
    let leveled = wanted.level_min.is_some() || wanted.level_max.is_some();
    let conditions = [
        choice(&wanted.run, Some(&line.run)),
        choice(&wanted.task_run, line.task_run.as_ref()),
        (wanted.at != Period::default()).then(|| within(&wanted.at)),
        leveled.then(|| {
            wanted.level_min.is_none_or(|level| line.level >= level)
                && wanted.level_max.is_none_or(|level| line.level <= level)
        }),
        wanted.text.as_ref().map(text),
    ];
    joined(wanted.join, &conditions)
}

/// `None` when nothing is asked.
fn choice<T: PartialEq>(wanted: &Choice<T>, value: Option<&T>) -> Option<bool> {
    let contains = |list: &Vec<T>| value.is_some_and(|value| list.contains(value));
    let conditions = [
        wanted.any.as_ref().map(contains),
        wanted.not.as_ref().map(|not| !contains(not)),
        wanted.is_null.map(|null| value.is_none() == null),
    ];
    let given = conditions.iter().any(Option::is_some);
    given.then(|| joined(wanted.join, &conditions))
}

/// Of the conditions that are given; without one, yes.
fn joined(join: Join, conditions: &[Option<bool>]) -> bool {
    let mut given = conditions.iter().flatten();
    match join {
        Join::All => given.all(|holds| *holds),
        Join::Any => conditions.iter().all(Option::is_none) || given.any(|holds| *holds),
    }
}
