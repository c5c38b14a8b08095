//! Work pools and their queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Blame, Compiler};
use crate::definitions::catalog::{pool_id, queue_id};
use crate::definitions::row::Row;
use crate::definitions::{Pool, Queue, Table};

pub(super) const QUEUE_DEFAULT: &str = "default";
const TYPE_DEFAULT: &str = "process";

impl Compiler<'_> {
    /// Queues that active deployments name, by pool.
    pub(super) fn queues_in_use(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut queues: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in self.rows.table(Table::Deployments).iter().filter(|row| row.is_active()) {
            if let (Ok(Some(pool)), Ok(Some(queue))) = (row.text("work_pool_name"), row.text("work_queue_name")) {
                queues.entry(pool).or_default().insert(queue);
            }
        }
        queues
    }

    pub(super) fn pools(&mut self, in_use: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, Arc<Pool>> {
        let mut pools: BTreeMap<String, Arc<Pool>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let rows = self.rows;
        for row in rows.table(Table::WorkPools) {
            let mut blame = Blame::row(Table::WorkPools, row, None);
            if !self.active(&mut blame, row) {
                continue;
            }
            let Some(name) = self.name(&mut blame, row) else {
                continue;
            };
            if !seen.insert(name.clone()) {
                let message = format!("another row before it is named {name:?} too");
                self.error(&mut blame, "name", message, "rename or deactivate one of them");
                continue;
            }
            if let Some(pool) = self.pool(&mut blame, &name, row, in_use.get(&name)) {
                pools.insert(name, Arc::new(pool));
            }
        }
        pools
    }

    fn pool(&mut self, blame: &mut Blame, name: &str, row: &Row, in_use: Option<&BTreeSet<String>>) -> Option<Pool> {
        let config = self.cell(blame, "config", row.object("config")).unwrap_or_default();
        let queues = self.queues(blame, name, &config, in_use);
        let concurrency_limit = self.limit(blame, row, "concurrency_limit");
        let pool_type = self.cell(blame, "pool_type", row.text("pool_type"));
        let description = self.cell(blame, "description", row.text("description"));
        let paused = self.cell(blame, "paused", row.flag("paused")).unwrap_or(false);
        let created_at = self.created_at(blame, row);
        if blame.errors > 0 {
            return None;
        }
        Some(Pool {
            id: pool_id(name),
            row_id: row.id()?,
            name: name.to_owned(),
            pool_type: pool_type.unwrap_or_else(|| TYPE_DEFAULT.to_owned()),
            description,
            config,
            created_at,
            concurrency_limit,
            paused,
            queues,
        })
    }

    pub(super) fn limit(&mut self, blame: &mut Blame, row: &Row, column: &str) -> Option<u32> {
        let limit = self.cell(blame, column, row.count(column))?;
        u32::try_from(limit)
            .map_err(|_| {
                let help = "write a smaller number, or NULL for no limit";
                self.error(blame, column, format!("{limit} is too large"), help);
            })
            .ok()
    }

    /// Queues of `config.work_queues`, then those in use, then `default`.
    fn queues(
        &mut self,
        blame: &mut Blame,
        pool: &str,
        config: &Map<String, Value>,
        in_use: Option<&BTreeSet<String>>,
    ) -> Vec<Queue> {
        let mut queues: Vec<Queue> = Vec::new();
        let listed = match config.get("work_queues") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items.as_slice(),
            Some(other) => {
                let message = format!("work_queues has to be a list, found {}", crate::yaml::describe(other));
                self.error(blame, "config", message, "write a list of objects with a name");
                &[]
            }
        };
        for (place, item) in listed.iter().enumerate() {
            match queue(pool, item) {
                Ok(queue) if queues.iter().any(|one| one.name == queue.name) => {
                    let message = format!("work_queues names {:?} twice", queue.name);
                    self.error(blame, "config", message, "remove one of them");
                }
                Ok(queue) => queues.push(queue),
                Err(fault) => {
                    let message = format!("work_queues item {}: {fault}", place + 1);
                    self.error(blame, "config", message, "correct the queue");
                }
            }
        }
        let default = [QUEUE_DEFAULT.to_owned()];
        for name in default.iter().chain(in_use.into_iter().flatten()) {
            if queues.iter().any(|one| one.name == *name) {
                continue;
            }
            let last = queues.iter().map(|one| one.priority).max().unwrap_or(0);
            let priority = if name == QUEUE_DEFAULT {
                1
            } else {
                last.saturating_add(1)
            };
            queues.push(new_queue(pool, name, priority));
        }
        queues.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        queues
    }
}

fn new_queue(pool: &str, name: &str, priority: u32) -> Queue {
    Queue {
        id: queue_id(pool, name),
        name: name.to_owned(),
        priority,
        concurrency_limit: None,
        paused: false,
    }
}

/// A name, or an object with `name`, `priority`, `concurrency_limit`, `paused`.
fn queue(pool: &str, item: &Value) -> Result<Queue, String> {
    let map = match item {
        Value::String(name) => return Ok(new_queue(pool, name, 1)),
        Value::Object(map) => map,
        other => {
            return Err(format!(
                "expected an object with a name, found {}",
                crate::yaml::describe(other)
            ));
        }
    };
    let Some(Value::String(name)) = map.get("name") else {
        return Err("it has no name".to_owned());
    };
    let mut queue = new_queue(pool, name, 1);
    let number = |key: &str, value: &Value, from: u64| {
        let number = value
            .as_u64()
            .filter(|number| *number >= from)
            .and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| {
            format!(
                "{key} has to be a whole number from {from}, found {}",
                crate::yaml::describe(value)
            )
        })
    };
    for (key, value) in map {
        match key.as_str() {
            _ if value.is_null() => {}
            "name" | "description" => {}
            "priority" => queue.priority = number(key, value, 1)?,
            "concurrency_limit" => queue.concurrency_limit = Some(number(key, value, 0)?),
            "paused" | "is_paused" => {
                let flag = value.as_bool();
                queue.paused = flag
                    .ok_or_else(|| format!("{key} has to be true or false, found {}", crate::yaml::describe(value)))?;
            }
            other => {
                let known = ["name", "description", "priority", "concurrency_limit", "paused"];
                return Err(format!(
                    "unknown key {:?}{}",
                    crate::yaml::excerpt(other),
                    crate::yaml::did_you_mean(other, known)
                ));
            }
        }
    }
    Ok(queue)
}
