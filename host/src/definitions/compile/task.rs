//! One task: its columns, its kind's opinion, its expressions.

use grepx_engine::{Json, Task, TriggerRule};
use serde_json::{Map, Value, json};

use super::kind::retry_config;
use super::{Blame, Compiler, KindProblem, quoted};
use crate::definitions::row::Row;
use crate::expressions::Expression;
use crate::yaml::nearest;

const KIND_DEFAULT: &str = "celery";
/// The original's, in seconds.
const TIMEOUT_DEFAULT: u64 = 300;

/// A task before its edges are known.
pub(super) struct Draft {
    pub(super) task: Task,
    pub(super) depends_on: Vec<String>,
    /// (column, task) of each `results.<task>` in an expression.
    pub(super) references: Vec<(&'static str, String)>,
    pub(super) blame: Blame,
}

impl Compiler<'_> {
    pub(super) fn task(&mut self, blame: &mut Blame, row: &Row) -> Option<Draft> {
        let active = self.cell(blame, "is_active", row.flag("is_active"));
        debug_assert_ne!(active, Some(false), "only active tasks are compiled");
        let name = self.name(blame, row)?;
        let kind = self.cell(blame, "task_kind", row.text("task_kind"));
        let mut task = Task::new(name, kind.unwrap_or_else(|| KIND_DEFAULT.to_owned()));
        task.description = self.cell(blame, "description", row.text("description"));
        task.work_name = self.cell(blame, "celery_task_name", row.text("celery_task_name"));
        task.tags = self.cell(blame, "tags", row.texts("tags"));
        let args = Value::Array(self.cell(blame, "task_args", row.list("task_args")).unwrap_or_default());
        let kwargs = Value::Object(
            self.cell(blame, "task_kwargs", row.object("task_kwargs"))
                .unwrap_or_default(),
        );
        let config = self
            .cell(blame, "task_config", row.json("task_config"))
            .unwrap_or_else(|| json!({}));
        let retry = self
            .cell(blame, "retry_config", row.object("retry_config"))
            .unwrap_or_default();
        let retry = self.retry(blame, retry);
        let timeout = self.cell(blame, "timeout_seconds", row.count("timeout_seconds"));
        // As in the original: 0 is no limit, NULL is the default.
        task.timeout_seconds = Some(timeout.unwrap_or(TIMEOUT_DEFAULT)).filter(|seconds| *seconds > 0);
        task.trigger_rule = self.trigger_rule(blame, row);
        let depends_on = self.cell(blame, "depends_on", row.texts("depends_on"));
        let readable = blame.errors == 0;
        let references = self.expressions(blame, row, &mut task);
        if readable {
            let document = json!({"name": task.work_name, "args": args, "kwargs": kwargs, "config": config});
            self.kind(blame, &task, &document);
        }
        task.args = Json::from(&args);
        task.kwargs = Json::from(&kwargs);
        task.config = Json::from(&config);
        task.retry_config = Json::from(&retry);
        Some(Draft {
            task,
            depends_on,
            references,
            blame: super::flow::copy(blame),
        })
    }

    fn retry(&mut self, blame: &mut Blame, config: Map<String, Value>) -> Value {
        let faults = retry_config(&config);
        let config = Value::Object(config);
        if faults.is_empty() && config != json!({}) {
            for fault in self.kinds.check_retry(&config) {
                let help = "correct it; the README of the kind that judges failures has the keys";
                self.error(
                    blame,
                    "retry_config",
                    format!("does not fit the retry policy: {fault}"),
                    help,
                );
            }
        }
        for (key, message) in faults {
            self.error(blame, "retry_config", message, format!("correct {key}, or remove it"));
        }
        config
    }

    fn trigger_rule(&mut self, blame: &mut Blame, row: &Row) -> TriggerRule {
        let Some(word) = self.cell(blame, "trigger_rule", row.text("trigger_rule")) else {
            return TriggerRule::default();
        };
        TriggerRule::parse(word.trim()).unwrap_or_else(|| {
            let known = || TriggerRule::ALL.iter().map(|(name, _)| *name);
            let help = match nearest(&word, known()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write one of {}", quoted(known())),
            };
            self.error(
                blame,
                "trigger_rule",
                format!("there is no trigger rule {word:?}"),
                help,
            );
            TriggerRule::default()
        })
    }

    fn expressions(&mut self, blame: &mut Blame, row: &Row, task: &mut Task) -> Vec<(&'static str, String)> {
        let mut references = Vec::new();
        task.for_each = self.cell(blame, "for_each", row.text("for_each"));
        task.run_if = self.cell(blame, "run_if", row.text("run_if"));
        for (column, source) in [("run_if", &task.run_if), ("for_each", &task.for_each)] {
            if let Some(source) = source {
                self.expression(blame, column, "", source, false, &mut references);
            }
        }
        let mapped = task.for_each.is_some();
        let inputs: Map<String, Value> = self.cell(blame, "inputs", row.object("inputs")).unwrap_or_default();
        for (argument, source) in inputs {
            let Value::String(source) = source else {
                let message = format!(
                    "the expression of {argument:?} has to be a text, found {}",
                    crate::yaml::describe(&source)
                );
                let help = "write the value as an expression in quotes, or put it into task_kwargs";
                self.error(blame, "inputs", message, help);
                continue;
            };
            self.expression(blame, "inputs", &argument, &source, mapped, &mut references);
            task.inputs.push((argument, source));
        }
        references
    }

    fn expression(
        &mut self,
        blame: &mut Blame,
        column: &'static str,
        argument: &str,
        source: &str,
        mapped: bool,
        references: &mut Vec<(&'static str, String)>,
    ) {
        let of = if argument.is_empty() {
            String::new()
        } else {
            format!("{argument:?}: ")
        };
        match Expression::compile(source) {
            Err(error) => self.error(blame, column, format!("{of}{error}"), "correct the expression"),
            Ok(expression) => {
                if expression.uses("item") && !mapped {
                    let message = format!("{of}item is known only in the inputs of a task with for_each");
                    self.error(blame, column, message, "add for_each, or remove item");
                }
                let found = expression.references().iter().map(|name| (column, name.clone()));
                references.extend(found);
            }
        }
    }

    fn kind(&mut self, blame: &mut Blame, task: &Task, document: &Value) {
        match self.kinds.check(&task.kind, document, !task.inputs.is_empty()) {
            Ok(()) => {}
            Err(KindProblem::Unknown { known }) => {
                let help = match nearest(&task.kind, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if known.is_empty() => "no plugin is loaded; put one into the plugin directory".to_owned(),
                    None => format!("loaded are {}", quoted(known.iter().map(String::as_str))),
                };
                self.error(
                    blame,
                    "task_kind",
                    format!("no plugin has the kind {:?}", task.kind),
                    help,
                );
            }
            Err(KindProblem::Input(faults)) => {
                for fault in faults {
                    let message = format!("does not fit the kind {:?}: {fault}", task.kind);
                    self.error(blame, column_of(&fault), message, "correct the arguments of the task");
                }
            }
        }
    }
}

/// The column that a fault in the input document most likely means, by the pointer in its text.
fn column_of(fault: &str) -> &'static str {
    [
        ("/kwargs", "task_kwargs"),
        ("/args", "task_args"),
        ("/config", "task_config"),
        ("/name", "celery_task_name"),
    ]
    .iter()
    .find(|(pointer, _)| fault.contains(pointer))
    .map_or("", |(_, column)| *column)
}
