//! `GET /runs/{id}/stream`: one flow run from its beginning to its end. First what the store has of
//! it, then what happens, without a gap and nothing twice: each page that is read says at which
//! position it stands, and of what follows only later changes are told. Log lines are counted, so
//! each one is told once, however often the client is cut off.
//!
//! A client that is slower than the run is not told of a gap: it is read to again from the store.
//! Then states that lie between two that it is told are left out; log lines never are.
//!
//! An id is `<position>-<log lines told>`; that of the end is `end`, after which nothing comes: whoever
//! asks again with it is answered 204, by which browsers stop asking.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use grepx_engine::{FlowRunId, NodeId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shapes;
use super::sse::{self, Frame, Place};
use crate::api::bus::{Entry, Event, News, Reader, Told, What};
use crate::api::door::Visitor;
use crate::api::error::Error;
use crate::api::{ApiState, flow_runs};
use crate::store::{self, At, Changed};

/// Task runs, and log lines, that are read at once.
const PAGE: u32 = 500;
const END: &str = "end";

#[derive(Debug, Default, Deserialize)]
pub(in crate::api) struct From {
    /// As `Last-Event-ID`.
    after: Option<String>,
}

pub(in crate::api) async fn stream(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(from): Query<From>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let run = flow_runs::id_of(&id)?;
    let seen = match sse::last_event_id(&headers, from.after.as_deref())? {
        Some(END) => return Ok(StatusCode::NO_CONTENT.into_response()),
        Some(id) => Some(Seen::parse(id).ok_or_else(|| sse::strange_id(id))?),
        None => None,
    };
    flow_runs::row(&state, run).await?;
    let place = state.streams.place()?;
    let let_out = state.door.let_out(visitor);
    let feed = Feed::new(state, run, seen, place);
    let frames = futures_util::stream::unfold(feed, async |mut feed| {
        let frame = feed.next().await?;
        Some((frame, feed))
    });
    Ok(sse::response(frames, let_out))
}

/// What a client has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// 0 while it was still being told what was before.
    position: u64,
    lines: i64,
}

impl Seen {
    fn parse(id: &str) -> Option<Self> {
        let (position, lines) = id.split_once('-')?;
        Some(Self {
            position: position.parse().ok()?,
            lines: lines.parse().ok().filter(|lines| *lines >= 0)?,
        })
    }

    fn id(self) -> String {
        format!("{}-{}", self.position, self.lines)
    }
}

/// What comes next.
enum Stage {
    /// The flow run is to be read, and all of it that follows.
    Run,
    Tasks(Read),
    Lines(Read),
    Live,
    Over,
}

/// The flow run as it was read.
struct Read {
    flow_run: Frame,
    ended: bool,
    position: u64,
    /// Log lines that there were.
    lines: i64,
}

struct Feed {
    state: ApiState,
    run: FlowRunId,
    reader: Reader,
    stage: Stage,
    waiting: VecDeque<Frame>,
    lines: i64,
    /// Where the pages of task runs stand: the last one of the page, `None` for all further ones.
    pages: Vec<(Option<NodeId>, u64)>,
    /// What was told last of the flow run (`None`) and its task runs, by its digest.
    told: HashMap<Option<NodeId>, u64>,
    _place: Place,
}

impl Feed {
    fn new(state: ApiState, run: FlowRunId, seen: Option<Seen>, place: Place) -> Self {
        let (subscription, stage) = match seen {
            Some(seen) => (state.events.subscribe_after(seen.position), Stage::Live),
            None => (state.events.subscribe(), Stage::Run),
        };
        Self {
            state,
            run,
            reader: Reader::new(subscription),
            stage,
            waiting: VecDeque::new(),
            lines: seen.map_or(0, |seen| seen.lines),
            pages: Vec::new(),
            told: HashMap::new(),
            _place: place,
        }
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Some(frame);
            }
            let step = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Run => self.read_run().await,
                Stage::Tasks(read) => self.read_tasks(read).await,
                Stage::Lines(read) => self.read_lines(read).await,
                Stage::Live => Ok(self.follow().await?),
                Stage::Over => return None,
            };
            match step {
                Ok(stage) => self.stage = stage,
                Err(error) => {
                    // The client comes again, and is told what it has not had.
                    tracing::warn!(run = %self.run, error = %crate::report::chain(&error), "the stream of a flow run is cut off");
                    return None;
                }
            }
        }
    }

    async fn read_run(&mut self) -> Result<Stage, store::Error> {
        let At { position, read } = self.state.store.flow_run_at(self.run).await?;
        let Some((found, lines)) = read else {
            return Ok(self.deleted());
        };
        self.reader.go_to(position);
        self.pages.clear();
        let ended = found.state.state_type.is_terminal();
        let mut data = shapes::stored_flow_run(&found);
        self.explain(&mut data).await?;
        let flow_run = Frame::new("flow_run", data);
        if !ended {
            self.tell(None, flow_run.clone());
        }
        Ok(Stage::Tasks(Read {
            flow_run,
            ended,
            position,
            lines,
        }))
    }

    async fn read_tasks(&mut self, read: Read) -> Result<Stage, store::Error> {
        let after = self.pages.last().and_then(|(last, _)| *last);
        let page = self.state.store.task_runs_at(self.run, after, PAGE).await?;
        let more = page.read.len() == PAGE as usize;
        let last = page.read.last().map(|task| task.node).filter(|_| more);
        for task in &page.read {
            self.tell(Some(task.node), Frame::new("task_run", shapes::stored_task_run(task)));
        }
        self.pages.push((last, page.position));
        Ok(if more { Stage::Tasks(read) } else { Stage::Lines(read) })
    }

    async fn read_lines(&mut self, read: Read) -> Result<Stage, store::Error> {
        if self.lines < read.lines {
            let page = self.state.store.log_lines(self.run, self.lines, PAGE).await?;
            if page.is_empty() {
                return Ok(Stage::Run);
            }
            // What came after the run was read is told as it happened.
            let known = usize::try_from(read.lines - self.lines).unwrap_or(usize::MAX);
            for line in page.into_iter().take(known) {
                let frame = Frame::new("log", shapes::stored_log(self.lines, line));
                self.lines += 1;
                self.waiting.push_back(frame.with_id(self.seen(0)));
            }
            return Ok(Stage::Lines(read));
        }
        if read.ended {
            return Ok(self.ended(read.flow_run));
        }
        let live = Frame::new("live", json!({"position": read.position}));
        self.waiting.push_back(live.with_id(self.seen(read.position)));
        Ok(Stage::Live)
    }

    /// `None` when the host stops.
    async fn follow(&mut self) -> Option<Stage> {
        let run = self.run;
        match self.reader.next_in(|entry| concerns(entry, run)).await? {
            Told::Event(happened) => Some(self.happened(&happened.event()).unwrap_or(Stage::Live)),
            Told::Gap(gap) if gap.of_clients => Some(Stage::Live),
            Told::Gap(_) => Some(Stage::Run),
        }
    }

    /// The last stage, if this was the last event.
    fn happened(&mut self, event: &Event<'_>) -> Option<Stage> {
        let frame = shapes::frame(event);
        match &event.what {
            What::Log(_, n, _) if *n < self.lines => {}
            What::Log(_, n, _) => {
                self.lines = n + 1;
                let id = self.seen(event.position);
                self.waiting.push_back(frame.with_id(id));
            }
            What::TaskRun(_, row, _) if event.position > self.read_at(row.node) => {
                let id = self.seen(event.position);
                self.tell(Some(row.node), frame.with_id(id));
            }
            What::FlowRun(change, _) => {
                let ended = |state: &store::RunState| state.state.state_type.is_terminal();
                if change.rows.state.as_ref().is_some_and(ended) {
                    return Some(self.ended(frame));
                }
                let id = self.seen(event.position);
                self.tell(None, frame.with_id(id));
            }
            What::Removed(_) => return Some(self.deleted()),
            _ => {}
        }
        None
    }

    /// Where the page stands on which the task run is, or would be.
    fn read_at(&self, node: NodeId) -> u64 {
        let page = self
            .pages
            .partition_point(|(last, _)| last.is_some_and(|last| last < node));
        self.pages.get(page).map_or(0, |(_, position)| *position)
    }

    fn tell(&mut self, of: Option<NodeId>, frame: Frame) {
        let digest = digest(&frame.data);
        if self.told.insert(of, digest) != Some(digest) {
            self.waiting.push_back(frame);
        }
    }

    fn ended(&mut self, flow_run: Frame) -> Stage {
        let state = flow_run.data["state"].clone();
        self.waiting.push_back(flow_run.with_id(END.to_owned()));
        let end = Frame::new("end", json!({"id": self.run, "state": state}));
        self.waiting.push_back(end.with_id(END.to_owned()));
        Stage::Over
    }

    fn deleted(&mut self) -> Stage {
        self.waiting
            .push_back(Frame::new("flow_run_deleted", json!({"id": self.run})));
        let end = Frame::new("end", json!({"id": self.run, "state": null}));
        self.waiting.push_back(end.with_id(END.to_owned()));
        Stage::Over
    }

    /// Why it waits for a slot is not in its row.
    async fn explain(&self, flow_run: &mut Value) -> Result<(), store::Error> {
        if flow_runs::waits_for_slot(flow_run["state"]["name"].as_str().unwrap_or_default())
            && let Some(reason) = self.state.store.reason_for(self.run).await?
        {
            flow_run["reason"] = reason.into();
        }
        Ok(())
    }

    fn seen(&self, position: u64) -> String {
        let lines = self.lines;
        Seen { position, lines }.id()
    }
}

/// Whether an entry has events of the run, and then of no other; most have not.
fn concerns(entry: &Entry, run: FlowRunId) -> bool {
    match entry.news() {
        News::Stored(Changed::Run(change)) => change.rows.run == run,
        News::Stored(Changed::Removed(removed)) => *removed == run,
        _ => false,
    }
}

/// Of what makes two frames of one run the same.
fn digest(data: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in ["attempt", "reason", "status"] {
        data.get(part).map(Value::to_string).hash(&mut hasher);
    }
    for part in ["id", "message"] {
        data["state"].get(part).map(Value::to_string).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
