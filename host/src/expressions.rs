//! The expressions of `inputs`, `run_if`, `for_each` and of webhooks: minijinja, and nothing but
//! values in and a value out.
//!
//! Those of tasks know five names: `results.<task>`, `params`, `run`, `task` and `item`. `results`
//! is never used as a whole, so what an expression needs is known before it runs and can be checked
//! when the definitions load. Those of webhooks know `body`, `headers` and `query`.
//!
//! Absent on purpose: templates, includes, files, the clock, randomness. Every evaluation has a
//! step limit and its value a size limit.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Number, Value};

mod references;

/// Names that an expression of a webhook may use.
pub const HOOK_NAMES: [&str; 3] = ["body", "headers", "query"];
/// Names that an expression of a task may use.
pub const NAMES: [&str; 5] = ["results", "params", "run", "task", "item"];
/// Instructions of one evaluation at most.
const FUEL: u64 = 1_000_000;
/// Bytes of an expression at most.
const SOURCE_BYTES_MAX: usize = 16 * 1024;
/// Single values that an expression may yield at most, counting those inside of lists and objects.
const VALUES_MAX: usize = 1_000_000;
/// Nesting of the value that it yields at most.
const DEPTH_MAX: usize = 128;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.remove_global("debug");
    environment
});

/// One expression, checked.
pub struct Expression {
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
    references: BTreeSet<String>,
    names: BTreeSet<&'static str>,
}

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The result of a task by name; asked only for what the expression refers to. `None` is a
    /// task without a result: it was skipped, or it failed.
    pub results: &'a dyn Fn(&str) -> Option<Value>,
    pub params: &'a Value,
    pub run: &'a Value,
    pub task: &'a Value,
    /// The item of a `for_each`.
    pub item: Option<&'a Value>,
}

/// Why an expression is refused, or has no value. One line for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("the expression {source_text:?} is not valid: {reason}")]
    Syntax { source_text: String, reason: String },
    #[error("the expression {source_text:?} uses {name:?}, which is not known here; known are {known}")]
    UnknownName {
        source_text: String,
        name: String,
        known: &'static str,
    },
    #[error(
        "the expression {source_text:?} uses results as a whole; name one task, as in results.some_task or results[\"some-task\"]"
    )]
    WholeResults { source_text: String },
    #[error("the expression is {bytes} bytes long, {limit} are allowed; move the work into a task of kind transform")]
    TooLong { bytes: usize, limit: usize },
    #[error("the expression {source_text:?} failed: {reason}")]
    Failed { source_text: String, reason: String },
    #[error("the expression {source_text:?} did not end within {limit} steps")]
    OutOfFuel { source_text: String, limit: u64 },
    #[error("the expression {source_text:?} has no JSON value: {reason}")]
    NoJson { source_text: String, reason: String },
    #[error("the expression {source_text:?} has to be {expected}, but yields {found}")]
    Type {
        source_text: String,
        expected: &'static str,
        found: String,
    },
}

impl Expression {
    /// # Errors
    /// When `source` is no expression, or uses other names than [`NAMES`].
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        Self::over(source, &NAMES, "results.<task>, params, run, task and item")
    }

    /// # Errors
    /// When `source` is no expression, or uses other names than [`HOOK_NAMES`].
    pub fn compile_for_hook(source: &str) -> Result<Self, ExpressionError> {
        Self::over(source, &HOOK_NAMES, "body, headers and query")
    }

    fn over(source: &str, all: &[&'static str], known: &'static str) -> Result<Self, ExpressionError> {
        let source_text = || crate::yaml::excerpt(source);
        if source.len() > SOURCE_BYTES_MAX {
            return Err(ExpressionError::TooLong {
                bytes: source.len(),
                limit: SOURCE_BYTES_MAX,
            });
        }
        let compiled = ENVIRONMENT
            .compile_expression_owned(source.to_owned())
            .map_err(|error| ExpressionError::Syntax {
                source_text: source_text(),
                reason: reason(&error),
            })?;
        let mut names = BTreeSet::new();
        let mut used: Vec<String> = compiled.undeclared_variables(false).into_iter().collect();
        used.sort();
        for name in used {
            match all.iter().find(|one| **one == name) {
                Some(one) => {
                    names.insert(*one);
                }
                None if ENVIRONMENT.globals().any(|(global, _)| global == name) => {}
                None => {
                    return Err(ExpressionError::UnknownName {
                        source_text: source_text(),
                        name,
                        known,
                    });
                }
            }
        }
        let references = references::of(source).map_err(|references::Whole| ExpressionError::WholeResults {
            source_text: source_text(),
        })?;
        Ok(Self {
            source: source.to_owned(),
            compiled,
            references,
            names,
        })
    }

    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The tasks whose results it uses.
    #[must_use]
    pub const fn references(&self) -> &BTreeSet<String> {
        &self.references
    }

    /// Whether it uses one of its names.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The value. JSON types are kept: whole numbers stay whole, null stays null.
    ///
    /// # Errors
    /// For a name, key or result that is not there, an operation that does not fit its values, a
    /// value that JSON does not have, and a reached limit.
    pub fn eval(&self, context: &Context<'_>) -> Result<Value, ExpressionError> {
        let results: Vec<(String, Value)> = self
            .references
            .iter()
            .filter_map(|task| Some((task.clone(), (context.results)(task)?)))
            .collect();
        let scope = minijinja::Value::from_pairs(
            NAMES
                .iter()
                .filter(|name| self.uses(name))
                .filter_map(|name| Some((*name, self.scope(name, context, &results)?))),
        );
        self.eval_in(scope, &results)
    }

    /// The value over what came with a request, by [`HOOK_NAMES`].
    ///
    /// # Errors
    /// As [`Expression::eval`].
    pub fn eval_for_hook(&self, request: &[(&'static str, Value)]) -> Result<Value, ExpressionError> {
        let used = request.iter().filter(|(name, _)| self.uses(name));
        let scope = minijinja::Value::from_pairs(used.map(|(name, value)| (*name, json_value(value))));
        self.eval_in(scope, &[])
    }

    fn eval_in(&self, scope: minijinja::Value, results: &[(String, Value)]) -> Result<Value, ExpressionError> {
        let value = self
            .compiled
            .eval(scope)
            .map_err(|error| self.failure(&error, results))?;
        if value.is_undefined() {
            let reason = self
                .missing_result(results)
                .unwrap_or_else(|| "it names something that is not there".to_owned());
            return Err(self.failed(reason));
        }
        let mut values = 0;
        to_json(&value, 0, &mut values).map_err(|reason| ExpressionError::NoJson {
            source_text: self.excerpt(),
            reason,
        })
    }

    /// The value of a condition. Only `true` and `false` are taken: a text such as `"false"` would
    /// otherwise hold.
    ///
    /// # Errors
    /// As [`Expression::eval`], and for any other value.
    pub fn eval_bool(&self, context: &Context<'_>) -> Result<bool, ExpressionError> {
        self.flag(self.eval(context)?)
    }

    /// The value of a webhook's condition, as [`Expression::eval_bool`].
    ///
    /// # Errors
    /// As [`Expression::eval`], and for any other value.
    pub fn eval_bool_for_hook(&self, request: &[(&'static str, Value)]) -> Result<bool, ExpressionError> {
        self.flag(self.eval_for_hook(request)?)
    }

    fn flag(&self, value: Value) -> Result<bool, ExpressionError> {
        match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(self.wrong_type("true or false; compare explicitly, as in x == 1", &other)),
        }
    }

    /// The value of a `for_each`.
    ///
    /// # Errors
    /// As [`Expression::eval`], and for anything that is no list.
    pub fn eval_list(&self, context: &Context<'_>) -> Result<Vec<Value>, ExpressionError> {
        match self.eval(context)? {
            Value::Array(items) => Ok(items),
            other => Err(self.wrong_type("a list", &other)),
        }
    }

    fn scope(&self, name: &str, context: &Context<'_>, results: &[(String, Value)]) -> Option<minijinja::Value> {
        Some(match name {
            "results" => {
                minijinja::Value::from_pairs(results.iter().map(|(task, result)| (task.clone(), json_value(result))))
            }
            "params" => json_value(context.params),
            "run" => json_value(context.run),
            "task" => json_value(context.task),
            _ => json_value(context.item?),
        })
    }

    fn failure(&self, error: &minijinja::Error, results: &[(String, Value)]) -> ExpressionError {
        match error.kind() {
            ErrorKind::OutOfFuel => ExpressionError::OutOfFuel {
                source_text: self.excerpt(),
                limit: FUEL,
            },
            ErrorKind::UndefinedError => self.failed(self.missing_result(results).unwrap_or_else(|| reason(error))),
            _ => self.failed(reason(error)),
        }
    }

    fn missing_result(&self, results: &[(String, Value)]) -> Option<String> {
        let missing = self
            .references
            .iter()
            .find(|task| !results.iter().any(|(name, _)| name == *task))?;
        Some(format!(
            "the task {missing:?} has no result; it was skipped or failed (`results.x is defined` asks for that)"
        ))
    }

    fn failed(&self, reason: String) -> ExpressionError {
        ExpressionError::Failed {
            source_text: self.excerpt(),
            reason,
        }
    }

    pub(crate) fn wrong_type(&self, expected: &'static str, found: &Value) -> ExpressionError {
        ExpressionError::Type {
            source_text: self.excerpt(),
            expected,
            found: crate::yaml::describe(found),
        }
    }

    fn excerpt(&self) -> String {
        crate::yaml::excerpt(&self.source)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

fn json_value(value: &Value) -> minijinja::Value {
    minijinja::value::Serde(value).into()
}

fn reason(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn to_json(value: &minijinja::Value, depth: usize, values: &mut usize) -> Result<Value, String> {
    *values += 1;
    if *values > VALUES_MAX || depth > DEPTH_MAX {
        return Err(format!("it has more than {VALUES_MAX} values or {DEPTH_MAX} levels"));
    }
    let items = |values: &mut usize| {
        let items = value.try_iter().map_err(|error| reason(&error))?;
        items
            .map(|item| to_json(&item, depth + 1, values))
            .collect::<Result<Vec<_>, _>>()
    };
    match value.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number => number(value),
        ValueKind::String => Ok(Value::String(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Seq | ValueKind::Iterable => Ok(Value::Array(items(values)?)),
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|error| reason(&error))? {
                let Some(name) = key.as_str() else {
                    return Err(format!("the key {key} of an object is no text"));
                };
                let entry = value.get_item(&key).map_err(|error| reason(&error))?;
                map.insert(name.to_owned(), to_json(&entry, depth + 1, values)?);
            }
            Ok(Value::Object(map))
        }
        ValueKind::Undefined => Err("a part of it is not there".to_owned()),
        other => Err(format!("a part of it is a {other}")),
    }
}

fn number(value: &minijinja::Value) -> Result<Value, String> {
    if value.is_integer() {
        let signed = i64::try_from(value.clone()).map(Number::from);
        let any = signed.or_else(|_| u64::try_from(value.clone()).map(Number::from));
        return any
            .map(Value::Number)
            .map_err(|_| format!("the number {value} is larger than 64 bits"));
    }
    let float = f64::try_from(value.clone()).map_err(|error| reason(&error))?;
    Number::from_f64(float)
        .map(Value::Number)
        .ok_or_else(|| format!("{float} is no JSON number"))
}

#[cfg(test)]
mod tests;
