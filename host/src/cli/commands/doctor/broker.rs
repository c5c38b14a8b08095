//! Redis and the workers behind it, for each connection of the configuration.

use super::Finding;
use super::patient::{Connection, Patient};
use crate::broker::{Server, Worker};
use crate::cli::show::size;

/// `RPOP key count`, by which the answers of workers are taken.
const VERSION_MIN: (u32, u32) = (6, 2);
/// Queues and names of a worker that are shown.
const NAMES_SHOWN: usize = 12;

pub(super) fn servers(patient: &Patient) -> Vec<Finding> {
    let connections = match patient.connections() {
        Ok(connections) => connections,
        Err(error) => {
            return vec![Finding::error(
                "celery",
                error,
                "correct celery.broker_url and celery.result_backend",
            )];
        }
    };
    connections
        .iter()
        .flat_map(|(name, one)| of_connection(name, one))
        .collect()
}

fn of_connection(name: &str, connection: &Connection) -> Vec<Finding> {
    let Some(servers) = &connection.servers else {
        return vec![Finding::ok(
            format!("{name} ({})", connection.url),
            "the worker is in the host itself: no Redis is needed",
        )];
    };
    let mut findings = of_side(name, "broker", &connection.url, &servers.broker);
    if connection.result_url == connection.url {
        findings.push(Finding::ok(
            format!("{name} result backend ({})", connection.result_url),
            "the same server; workers have to store their results there (their result_backend)",
        ));
    } else {
        findings.extend(of_side(
            name,
            "result backend",
            &connection.result_url,
            &servers.backend,
        ));
    }
    findings
}

fn of_side(name: &str, side: &str, url: &str, server: &Result<Server, String>) -> Vec<Finding> {
    let place = format!("{name} {side} ({url})");
    match server {
        Ok(server) => judge(&place, server),
        Err(error) => vec![Finding::error(
            place,
            format!("cannot be reached: {error}"),
            "start Redis there (`redis-server`, or the service manager), or correct celery.broker_url \
             (CELERY_BROKER_URL) and celery.result_backend (CELERY_RESULT_BACKEND)",
        )],
    }
}

fn judge(place: &str, server: &Server) -> Vec<Finding> {
    let memory = match server.maxmemory {
        0 => format!("{} used, no limit (maxmemory)", size(server.used_memory)),
        most => format!(
            "{} of {} used, {}",
            size(server.used_memory),
            size(most),
            server.maxmemory_policy
        ),
    };
    let keeps = if server.append_only {
        "append-only file"
    } else {
        "no append-only file"
    };
    let mut findings = vec![Finding::ok(
        place,
        format!("{} {}, {memory}, {keeps}", server.product, server.version),
    )];
    if server.product == "Redis" && version(&server.version).is_some_and(|version| version < VERSION_MIN) {
        findings.push(Finding::error(
            place,
            format!("Redis {} is too old: workers cannot be asked", server.version),
            "use Redis 6.2 or newer, or Valkey",
        ));
    }
    if server.role == "slave" {
        findings.push(Finding::error(
            place,
            "it is a replica and takes no writes",
            "name its master in the configuration",
        ));
    }
    if server.maxmemory > 0 && !server.maxmemory_policy.is_empty() && server.maxmemory_policy != "noeviction" {
        findings.push(Finding::warning(
            place,
            format!(
                "its maxmemory-policy is {}: it forgets messages and results when it is full",
                server.maxmemory_policy
            ),
            "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
        ));
    }
    if server.evicted_keys > 0 {
        findings.push(Finding::warning(
            place,
            format!("it has thrown {} keys away since its start", server.evicted_keys),
            "raise maxmemory, or give Celery a Redis of its own",
        ));
    }
    if server.last_save_failed {
        findings.push(Finding::error(
            place,
            "its last save to disk failed; by default it refuses writes then",
            "look at its log: mostly its disk is full or not writable",
        ));
    }
    findings
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

pub(super) fn workers(patient: &Patient) -> Vec<Finding> {
    let Ok(connections) = patient.connections() else {
        return vec![Finding::ok("workers", "not looked at: see redis")];
    };
    connections
        .iter()
        .flat_map(|(name, one)| listening(name, one))
        .collect()
}

fn listening(name: &str, connection: &Connection) -> Vec<Finding> {
    let place = format!("{name} ({})", connection.url);
    let inspection = match &connection.inspection {
        Some(Ok(inspection)) => inspection,
        None => return vec![Finding::ok(place, "not looked at: see redis")],
        Some(Err(error)) => {
            return vec![Finding::error(
                place,
                format!("workers cannot be asked: {error}"),
                "see what is said of redis",
            )];
        }
    };
    let mut findings: Vec<Finding> = inspection.workers.iter().map(worker).collect();
    if inspection.silent > 0 {
        findings.push(Finding::warning(
            &place,
            format!("{} workers listen and do not answer", inspection.silent),
            "a worker of --pool=solo answers after its task; one that hangs has to be restarted",
        ));
    }
    if inspection.receivers == 0 && connection.servers.is_some() {
        findings.push(Finding::error(
            place,
            "no worker listens",
            "start one: `celery -A APP worker -Q QUEUES` with this broker; workers without remote control \
             (worker_enable_remote_control = False) are not seen",
        ));
    }
    findings
}

fn worker(worker: &Worker) -> Finding {
    let queues = worker.queues.as_ref().map_or_else(
        || "its queues it did not say".to_owned(),
        |queues| format!("reads {}", some(queues)),
    );
    let tasks = worker.tasks.as_ref().map_or_else(
        || "its tasks it did not say".to_owned(),
        |tasks| format!("has registered {}: {}", tasks.len(), some(tasks)),
    );
    Finding::ok(&worker.name, format!("{queues}; {tasks}"))
}

fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
