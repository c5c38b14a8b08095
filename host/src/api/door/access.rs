//! Which endpoint needs which scope, and which ones change something: one table. What is not in it
//! is refused, whoever asks.

use axum::http::Method;

use crate::store::Scope;

#[derive(Debug)]
pub(crate) struct Rule {
    method: &'static str,
    pub(crate) route: &'static str,
    /// `None`: everybody.
    pub(crate) scope: Option<Scope>,
    /// Is written into the audit log.
    pub(crate) changes: bool,
    /// Takes a large body, or compiles.
    pub(crate) slow: bool,
    /// A WebSocket: its first message may show what its request did not.
    pub(crate) socket: bool,
}

impl Rule {
    pub(crate) fn is(&self, method: &str, route: &str) -> bool {
        self.method == method && self.route == route
    }

    #[cfg(test)]
    pub(crate) fn method(&self) -> &'static str {
        self.method
    }
}

/// What the table says about a request.
#[derive(Debug)]
pub(super) enum Found {
    Rule(&'static Rule),
    /// There is no such route: whoever may read is told so.
    Nothing,
    /// There is, by other methods.
    OtherMethod,
    /// A route that the table does not know.
    Forgotten,
}

const GET: &str = "GET";
const POST: &str = "POST";
const PATCH: &str = "PATCH";
const DELETE: &str = "DELETE";

const fn open(method: &'static str, route: &'static str) -> Rule {
    Rule {
        method,
        route,
        scope: None,
        changes: false,
        slow: false,
        socket: false,
    }
}

const fn sees(method: &'static str, route: &'static str, scope: Scope) -> Rule {
    Rule {
        scope: Some(scope),
        ..open(method, route)
    }
}

const fn read(method: &'static str, route: &'static str) -> Rule {
    sees(method, route, Scope::Read)
}

const fn change(method: &'static str, route: &'static str, scope: Scope) -> Rule {
    Rule {
        changes: true,
        ..sees(method, route, scope)
    }
}

const fn run(method: &'static str, route: &'static str) -> Rule {
    change(method, route, Scope::Run)
}

const fn admin(method: &'static str, route: &'static str) -> Rule {
    change(method, route, Scope::Admin)
}

const fn slow(rule: Rule) -> Rule {
    Rule { slow: true, ..rule }
}

const fn socket(route: &'static str, scope: Scope) -> Rule {
    Rule {
        socket: true,
        ..sees(GET, route, scope)
    }
}

#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    open(GET, "/api/health"),
    open(GET, "/api/ready"),
    // A browser shows no key when it opens a page; what they say is the same on every host.
    open(GET, "/api/openapi.json"),
    open(GET, "/api/docs"),
    open(GET, "/api/docs/{file}"),
    read(GET, "/metrics"),
    read(GET, "/api/version"),
    read(GET, "/api/admin/version"),
    read(GET, "/api/hello"),
    read(GET, "/api/csrf-token"),
    read(GET, "/ui-settings"),
    sees(GET, "/api/admin/settings", Scope::Admin),
    read(GET, "/api/events"),
    socket("/api/events/out", Scope::Read),
    // Others are told what is sent here.
    socket("/api/events/in", Scope::Run),
    read(POST, "/api/events/filter"),
    read(GET, "/api/events/filter/next"),
    read(POST, "/api/events/count-by/{countable}"),
    socket("/api/logs/out", Scope::Read),
    read(GET, "/api/runs/{id}/stream"),
    read(GET, "/api/connections"),
    read(GET, "/api/definitions"),
    read(GET, "/api/definitions/problems"),
    slow(admin(POST, "/api/definitions/apply")),

    read(POST, "/api/flows/filter"),
    read(POST, "/api/flows/count"),
    read(POST, "/api/flows/paginate"),
    read(GET, "/api/flows/{id}"),
    run(PATCH, "/api/flows/{id}"),
    run(DELETE, "/api/flows/{id}"),
    read(GET, "/api/flows/name/{name}"),

    read(POST, "/api/deployments/filter"),
    read(POST, "/api/deployments/count"),
    read(POST, "/api/deployments/paginate"),
    read(POST, "/api/deployments/get_scheduled_flow_runs"),
    read(GET, "/api/deployments/{id}"),
    run(PATCH, "/api/deployments/{id}"),
    run(DELETE, "/api/deployments/{id}"),
    run(POST, "/api/deployments/{id}/pause_deployment"),
    run(POST, "/api/deployments/{id}/resume_deployment"),
    read(GET, "/api/deployments/{id}/schedules"),
    run(POST, "/api/deployments/{id}/schedules"),
    run(PATCH, "/api/deployments/{id}/schedules/{schedule}"),
    run(DELETE, "/api/deployments/{id}/schedules/{schedule}"),
    read(GET, "/api/deployments/name/{flow}/{deployment}"),
    run(POST, "/api/deployments/{id}/create_flow_run"),
    // It shows parameters and starts nothing.
    read(POST, "/api/deployments/{id}/plan"),
    read(POST, "/api/schedules/preview"),
    // Its signature is the credential. Not in the audit log: strangers could fill it, and the runs
    // that hooks start say which hook it was.
    open(POST, "/api/hooks/{name}"),

    read(POST, "/api/flow_runs/filter"),
    read(POST, "/api/flow_runs/count"),
    read(POST, "/api/flow_runs/paginate"),
    read(POST, "/api/flow_runs/history"),
    read(POST, "/api/flow_runs/lateness"),
    read(GET, "/api/flow_runs/{id}"),
    run(PATCH, "/api/flow_runs/{id}"),
    run(PATCH, "/api/flow_runs/{id}/labels"),
    read(GET, "/api/flow_runs/{id}/graph-v2"),
    // What happened goes with it.
    admin(DELETE, "/api/flow_runs/{id}"),
    run(POST, "/api/flow_runs/{id}/set_state"),
    run(POST, "/api/flow_runs/{id}/resume"),
    run(POST, "/api/flow_runs/{id}/retry"),
    run(POST, "/api/flow_runs/bulk/cancel"),
    run(POST, "/api/flow_runs/bulk/retry"),
    admin(POST, "/api/flow_runs/bulk/delete"),
    admin(POST, "/api/flow_runs/bulk_delete"),
    run(POST, "/api/flow_runs/bulk_set_state"),
    read(GET, "/api/flow_run_states"),
    read(GET, "/api/flow_run_states/"),

    read(POST, "/api/task_runs/filter"),
    read(POST, "/api/task_runs/count"),
    read(POST, "/api/task_runs/paginate"),
    read(POST, "/api/task_runs/history"),
    read(GET, "/api/task_runs/{id}"),
    read(GET, "/api/task_runs/{id}/result"),
    run(POST, "/api/task_runs/{id}/signal/{name}"),
    run(POST, "/api/task_runs/{id}/mark_done"),
    read(GET, "/api/task_run_states"),
    read(GET, "/api/task_run_states/"),
    read(POST, "/api/logs/filter"),

    read(POST, "/api/work_pools/filter"),
    read(POST, "/api/work_pools/count"),
    read(GET, "/api/work_pools/{name}"),
    run(PATCH, "/api/work_pools/{name}"),
    run(DELETE, "/api/work_pools/{name}"),
    read(POST, "/api/work_pools/{name}/concurrency_status"),
    read(POST, "/api/work_pools/{name}/workers/filter"),
    read(POST, "/api/work_pools/{name}/get_scheduled_flow_runs"),
    read(POST, "/api/work_pools/{name}/queues/filter"),
    read(GET, "/api/work_pools/{name}/queues/{queue}"),
    run(PATCH, "/api/work_pools/{name}/queues/{queue}"),
    run(DELETE, "/api/work_pools/{name}/queues/{queue}"),
    read(POST, "/api/work_queues/filter"),
    read(GET, "/api/work_queues/{id}"),
    run(PATCH, "/api/work_queues/{id}"),
    run(DELETE, "/api/work_queues/{id}"),
    read(GET, "/api/work_queues/name/{name}"),
    read(GET, "/api/work_queues/{id}/status"),
    read(POST, "/api/work_queues/{id}/get_runs"),

    run(POST, "/api/v2/concurrency_limits/"),
    read(POST, "/api/v2/concurrency_limits/filter"),
    read(GET, "/api/v2/concurrency_limits/{key}"),
    run(PATCH, "/api/v2/concurrency_limits/{key}"),
    run(DELETE, "/api/v2/concurrency_limits/{key}"),
    // Programs take slots by the thousand, and hold them for moments: nothing for the audit log.
    sees(POST, "/api/v2/concurrency_limits/increment", Scope::Run),
    sees(POST, "/api/v2/concurrency_limits/increment-with-lease", Scope::Run),
    sees(POST, "/api/v2/concurrency_limits/decrement", Scope::Run),
    sees(POST, "/api/v2/concurrency_limits/decrement-with-lease", Scope::Run),
    sees(POST, "/api/v2/concurrency_limits/leases/{lease}/renew", Scope::Run),
    run(POST, "/api/concurrency_limits/"),
    read(POST, "/api/concurrency_limits/filter"),
    read(GET, "/api/concurrency_limits/{id}"),
    run(DELETE, "/api/concurrency_limits/{id}"),
    read(GET, "/api/concurrency_limits/tag/{tag}"),
    run(DELETE, "/api/concurrency_limits/tag/{tag}"),
    run(POST, "/api/concurrency_limits/tag/{tag}/reset"),

    run(POST, "/api/flows/"),
    run(POST, "/api/deployments/"),
    run(POST, "/api/work_pools/"),
    run(POST, "/api/work_pools/{name}/queues"),
    run(POST, "/api/work_queues/"),
    run(POST, "/api/flow_runs/"),
    run(POST, "/api/task_runs/"),
    run(POST, "/api/work_pools/{name}/workers/heartbeat"),
    run(POST, "/api/automations/"),
    read(POST, "/api/automations/filter"),
    read(POST, "/api/automations/count"),
    read(GET, "/api/automations/related-to/{resource}"),
    run(DELETE, "/api/automations/owned-by/{resource}"),
    run(POST, "/api/variables/"),
    read(POST, "/api/variables/filter"),
    read(POST, "/api/variables/count"),
    read(GET, "/api/variables/name/{name}"),
    run(POST, "/api/artifacts/"),
    read(POST, "/api/artifacts/filter"),
    read(POST, "/api/artifacts/latest/filter"),
    read(POST, "/api/artifacts/count"),
    read(POST, "/api/artifacts/latest/count"),
    read(GET, "/api/artifacts/{id}"),

    read(GET, "/api/plugins"),
    slow(admin(POST, "/api/plugins")),
    read(GET, "/api/plugins/{kind}"),
    slow(admin(POST, "/api/plugins/{kind}/rollback")),

    read(GET, "/api/store"),
    slow(admin(POST, "/api/store/gc")),

    sees(GET, "/api/keys", Scope::Admin),
    admin(POST, "/api/keys"),
    admin(DELETE, "/api/keys/{id}"),
    sees(GET, "/api/audit", Scope::Admin),
];

/// `matched` is the pattern of the route that the router has found.
pub(super) fn find(method: &Method, matched: Option<&str>) -> Found {
    // The router's own name for a path that no route has.
    let Some(route) = matched.filter(|route| !route.contains("__private__axum_fallback")) else {
        return Found::Nothing;
    };
    let method = match method {
        &Method::HEAD => GET,
        other => other.as_str(),
    };
    let mut of_route = RULES.iter().filter(|rule| rule.route == route).peekable();
    if of_route.peek().is_none() {
        return Found::Forgotten;
    }
    of_route
        .find(|rule| rule.method == method)
        .map_or(Found::OtherMethod, Found::Rule)
}

/// Those that a route has, as the header Allow lists them.
pub(super) fn methods(matched: Option<&str>) -> String {
    let rules = RULES.iter().filter(|rule| matched == Some(rule.route));
    rules.map(|rule| rule.method).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
