//! A flow as the engine runs it: tasks by index, edges in both directions, checked to be a DAG.
//! Immutable; a run keeps the one that it started with, known by its digest.
//!
//! Absent on purpose: where it came from (rows, YAML), whether its kinds exist, what its
//! expressions mean.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerRule {
    /// Every upstream completed. The rule of the original.
    #[default]
    AllSuccess,
    /// Every upstream ended, no matter how.
    AllDone,
    /// As soon as one upstream completed.
    OneSuccess,
    /// As soon as one upstream failed.
    OneFailed,
    /// Every upstream ended and none failed: completed or skipped.
    NoneFailed,
    /// Every upstream ended, no matter how, and also while the flow run is being cancelled or has
    /// timed out: for clean-up.
    Always,
}

impl TriggerRule {
    pub const ALL: [(&'static str, Self); 6] = [
        ("all_success", Self::AllSuccess),
        ("all_done", Self::AllDone),
        ("one_success", Self::OneSuccess),
        ("one_failed", Self::OneFailed),
        ("none_failed", Self::NoneFailed),
        ("always", Self::Always),
    ];

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, rule)| *rule)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, rule)| *rule == self)
            .map_or("all_success", |(name, _)| name)
    }
}

/// One task. Expressions and JSON are the shell's to evaluate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The task kind: which plugin runs it.
    pub kind: String,
    /// `celery_task_name`: what the kind is asked to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_name: Option<String>,
    pub args: Json,
    pub kwargs: Json,
    pub config: Json,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub upstreams: Vec<u32>,
    #[serde(skip)]
    pub downstreams: Vec<u32>,
    #[serde(default)]
    pub trigger_rule: TriggerRule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_if: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// Argument name → expression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<(String, String)>,
    pub retry_config: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

impl Task {
    /// A task with nothing but a name and a kind.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        let object = Json::from(&serde_json::json!({}));
        Self {
            name: name.into(),
            description: None,
            kind: kind.into(),
            work_name: None,
            args: Json::from(&serde_json::json!([])),
            kwargs: object.clone(),
            config: object.clone(),
            tags: Vec::new(),
            upstreams: Vec::new(),
            downstreams: Vec::new(),
            trigger_rule: TriggerRule::default(),
            run_if: None,
            for_each: None,
            inputs: Vec::new(),
            retry_config: object,
            timeout_seconds: None,
        }
    }
}

/// A flow, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Definition {
    pub flow: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    pub tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Parts {
    flow: String,
    #[serde(default)]
    timeout_ms: Option<u64>,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDefinition {
    #[error("task {task:?} depends on task number {upstream}, which does not exist")]
    UnknownUpstream { task: String, upstream: u32 },
    #[error("tasks depend on each other in a circle: {}", .path.join(" → "))]
    Cycle { path: Vec<String> },
    #[error("two tasks are named {name:?}")]
    Duplicate { name: String },
    #[error("a flow may have at most {limit} tasks, this one has {tasks}")]
    TooManyTasks { tasks: usize, limit: usize },
}

/// Tasks of one flow at most.
pub const TASKS_MAX: usize = 100_000;

impl Definition {
    /// Links the edges backwards and checks that they form a DAG.
    ///
    /// # Errors
    /// For an edge to nowhere, a circle (with its path), or a name that stands twice.
    pub fn new(
        flow: impl Into<String>,
        timeout_ms: Option<u64>,
        mut tasks: Vec<Task>,
    ) -> Result<Self, InvalidDefinition> {
        if tasks.len() > TASKS_MAX {
            return Err(InvalidDefinition::TooManyTasks {
                tasks: tasks.len(),
                limit: TASKS_MAX,
            });
        }
        link(&mut tasks)?;
        if let Some(path) = cycle(&tasks) {
            return Err(InvalidDefinition::Cycle { path });
        }
        Ok(Self {
            flow: flow.into(),
            timeout_ms,
            tasks,
        })
    }

    #[must_use]
    pub fn task(&self, task: u32) -> &Task {
        &self.tasks[task as usize]
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        let place = self.tasks.iter().position(|task| task.name == name)?;
        u32::try_from(place).ok()
    }

    /// Every task above `task`, nearest first.
    #[must_use]
    pub fn ancestors(&self, task: u32) -> Vec<u32> {
        self.reach(task, |task| &task.upstreams, |_| true)
    }

    /// Every task below `task` that is reached through tasks that pass, nearest first.
    pub(crate) fn descendants(&self, task: u32, passes: impl Fn(u32) -> bool) -> Vec<u32> {
        self.reach(task, |task| &task.downstreams, passes)
    }

    fn reach(&self, from: u32, next: impl Fn(&Task) -> &[u32], passes: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut seen = vec![false; self.tasks.len()];
        let mut queue: VecDeque<u32> = next(self.task(from)).iter().copied().collect();
        let mut found = Vec::new();
        while let Some(at) = queue.pop_front() {
            if !std::mem::replace(&mut seen[at as usize], true) && passes(at) {
                found.push(at);
                queue.extend(next(self.task(at)));
            }
        }
        found
    }
}

impl TryFrom<Parts> for Definition {
    type Error = InvalidDefinition;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        Self::new(parts.flow, parts.timeout_ms, parts.tasks)
    }
}

fn link(tasks: &mut [Task]) -> Result<(), InvalidDefinition> {
    let mut names = HashMap::with_capacity(tasks.len());
    let mut edges = Vec::new();
    for (place, task) in (0_u32..).zip(tasks.iter_mut()) {
        if names.insert(task.name.clone(), place).is_some() {
            return Err(InvalidDefinition::Duplicate {
                name: task.name.clone(),
            });
        }
        task.downstreams.clear();
        task.upstreams.sort_unstable();
        task.upstreams.dedup();
        edges.extend(task.upstreams.iter().map(|upstream| (*upstream, place)));
    }
    for (upstream, place) in edges {
        if upstream as usize >= tasks.len() {
            return Err(InvalidDefinition::UnknownUpstream {
                task: tasks[place as usize].name.clone(),
                upstream,
            });
        }
        tasks[upstream as usize].downstreams.push(place);
    }
    Ok(())
}

/// Kahn's order; what is left over holds a circle, which is then walked upstream.
fn cycle(tasks: &[Task]) -> Option<Vec<String>> {
    let mut open: Vec<usize> = tasks.iter().map(|task| task.upstreams.len()).collect();
    let mut free: Vec<usize> = (0..tasks.len()).filter(|task| open[*task] == 0).collect();
    while let Some(task) = free.pop() {
        for &next in &tasks[task].downstreams {
            open[next as usize] -= 1;
            if open[next as usize] == 0 {
                free.push(next as usize);
            }
        }
    }
    let start = open.iter().position(|left| *left > 0)?;
    let mut walk = Vec::new();
    let mut at = start;
    while !walk.contains(&at) {
        walk.push(at);
        at = *tasks[at].upstreams.iter().find(|up| open[**up as usize] > 0)? as usize;
    }
    let first = walk.iter().position(|seen| *seen == at)?;
    let mut path: Vec<String> = walk[first..].iter().map(|task| tasks[*task].name.clone()).collect();
    path.push(tasks[at].name.clone());
    Some(path)
}

#[cfg(test)]
mod tests;
