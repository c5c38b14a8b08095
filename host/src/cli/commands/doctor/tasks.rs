//! Each task of each flow: to which queue its kind sends it, and which worker serves it there.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::patient::{Connection, Patient};
use crate::broker::{Inspection, Worker};
use crate::cli::suggest::nearest;
use crate::definitions::{Catalog, Deployment, Flow};
use crate::plugins::Plugins;
use crate::runner::{self, Route};

/// Workers named for one task.
const WORKERS_SHOWN: usize = 4;

/// What is asked of the workers, and for which tasks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    route: Route,
    work_name: String,
}

pub(super) fn tasks(patient: &Patient) -> Vec<Finding> {
    let (Ok(catalog), Ok(loaded), Ok(connections)) = (patient.catalog(), patient.plugins(), patient.connections())
    else {
        return vec![Finding::ok(
            "tasks",
            "not looked at: see definitions, plugins and redis",
        )];
    };
    let mut findings = Vec::new();
    let wanted = loaded.runtime.block_on(wanted(catalog, &loaded.plugins, &mut findings));
    for (wanted, tasks) in &wanted {
        findings.push(of_route(wanted, tasks, connections.get(&wanted.route.connection)));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("tasks", "none of them sends anything to a worker"));
    }
    findings
}

/// Every task of every flow, once for each work queue that it may come through.
async fn wanted(
    catalog: &Catalog,
    plugins: &Plugins,
    findings: &mut Vec<Finding>,
) -> BTreeMap<Wanted, BTreeSet<String>> {
    let mut wanted: BTreeMap<Wanted, BTreeSet<String>> = BTreeMap::new();
    for flow in catalog.flows.values() {
        for deployment in through(catalog, flow) {
            for task in &flow.definition.tasks {
                let place = format!("{}/{}", flow.name, task.name);
                match runner::routes(plugins, &flow.name, task, deployment).await {
                    Ok(routes) => {
                        for route in routes {
                            let work_name = task.work_name.clone().unwrap_or_else(|| task.kind.clone());
                            wanted
                                .entry(Wanted { route, work_name })
                                .or_default()
                                .insert(place.clone());
                        }
                    }
                    Err(problem) => findings.push(Finding::error(
                        place,
                        format!("its kind {} would not start it: {problem}", task.kind),
                        "correct the task's row (task_config, task_args, task_kwargs)",
                    )),
                }
            }
        }
    }
    wanted
}

/// One deployment of the flow for each work queue; none where there is no deployment.
fn through<'a>(catalog: &'a Catalog, flow: &Flow) -> Vec<Option<&'a Deployment>> {
    let mut queues = BTreeSet::new();
    let of_flow = catalog.deployments.iter().filter(|one| one.flow.id == flow.id);
    let chosen: Vec<Option<&Deployment>> = of_flow
        .filter(|one| queues.insert(one.work_queue.as_str()))
        .map(|one| Some(one.as_ref()))
        .collect();
    match chosen.is_empty() {
        true => vec![None],
        false => chosen,
    }
}

fn of_route(wanted: &Wanted, tasks: &BTreeSet<String>, connection: Option<&Connection>) -> Finding {
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let place = tasks.join(", ");
    let Wanted { route, work_name } = wanted;
    let at = format!("{work_name} on queue {} of {}", route.queue, route.connection);
    let Some(connection) = connection else {
        return Finding::error(
            place,
            format!("{at}: there is no such connection"),
            "correct task_config.connection, or add it under connections in the configuration",
        );
    };
    match &connection.inspection {
        None => Finding::ok(place, format!("{at}: not looked at, see redis")),
        Some(Err(error)) => Finding::error(
            place,
            format!("{at}: workers cannot be asked: {error}"),
            "see what is said of redis",
        ),
        // The embedded worker reads every queue.
        Some(Ok(inspection)) => served(place, &at, wanted, inspection, connection.servers.is_none()),
    }
}

fn served(place: String, at: &str, wanted: &Wanted, inspection: &Inspection, any_queue: bool) -> Finding {
    let Wanted { route, work_name } = wanted;
    let names = |workers: &[&Worker]| {
        let shown: Vec<&str> = workers
            .iter()
            .take(WORKERS_SHOWN)
            .map(|worker| worker.name.as_str())
            .collect();
        match workers.len().saturating_sub(WORKERS_SHOWN) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let readers: Vec<&Worker> = inspection
        .workers
        .iter()
        .filter(|worker| any_queue || worker.reads(&route.queue))
        .collect();
    let having: Vec<&Worker> = readers.iter().copied().filter(|worker| worker.has(work_name)).collect();
    if !having.is_empty() {
        return Finding::ok(place, format!("{at}: served by {}", names(&having)));
    }
    if inspection.silent > 0 {
        return Finding::warning(
            place,
            format!(
                "{at}: no worker that answered serves it, and {} did not answer",
                inspection.silent
            ),
            "ask again when they are less busy",
        );
    }
    if inspection.workers.is_empty() {
        return Finding::error(
            place,
            format!("{at}: no worker listens"),
            format!("start a worker with -Q {}", route.queue),
        );
    }
    if readers.is_empty() {
        return Finding::error(
            place,
            format!("{at}: no worker reads that queue"),
            format!(
                "start a worker with -Q {}, or correct the queue (task_config.queue, the deployment's work queue, \
                 celery.queues)",
                route.queue
            ),
        );
    }
    let registered = readers
        .iter()
        .flat_map(|worker| worker.tasks.iter().flatten().map(String::as_str));
    let help = match nearest(work_name, registered) {
        Some(near) => format!("did you mean {near:?}? correct celery_task_name, or register the task in the worker"),
        None => "register the task in the worker, or correct celery_task_name".to_owned(),
    };
    Finding::error(
        place,
        format!("{at}: {} read it and have no task of that name", names(&readers)),
        help,
    )
}

#[cfg(test)]
mod tests;
