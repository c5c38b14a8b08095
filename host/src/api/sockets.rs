//! Prefect's WebSockets: `/events/out`, `/events/in`, `/logs/out`, with the subprotocol `prefect`.
//!
//! A client first sends `{"type": "auth", "token": …}` and is told `{"type": "auth_success"}`; whoever
//! shows nothing that the door knows is closed with 1008 and the reason. Names and origins are the
//! door's before that. To the two that come out it then sends `{"type": "filter", "filter": {…}}`.
//! A client that answers no ping is taken for gone. Whoever has shown a key has one of the places of
//! `server.streams`; until then it has one of a few others, and not for long.
//!
//! Source: api.md of the recorded contract, and `prefect.server.utilities.subscriptions` of 3.8.8.
//! Absent on purpose: sockets without the subprotocol, which only clients before Prefect 3 open.

mod inward;
mod logs;
mod out;
mod talk;

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::{Extension, http::HeaderMap};
use serde_json::{Value, json};

use super::ApiState;
use super::bus::{Gap, Reader, Told};
use super::door::doorstep::Doorstep;
use super::error::Error;
use super::events::Place;
use talk::{Close, Talk};

const PROTOCOL: &str = "prefect";
/// One message from a client; an event of Prefect's may not be larger either.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// For the message that shows a key, and for the filter of somebody who has shown one.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
const FILTER: Duration = Duration::from_secs(30);

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// What a socket is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    EventsIn,
    EventsOut,
    LogsOut,
}

/// The route says for what, by an extension.
pub(super) async fn open(
    State(state): State<ApiState>,
    Extension(purpose): Extension<Purpose>,
    Extension(doorstep): Extension<Doorstep>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Error> {
    let offered = headers.get_all("sec-websocket-protocol").iter();
    let mut offered = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(','));
    if !offered.any(|one| one.trim() == PROTOCOL) {
        return Err(Error::Invalid(format!(
            "this WebSocket speaks the subprotocol {PROTOCOL:?}: offer it in Sec-WebSocket-Protocol"
        )));
    }
    let upgrade = upgrade.map_err(|rejection| Error::Invalid(format!("this is a WebSocket: {rejection}")))?;
    let waits = match doorstep.is_known() {
        true => None,
        false => Some(state.streams.doorstep()?),
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| serve(state, doorstep, socket, purpose, waits)))
}

async fn serve(state: ApiState, doorstep: Doorstep, socket: WebSocket, purpose: Purpose, waits: Option<Place>) {
    let mut talk = Talk::new(socket);
    let ended = tokio::select! {
        ended = speak(&state, &doorstep, &mut talk, purpose, waits) => ended,
        () = state.events.closed() => Err(Close::going_away()),
    };
    if let Err(close) = ended {
        talk.close(close).await;
    }
}

/// Until the client has gone, or is to be sent away.
async fn speak(
    state: &ApiState,
    doorstep: &Doorstep,
    talk: &mut Talk,
    purpose: Purpose,
    waits: Option<Place>,
) -> Result<(), Close> {
    let Some(first) = talk.receive_within(FIRST_MESSAGE).await? else {
        return Ok(());
    };
    if first["type"] != "auth" {
        return Err(Close::policy("Expected 'auth' message"));
    }
    let visitor = state
        .door
        .admit(doorstep, first["token"].as_str())
        .map_err(|refused| Close::policy(&refused.to_string()))?;
    drop(waits);
    let _place = state.streams.place().map_err(|full| Close::later(&full.to_string()))?;
    talk.send(&json!({"type": "auth_success"})).await?;
    let let_out = state.door.let_out(visitor.clone());
    let served = async {
        match purpose {
            Purpose::EventsIn => inward::take(state, talk, &visitor).await,
            Purpose::EventsOut => out::send(state, talk).await,
            Purpose::LogsOut => logs::send(state, talk).await,
        }
    };
    tokio::select! {
        served = served => served,
        () = let_out => Err(Close::policy("what was shown here is good no longer")),
    }
}

/// What happens next; `None` when the client has gone.
async fn told(talk: &mut Talk, reader: &mut Reader) -> Result<Option<Told>, Close> {
    loop {
        tokio::select! {
            told = reader.next() => return told.map(Some).ok_or_else(Close::going_away),
            heard = talk.receive() => match heard? {
                // It has nothing more to say.
                Some(_) => {}
                None => return Ok(None),
            },
        }
    }
}

fn missed(gap: Gap, what_to_do: &str) -> Close {
    let missed = gap.missed.unwrap_or_default();
    Close::trouble(&format!(
        "{missed} events were not taken in time and are gone: {what_to_do}"
    ))
}

/// What is wrong with a filter, in one sentence.
fn invalid_filter(refused: &Error) -> String {
    match refused {
        Error::Faults(faults) => {
            let all = faults.to_json();
            let first = &all["exception_detail"][0];
            let place = first["loc"].as_array().into_iter().flatten().skip(2);
            let place: Vec<&str> = place.filter_map(Value::as_str).collect();
            let what = first["msg"].as_str().unwrap_or_default();
            format!("Invalid filter: {}: {what}", place.join("."))
        }
        other => format!("Invalid filter: {other}"),
    }
}

/// The filter, and the message that it came in; `None` when the client has gone.
async fn filter(talk: &mut Talk) -> Result<Option<(Value, Value)>, Close> {
    let Some(mut message) = talk.receive_within(FILTER).await? else {
        return Ok(None);
    };
    if message["type"] != "filter" {
        return Err(Close::protocol("Expected 'filter' message"));
    }
    let filter = message.get_mut("filter").map(Value::take).unwrap_or_default();
    Ok(Some((filter, message)))
}
