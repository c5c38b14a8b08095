//! Changes as they happen, as server-sent events (WHATWG HTML, section 9.2): `GET /api/events` for
//! everything, `GET /api/runs/{id}/stream` for one flow run from its beginning to its end.
//!
//! Each message has an `event:` with its kind, an `id:`, and as `data:` one JSON object. A client that
//! was cut off shows the last id in `Last-Event-ID` (or `?after=`) and gets what it has missed, as far
//! as it is kept; an `id:` that comes alone says how far it is when nothing of that concerned it. Every
//! quarter of a minute a comment keeps the connection. Times are RFC 3339 in UTC.
//!
//! | event | data |
//! | --- | --- |
//! | `subscribed` | `position`: events from here on follow. First on `/api/events`, always |
//! | `flow_run` | `id`, `name`, `flow_id`, `flow_name`, `deployment_id`, `deployment_name`, `work_pool_name`, `work_queue_name`, `tags`, `auto_scheduled`, `created`, `expected_start_time`, `state` (`id`, `type`, `name`, `timestamp`, `message`), `previous` (`type`, `name`; null when the state is the same and its message or the reason is new, and for a new run), `reason` (why it waits), `start_time`, `end_time`, `total_run_time` (s), `run_count`. The names and times of a run are null where the change does not say |
//! | `task_run` | `id`, `flow_run_id`, `name`, `kind`, `index` (of a `for_each`), `attempt`, `state`, `previous`, `reason`, `status` (what its kind waits for), `external_id`, `tags`, `expected_start_time`, `start_time`, `end_time`, `total_run_time`, `result_bytes` |
//! | `log` | `id`, `n` (from 0 in its flow run), `flow_run_id`, `task_run_id`, `timestamp`, `level` (10 to 50), `name`, `message` |
//! | `flow_run_deleted` | `id` |
//! | `deployment`, `schedule` | `deployment_id`, `schedule_id`, and `paused` or `active` |
//! | `work_pool`, `work_queue` | `work_pool_name`, `work_queue_name`, and what was set of `is_paused`, `concurrency_limit`, `priority`; `cleared` when the definitions hold again |
//! | `plugin` | `kind`, and `digest` and `version` of what serves it now, null when nothing does |
//! | `definitions` | how many `flows`, `deployments`, `work_pools` are in force, and `problems` |
//! | `client_event` | an event of Prefect's that a client has sent to `/api/events/in` |
//! | `gap` | `missed` events were not taken in time and are gone (null: the host was started again, and nobody knows how many), those `after` a position `until` another |
//! | `live` | on the stream of a run: what was before has been told, what follows happens now |
//! | `end` | on the stream of a run: nothing follows; the `state` that it ended in, null when it was deleted |
//!
//! A `flow_run` or `task_run` is the whole of what it shows, not a difference: one that comes again
//! after a cut changes nothing.
//!
//! Absent on purpose: what people call a flow run after it has begun, task runs of items that go because
//! their task begins anew (it is told itself), events that are not true yet, and a queue for each
//! client: see [`crate::api::bus`].

mod choice;
mod run;
mod shapes;
mod sse;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::ApiState;
use super::door::Visitor;
use super::error::Error;
use crate::api::bus::{Reader, Told};
use choice::Choice;
pub(super) use run::stream as run_stream;
use sse::Frame;
pub(super) use sse::{Place, Streams};

/// Events that are passed over before the client is told where it is.
const PASSED_OVER: u64 = 100;

/// `GET /events`: from now on, or after `Last-Event-ID`.
pub(super) async fn stream(
    State(state): State<ApiState>,
    Extension(visitor): Extension<Visitor>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let after = match sse::last_event_id(&headers, choice.after.as_deref())? {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| sse::strange_id(id))?),
    };
    let choice = choice.checked()?;
    let place = state.streams.place()?;
    let subscription = match after {
        Some(position) => state.events.subscribe_after(position),
        None => state.events.subscribe(),
    };
    let reader = Reader::new(subscription);
    let position = reader.position();
    let subscribed = Frame::new("subscribed", json!({"position": position})).with_id(position.to_string());
    let feed = Feed {
        reader,
        choice,
        first: Some(subscribed),
        named: position,
        _place: place,
    };
    let frames = futures_util::stream::unfold(feed, async |mut feed| {
        let frame = feed.next().await?;
        Some((frame, feed))
    });
    Ok(sse::response(frames, state.door.let_out(visitor)))
}

/// What one client is told.
struct Feed {
    reader: Reader,
    choice: choice::Checked,
    first: Option<Frame>,
    /// The last position that the client was given.
    named: u64,
    _place: Place,
}

impl Feed {
    async fn next(&mut self) -> Option<Frame> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let (position, frame) = match self.reader.next().await? {
                Told::Gap(gap) => {
                    let concerns = !gap.of_clients || self.choice.takes_clients();
                    (gap.until, concerns.then(|| shapes::gap(gap)))
                }
                Told::Event(happened) => {
                    let event = happened.event();
                    let wanted = self.choice.accepts(&event.what);
                    (event.position, wanted.then(|| shapes::frame(&event)))
                }
            };
            let frame = match frame {
                Some(frame) => frame.with_id(position.to_string()),
                // Else a client that was cut off would be told of a gap in what it never wanted.
                None if position.saturating_sub(self.named) >= PASSED_OVER => Frame::mark(position.to_string()),
                None => continue,
            };
            self.named = position;
            return Some(frame);
        }
    }
}
