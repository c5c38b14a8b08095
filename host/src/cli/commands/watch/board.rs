//! What is known of a flow run that is watched: its tasks in order, each with the last that was told
//! of it. Telling something again changes nothing.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::cli::show::text;

#[derive(Debug)]
pub(super) struct Board {
    pub(super) run: Value,
    pub(super) entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

/// A task of the flow.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) upstreams: Vec<String>,
    /// Its task run, once there is one.
    pub(super) own: Option<Value>,
    /// With `for_each`, a task run for each item.
    pub(super) items: BTreeMap<u64, Value>,
}

/// How many of the items are where.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
}

impl Board {
    /// `plan` is that of the deployment; tasks that it does not name are added as they come.
    pub(super) fn new(run: &Value, plan: Option<Value>) -> Self {
        let mut board = Self {
            run: run.clone(),
            entries: Vec::new(),
            places: HashMap::new(),
        };
        let tasks = plan.as_ref().map(|plan| &plan["tasks"]);
        for task in tasks.and_then(Value::as_array).into_iter().flatten() {
            let upstreams = task["upstreams"].as_array().into_iter().flatten();
            let upstreams = upstreams.filter_map(Value::as_str).map(str::to_owned).collect();
            board.entry(&text(task, "name")).upstreams = upstreams;
        }
        board
    }

    pub(super) fn take(&mut self, kind: &str, data: Value) {
        match kind {
            "flow_run" => merge(&mut self.run, data),
            "task_run" => {
                let name = text(&data, "name");
                let index = data["index"].as_u64();
                // An item may be named after its task: `load[3]`.
                let name = match index {
                    Some(index) => name.strip_suffix(&format!("[{index}]")).unwrap_or(&name).to_owned(),
                    None => name,
                };
                let entry = self.entry(&name);
                match index {
                    Some(index) => drop(entry.items.insert(index, data)),
                    None => entry.own = Some(data),
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        let place = *self.places.entry(name.to_owned()).or_insert_with(|| {
            self.entries.push(Entry {
                name: name.to_owned(),
                ..Entry::default()
            });
            self.entries.len() - 1
        });
        &mut self.entries[place]
    }

    /// Tasks that have ended, of all.
    pub(super) fn progress(&self) -> (usize, usize) {
        let done = self.entries.iter().filter(|entry| entry.is_over()).count();
        (done, self.entries.len())
    }

    /// Upstreams of an entry that have not ended yet.
    pub(super) fn waits_for<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a str> {
        entry.upstreams.iter().map(String::as_str).filter(|upstream| {
            let place = self.places.get(*upstream);
            place.is_none_or(|place| !self.entries[*place].is_over())
        })
    }
}

impl Entry {
    pub(super) fn is_over(&self) -> bool {
        self.own.as_ref().is_some_and(is_over)
            || (self.own.is_none() && !self.items.is_empty() && self.items.values().all(is_over))
    }

    pub(super) fn count(&self) -> Count {
        let mut count = Count {
            all: self.items.len(),
            ..Count::default()
        };
        for item in self.items.values() {
            match item["state"]["type"].as_str() {
                Some("COMPLETED" | "CANCELLED") => count.done += 1,
                Some("FAILED" | "CRASHED") => {
                    count.done += 1;
                    count.failed += 1;
                }
                Some("RUNNING") => count.running += 1,
                _ => {}
            }
        }
        count
    }

    /// The item that says most of why it is not done: one that waits to be tried again, or runs.
    pub(super) fn telling(&self) -> Option<&Value> {
        let open = || self.items.values().filter(|item| !is_over(item));
        let retrying = open().find(|item| item["state"]["name"] == "AwaitingRetry");
        retrying.or_else(|| open().find(|item| item["state"]["type"] == "RUNNING"))
    }
}

pub(super) fn is_over(run: &Value) -> bool {
    matches!(
        run["state"]["type"].as_str(),
        Some("COMPLETED" | "FAILED" | "CANCELLED" | "CRASHED")
    )
}

/// What a change does not say stays.
fn merge(run: &mut Value, change: Value) {
    let Value::Object(change) = change else { return };
    // Why it waits is over when the change does not say it again.
    run["reason"] = Value::Null;
    for (key, value) in change.into_iter().filter(|(_, value)| !value.is_null()) {
        run[key] = value;
    }
}

#[cfg(test)]
mod tests;
