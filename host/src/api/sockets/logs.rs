//! `/logs/out`: log lines as they are written, by Prefect's filter of logs. What was written before is
//! read by `POST /logs/filter`.

use serde_json::json;

use super::talk::{Close, Talk};
use crate::api::body::Body;
use crate::api::bus::{Event, Reader, Told, What};
use crate::api::{ApiState, filter, wire};
use crate::store::{LogFilter, LogLine, Period, line_id};

pub(super) async fn send(state: &ApiState, talk: &mut Talk) -> Result<(), Close> {
    let Some((asked, _)) = super::filter(talk).await? else {
        return Ok(());
    };
    let wanted = Body::of(json!({"logs": asked}))
        .read(filter::logs)
        .map_err(|refused| Close::protocol(&super::invalid_filter(&refused)))?;
    let mut reader = Reader::new(state.events.subscribe());
    while let Some(told) = super::told(talk, &mut reader).await? {
        match told {
            Told::Gap(gap) if gap.of_clients => {}
            Told::Gap(gap) => return Err(super::missed(gap, "read the lines by /logs/filter")),
            Told::Event(happened) => {
                if let Some(line) = line(&happened.event()).filter(|line| includes(&wanted, line)) {
                    talk.send(&json!({"type": "log", "log": wire::log(&line)})).await?;
                }
            }
        }
    }
    Ok(())
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
        filter::of_choice(&wanted.run, Some(&line.run)),
        filter::of_choice(&wanted.task_run, line.task_run.as_ref()),
        (wanted.at != Period::default()).then(|| within(&wanted.at)),
        leveled.then(|| {
            wanted.level_min.is_none_or(|level| line.level >= level)
                && wanted.level_max.is_none_or(|level| line.level <= level)
        }),
        wanted.text.as_ref().map(text),
    ];
    filter::given(wanted.join, conditions).unwrap_or(true)
}
