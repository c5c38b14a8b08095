//! A definition with its expressions compiled, made once per digest.

use std::collections::BTreeSet;
use std::sync::Arc;

use grepx_engine::{Definition, ErrorClass, NodeId, TaskError};

use crate::expressions::{Expression, ExpressionError};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: Arc<Definition>,
    tasks: Vec<TaskPlan>,
    /// Tasks whose result some other task reads.
    used: Vec<bool>,
}

/// The expressions of one task. Definitions are checked when they load, so an error here is that of
/// a definition that an older host took.
#[derive(Debug)]
pub(crate) struct TaskPlan {
    pub(crate) run_if: Option<Result<Expression, TaskError>>,
    pub(crate) for_each: Option<Result<Expression, TaskError>>,
    pub(crate) inputs: Vec<(String, Result<Expression, TaskError>)>,
}

impl Plan {
    pub(crate) fn new(definition: Arc<Definition>) -> Self {
        let compile = |text: &String| Expression::compile(text).map_err(|error| invalid(&error));
        let tasks: Vec<TaskPlan> = definition
            .tasks
            .iter()
            .map(|task| TaskPlan {
                run_if: task.run_if.as_ref().map(compile),
                for_each: task.for_each.as_ref().map(compile),
                inputs: task
                    .inputs
                    .iter()
                    .map(|(name, text)| (name.clone(), compile(text)))
                    .collect(),
            })
            .collect();
        let mut used = vec![false; tasks.len()];
        for name in tasks.iter().flat_map(TaskPlan::reads) {
            if let Some(task) = definition.find(&name) {
                used[task as usize] = true;
            }
        }
        Self {
            definition,
            tasks,
            used,
        }
    }

    pub(crate) fn task(&self, node: NodeId) -> &TaskPlan {
        &self.tasks[node.task as usize]
    }

    /// Tags of the node's task run.
    pub(crate) fn tags(&self, node: NodeId) -> &[String] {
        &self.definition.task(node.task).tags
    }

    /// Whether any task run of the flow has tags.
    pub(crate) fn is_tagged(&self) -> bool {
        self.definition.tasks.iter().any(|task| !task.tags.is_empty())
    }

    /// Whether the result of the node is read by another task of the flow.
    pub(crate) fn is_used(&self, node: NodeId) -> bool {
        self.used[node.task as usize]
    }
}

impl TaskPlan {
    /// The tasks whose results its expressions read.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        let conditions = [&self.run_if, &self.for_each].into_iter().flatten();
        conditions
            .chain(self.inputs.iter().map(|(_, expression)| expression))
            .filter_map(|expression| expression.as_ref().ok())
            .flat_map(|expression| expression.references().iter().cloned())
            .collect()
    }
}

pub(crate) fn invalid(error: &ExpressionError) -> TaskError {
    TaskError::new(ErrorClass::InvalidInput, "expression-failed", error.to_string())
}
