//! What comes in and goes out by HTTP, and who listens.

use super::page::{Page, Samples};
use crate::api::ApiState;

pub(super) fn add(page: &mut Page, state: &ApiState) {
    page.one(
        "grepx_http_connections",
        "HTTP connections that are open, with those of streams",
        state.traffic.connections() as f64,
    );
    page.one(
        "grepx_http_connections_limit",
        "HTTP connections that may be open",
        state.settings.server.connections as f64,
    );
    let answers = state.traffic.answers();
    let answers: Samples = answers
        .map(|(class, count)| (vec![("status", class.to_owned())], count as f64))
        .collect();
    page.counter(
        "grepx_http_requests",
        "Requests that were answered, by class of status",
        answers,
    );
    let (taken, most) = state.streams.taken();
    page.one(
        "grepx_streams",
        "Event streams and WebSockets that are open",
        taken as f64,
    );
    page.one(
        "grepx_streams_limit",
        "Event streams and WebSockets that may be open",
        most as f64,
    );
    page.one(
        "grepx_event_listeners",
        "Places in the ring of events, of streams and of the host itself",
        state.events.subscriptions() as f64,
    );
    let kept = state.events.kept();
    page.one(
        "grepx_events_kept",
        "Events that are kept for who comes late",
        kept.events as f64,
    );
    page.one(
        "grepx_events_kept_bytes",
        "About the memory that kept events take",
        kept.bytes as f64,
    );
    let notices = state.broker.notices();
    page.gauge(
        "grepx_broker_notices",
        "Replies and the like of brokers that wait for the runner",
        notices.map(|(waiting, _)| (Vec::new(), waiting as f64)),
    );
    page.gauge(
        "grepx_broker_notices_limit",
        "Notices of brokers that may wait",
        notices.map(|(_, limit)| (Vec::new(), limit as f64)),
    );
}
