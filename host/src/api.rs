//! The HTTP API: Prefect 3's resources under `/api`, so that its clients work, with our own beside
//! them. Every handler reads the store or the catalog and answers; what changes a run goes through
//! the runner.
//!
//! Absent on purpose: pages for browsers but the one that shows what the API is, TLS (a proxy's work),
//! and every resource of Prefect that has no meaning here (blocks, variables, artifacts,
//! automations): [`absent`] says so.

mod absent;
mod admin;
mod again;
mod amend;
mod audit;
mod body;
mod bulk;
pub mod bus;
mod concurrency;
mod control;
mod create;
mod definitions;
mod deployments;
mod door;
mod error;
mod events;
mod filter;
mod flow_runs;
mod flows;
mod graph;
mod history;
mod hooks;
mod keys;
mod listen;
mod logs;
mod metrics;
mod openapi;
mod page;
mod plan;
mod plugins;
mod pool_slots;
mod prefect_events;
mod schedules;
mod set_state;
mod shown;
mod signal;
mod sockets;
mod states;
mod tag_limits;
mod task_runs;
mod texts;
mod traffic;
mod upkeep;
mod wire;
mod work_pools;
mod work_queues;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::routing::{delete, get, post};
use axum::{Extension, Router, middleware};

use crate::broker::Broker;
use crate::config::Settings;
use crate::definitions::Catalog;
use crate::plugins::Plugins;
use crate::store::Store;
use crate::traces::Traces;

pub(crate) use audit::shown as show_audit;
use bus::{Bus, Limits};
pub use control::Control;
pub(crate) use definitions::difference as describe_plan;
pub(crate) use door::key::{digest as key_digest, generate as new_key};
pub(crate) use door::operator::OperatorKey;
pub use door::{Door, DoorError};
use error::Error;
pub use hooks::Hooks;
pub(crate) use keys::{check_name as check_key_name, shown as show_key};
pub use listen::{Patience, serve};
pub(crate) use plan::describe_run_plan;
pub(crate) use plugins::everything as describe_plugins;
use sockets::Purpose;
pub use traffic::Traffic;
pub(crate) use upkeep::{described as describe_collected, space as describe_space};

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What Prefect's clients take this server for: they refuse to watch another major version.
pub const PREFECT_VERSION: &str = "3.8.8";

/// What handlers see. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState {
    store: Store,
    runner: Arc<dyn Control>,
    catalog: Arc<ArcSwap<Catalog>>,
    plugins: Plugins,
    broker: Broker,
    settings: Arc<Settings>,
    door: Door,
    hooks: Hooks,
    readiness: Arc<ArcSwap<Readiness>>,
    events: Bus,
    streams: events::Streams,
    traffic: Traffic,
    traces: Option<Traces>,
}

/// Whether flow runs are made and go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Not yet, or not any more, with the reason.
    NotReady(String),
}

impl ApiState {
    /// Ready from the start.
    pub fn new(
        store: Store,
        runner: impl Control + 'static,
        catalog: Arc<ArcSwap<Catalog>>,
        plugins: Plugins,
        broker: Broker,
        settings: Arc<Settings>,
        door: Door,
    ) -> Self {
        let streams = events::Streams::new(settings.server.streams);
        Self {
            store,
            runner: Arc::new(runner),
            catalog,
            plugins,
            broker,
            settings,
            door,
            hooks: Hooks::default(),
            readiness: Arc::new(ArcSwap::from_pointee(Readiness::Ready)),
            events: Bus::new(Limits::default(), crate::clock::now()),
            streams,
            traffic: Traffic::default(),
            traces: None,
        }
    }

    /// With webhooks; else there are none.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks) -> Self {
        Self { hooks, ..self }
    }

    /// Tells of what this bus tells.
    #[must_use]
    pub fn with_events(self, events: Bus) -> Self {
        Self { events, ..self }
    }

    /// What whoever listens counts connections with.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// Shows what becomes of spans; else there are none.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// What `/ready` says from now on, in every clone.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(Arc::new(readiness));
    }
}

/// All routes. Tests call it without a socket.
pub fn router(state: ApiState) -> Router {
    let body_bytes_max = state.settings.limits.request_bytes;
    let (door, traffic) = (state.door.clone(), state.traffic());
    let api = Router::new()
        .merge(admin_routes(state.settings.plugins.file_bytes))
        .merge(definition_routes())
        .merge(run_routes())
        .merge(work_pool_routes())
        .merge(limit_routes())
        .merge(absent_routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown);
    Router::new()
        .nest("/api", api)
        .route("/ui-settings", get(absent::ui_settings))
        .route("/metrics", get(metrics::scrape))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(middleware::map_response(error::in_shape))
        .layer(middleware::from_fn_with_state(door, door::enter))
        .layer(middleware::map_response(admin::name_version))
        .layer(middleware::from_fn_with_state(traffic, traffic::count))
        .with_state(state)
}

fn admin_routes(file_bytes_max: usize) -> Router<ApiState> {
    Router::new()
        .route("/health", get(admin::health))
        .route("/ready", get(admin::ready))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .route("/docs/{file}", get(openapi::asset))
        .route("/version", get(admin::api_version))
        .route("/admin/version", get(admin::version))
        .route("/hello", get(admin::hello))
        .route("/csrf-token", get(admin::csrf_token))
        .route("/admin/settings", get(absent::settings))
        .route("/events", get(events::stream))
        .route("/events/out", get(sockets::open).layer(Extension(Purpose::EventsOut)))
        .route("/events/in", get(sockets::open).layer(Extension(Purpose::EventsIn)))
        .route("/events/filter", post(prefect_events::kept::filter))
        .route("/events/filter/next", get(prefect_events::kept::next))
        .route("/events/count-by/{countable}", post(prefect_events::count::count))
        .route("/logs/out", get(sockets::open).layer(Extension(Purpose::LogsOut)))
        .route("/runs/{id}/stream", get(events::run_stream))
        .route("/connections", get(admin::connections))
        .route("/store", get(upkeep::read))
        .route("/store/gc", post(upkeep::collect))
        .route("/plugins", get(plugins::list))
        .route(
            "/plugins",
            post(plugins::install).layer(DefaultBodyLimit::max(file_bytes_max)),
        )
        .route("/plugins/{kind}", get(plugins::read))
        .route("/plugins/{kind}/rollback", post(plugins::roll_back))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{id}", delete(keys::revoke))
        .route("/audit", get(audit::list))
}

fn definition_routes() -> Router<ApiState> {
    Router::new()
        .route("/definitions", get(definitions::read))
        .route("/definitions/problems", get(definitions::problems))
        .route("/definitions/apply", post(definitions::apply))
        .route("/flows/filter", post(flows::filter))
        .route("/flows/count", post(flows::count))
        .route("/flows/paginate", post(flows::paginate))
        .route(
            "/flows/{id}",
            get(flows::read).patch(absent::flows).delete(absent::flows),
        )
        .route("/flows/name/{name}", get(flows::read_by_name))
        .route("/deployments/filter", post(deployments::filter))
        .route("/deployments/count", post(deployments::count))
        .route("/deployments/paginate", post(deployments::paginate))
        .route(
            "/deployments/get_scheduled_flow_runs",
            post(schedules::scheduled_of_deployments),
        )
        .route(
            "/deployments/{id}",
            get(deployments::read)
                .patch(schedules::update_deployment)
                .delete(absent::deployments),
        )
        .route("/deployments/{id}/pause_deployment", post(schedules::pause_deployment))
        .route(
            "/deployments/{id}/resume_deployment",
            post(schedules::resume_deployment),
        )
        .route(
            "/deployments/{id}/schedules",
            get(schedules::list).post(schedules::refuse),
        )
        .route(
            "/deployments/{id}/schedules/{schedule}",
            axum::routing::patch(schedules::update).delete(schedules::refuse),
        )
        .route("/hooks/{name}", post(hooks::receive))
        .route("/schedules/preview", post(schedules::try_out))
        .route("/deployments/name/{flow}/{deployment}", get(deployments::read_by_name))
        .route("/deployments/{id}/create_flow_run", post(create::create_flow_run))
        .route("/deployments/{id}/plan", post(plan::plan))
}

fn run_routes() -> Router<ApiState> {
    Router::new()
        .route("/flow_runs/filter", post(flow_runs::filter))
        .route("/flow_runs/count", post(flow_runs::count))
        .route("/flow_runs/paginate", post(flow_runs::paginate))
        .route("/flow_runs/history", post(history::of_flow_runs))
        .route("/flow_runs/lateness", post(history::lateness))
        .route(
            "/flow_runs/{id}",
            get(flow_runs::read).patch(amend::update).delete(flow_runs::delete),
        )
        .route("/flow_runs/{id}/labels", axum::routing::patch(amend::label))
        .route("/flow_runs/{id}/graph-v2", get(graph::read))
        .route("/flow_runs/{id}/set_state", post(set_state::set_state))
        .route("/flow_runs/{id}/resume", post(set_state::resume))
        .route("/flow_runs/{id}/retry", post(again::retry))
        .route("/flow_runs/bulk/cancel", post(bulk::cancel))
        .route("/flow_runs/bulk/retry", post(bulk::retry))
        .route("/flow_runs/bulk/delete", post(bulk::delete))
        .route("/flow_runs/bulk_delete", post(bulk::prefect_delete))
        .route("/flow_runs/bulk_set_state", post(bulk::prefect_set_state))
        .route("/task_runs/filter", post(task_runs::filter))
        .route("/task_runs/count", post(task_runs::count))
        .route("/task_runs/paginate", post(task_runs::paginate))
        .route("/task_runs/history", post(history::of_task_runs))
        .route("/task_runs/{id}", get(task_runs::read))
        .route("/task_runs/{id}/result", get(task_runs::result))
        .route("/task_runs/{id}/signal/{name}", post(signal::signal))
        .route("/task_runs/{id}/mark_done", post(again::mark_done))
        .route("/logs/filter", post(logs::filter))
        .route("/flow_run_states", get(states::of_flow_run))
        .route("/flow_run_states/", get(states::of_flow_run))
        .route("/task_run_states", get(states::of_task_run))
        .route("/task_run_states/", get(states::of_task_run))
}

fn work_pool_routes() -> Router<ApiState> {
    Router::new()
        .route("/work_pools/filter", post(work_pools::filter))
        .route("/work_pools/count", post(work_pools::count))
        .route(
            "/work_pools/{name}",
            get(work_pools::read)
                .patch(work_pools::update)
                .delete(absent::work_pools),
        )
        .route(
            "/work_pools/{name}/get_scheduled_flow_runs",
            post(schedules::scheduled_of_pool),
        )
        .route("/work_pools/{name}/concurrency_status", post(pool_slots::read))
        .route("/work_pools/{name}/workers/filter", post(absent::no_rows))
        .route("/work_pools/{name}/queues/filter", post(work_queues::filter))
        .route(
            "/work_pools/{name}/queues/{queue}",
            get(work_queues::read)
                .patch(work_queues::update)
                .delete(absent::work_queues),
        )
        .route("/work_queues/filter", post(work_queues::filter_all))
        .route("/work_queues/name/{name}", get(work_queues::read_by_name))
        .route("/work_queues/{id}/status", get(work_queues::status))
        .route("/work_queues/{id}/get_runs", post(schedules::scheduled_of_queue))
        .route(
            "/work_queues/{id}",
            get(work_queues::read_by_id)
                .patch(work_queues::update_by_id)
                .delete(absent::work_queues),
        )
}

fn limit_routes() -> Router<ApiState> {
    Router::new()
        .route("/v2/concurrency_limits/", post(concurrency::create))
        .route("/v2/concurrency_limits/filter", post(concurrency::filter))
        .route("/v2/concurrency_limits/increment", post(concurrency::take))
        .route(
            "/v2/concurrency_limits/increment-with-lease",
            post(concurrency::take_with_lease),
        )
        .route("/v2/concurrency_limits/decrement", post(concurrency::give_back))
        .route(
            "/v2/concurrency_limits/decrement-with-lease",
            post(concurrency::end_lease),
        )
        .route("/v2/concurrency_limits/leases/{lease}/renew", post(concurrency::renew))
        .route(
            "/v2/concurrency_limits/{key}",
            get(concurrency::read)
                .patch(concurrency::update)
                .delete(concurrency::delete),
        )
        .route("/concurrency_limits/", post(tag_limits::create))
        .route("/concurrency_limits/filter", post(tag_limits::filter))
        .route(
            "/concurrency_limits/{id}",
            get(tag_limits::read).delete(tag_limits::delete),
        )
        .route(
            "/concurrency_limits/tag/{tag}",
            get(tag_limits::read_by_tag).delete(tag_limits::delete_by_tag),
        )
        .route("/concurrency_limits/tag/{tag}/reset", post(tag_limits::reset))
}

/// What clients of Prefect ask for, and what is not kept here.
fn absent_routes() -> Router<ApiState> {
    Router::new()
        .route("/flows/", post(absent::create_flow))
        .route("/deployments/", post(absent::deployments))
        .route("/work_pools/", post(absent::work_pools))
        .route("/work_pools/{name}/queues", post(absent::work_queues))
        .route("/work_queues/", post(absent::work_queues))
        .route("/flow_runs/", post(absent::runs))
        .route("/task_runs/", post(absent::runs))
        .route("/work_pools/{name}/workers/heartbeat", post(absent::workers))
        .route("/automations/", post(absent::automations))
        .route("/automations/filter", post(absent::no_rows))
        .route("/automations/count", post(absent::zero))
        .route("/automations/related-to/{resource}", get(admin::no_automations))
        .route("/automations/owned-by/{resource}", delete(absent::nothing_owned))
        .route("/variables/", post(absent::variables))
        .route("/variables/filter", post(absent::no_rows))
        .route("/variables/count", post(absent::zero))
        .route("/variables/name/{name}", get(absent::nothing))
        .route("/artifacts/", post(absent::artifacts))
        .route("/artifacts/filter", post(absent::no_rows))
        .route("/artifacts/latest/filter", post(absent::no_rows))
        .route("/artifacts/count", post(absent::zero))
        .route("/artifacts/latest/count", post(absent::zero))
        .route("/artifacts/{id}", get(absent::nothing))
}

async fn unknown(method: Method, uri: Uri) -> Error {
    not_ours(&method, &format!("/api{}", uri.path()))
}

fn not_ours(method: &Method, path: &str) -> Error {
    Error::NotFound(format!("{method} {path} is not part of the API of grepx-host"))
}

async fn nothing_here() -> Error {
    Error::NotFound("There are no pages here: the API is under /api, and `grepx-host --help` lists the commands".into())
}

#[cfg(test)]
mod tests;
