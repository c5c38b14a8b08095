//! Parts → one OpenAPI document. A part is a YAML file:
//!
//! ```text
//! name: Flows                          # of the section on the page
//! about: What is run.
//! paths:
//!   /api/flows/{id}:
//!     get:
//!       says: A flow                   # one line
//!       id: get_flow                   # optional: else made of method and path
//!       more: Markdown.                # optional
//!       path: {id: uuid The flow}      # where a parameter is no text
//!       query: {limit: integer Rows}     # `limit!` has to be there
//!       body: FlowsFilter              # JSON, unless it is {media type: type}
//!       example: {limit: 10}           # of the body
//!       200: Flow                      # type and words; several media types as a mapping
//!       404: There is no such flow     # words; its shape is `{"detail": …}`
//! answers:                             # every field is there, and no other; `field?` may be missing
//!   Flow: {id: uuid, description: text? Of the row, tags: "text[]"}
//! bodies:                              # null means default, others are ignored; `field!` has to be there
//!   FlowsFilter: {limit: integer}
//! filters:                             # as bodies, and others are refused
//!   FlowFilter: {id: IdChoice}
//! schemas:                             # JSON Schema as it is
//!   Color: {enum: [red]}
//! ```
//!
//! A type is a word: one of `types()`, or a schema's name; `?` after it allows null, `[]` makes it a
//! list, `{}` a mapping from texts to it. What follows is its description.

use serde_json::{Map, Value, json};

use crate::api::door::access::{RULES, Rule};
use crate::api::page::LIMIT_MAX;
use crate::api::{PREFECT_VERSION, VERSION};
use crate::yaml;

const MARK: &str = "#/components/schemas/";

/// # Errors
/// What cannot be read, with its place.
pub(super) fn document(parts: &[(&str, &str)]) -> Result<Value, String> {
    let mut joined = Joined::default();
    for (name, text) in parts {
        let file = format!("{name}.yaml");
        let root = yaml::parse(file.as_ref(), text).map_err(|mistakes| mistakes.to_string())?;
        joined.part(root.json()).map_err(|why| format!("{file}: {why}"))?;
    }
    Ok(joined.finish())
}

#[derive(Default)]
struct Joined {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    tags: Vec<Value>,
}

impl Joined {
    fn part(&mut self, part: Value) -> Result<(), String> {
        let tag = text(&part, "name")?;
        self.tags
            .push(json!({"name": tag, "description": text(&part, "about")?}));
        for (path, methods) in object(&part, "paths") {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let place = format!("{} {path}", method.to_ascii_uppercase());
                let operation =
                    self::operation(path, method, operation, &tag).map_err(|why| format!("{place}: {why}"))?;
                let known = self.paths.entry(path.clone()).or_insert_with(|| json!({}));
                known[method.as_str()] = operation;
            }
        }
        let kinds = [
            ("answers", Presence::Always),
            ("bodies", Presence::Seldom),
            ("filters", Presence::Seldom),
        ];
        for (kind, every) in kinds {
            for (name, fields) in object(&part, kind) {
                let mut schema = record(fields, every).map_err(|why| format!("{name}: {why}"))?;
                if kind == "filters" {
                    schema["additionalProperties"] = false.into();
                }
                self.schema(name, schema)?;
            }
        }
        for (name, schema) in object(&part, "schemas") {
            self.schema(name, schema.clone())?;
        }
        Ok(())
    }

    fn schema(&mut self, name: &str, schema: Value) -> Result<(), String> {
        match self.schemas.insert(name.to_owned(), schema) {
            None => Ok(()),
            Some(_) => Err(format!("the schema {name} stands twice")),
        }
    }

    /// A body with a field that has to be there has to be there, and null is as good as any other
    /// without one.
    fn bodies(&mut self) {
        let operations = self.paths.values_mut().filter_map(Value::as_object_mut).flatten();
        for (_, operation) in operations {
            let Some(body) = operation.get_mut("requestBody") else {
                continue;
            };
            let Some(schema) = body.pointer_mut("/content/application~1json/schema") else {
                continue;
            };
            let name = schema["$ref"].as_str().and_then(|place| place.strip_prefix(MARK));
            let named = name.and_then(|name| self.schemas.get(name));
            let must = named.is_some_and(|schema| schema.get("required").is_some());
            if !must {
                *schema = nullable(schema.take());
            }
            body["required"] = must.into();
        }
    }

    fn finish(mut self) -> Value {
        self.bodies();
        let mut schemas = self.schemas;
        schemas.insert(
            "Problem".to_owned(),
            json!({"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}),
        );
        schemas.insert("Faults".to_owned(), faults());
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "grepx-host",
                "version": VERSION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                "description": format!(
                    "Flow runs, and what they are made of. Resources and words are those of Prefect {PREFECT_VERSION}, \
                     whose clients work here; sections and fields that Prefect does not know are this host's own.\n\n\
                     Times are RFC 3339 with an offset. In bodies `null` means the default. An operation needs a key with at \
                     least the scope that it names (`read`, `run`, `admin`), once there are keys."
                ),
            },
            "servers": [{"url": "/"}],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer", "description": "A key of `grepx-host key create`"},
                    "auth_string": {"type": "http", "scheme": "basic", "description": "`server.auth_string`, as Prefect's clients send it"},
                },
            },
        })
    }
}

fn operation(path: &str, method: &str, written: &Value, tag: &str) -> Result<Value, String> {
    let upper = method.to_ascii_uppercase();
    let rule = RULES.iter().find(|rule| rule.is(&upper, path));
    let rule = rule.ok_or("there is no such line in the table of scopes (api/door/access.rs)")?;
    let mut parameters = Vec::new();
    for name in path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
        let declared = written["path"][name].as_str().unwrap_or("text");
        parameters.push(parameter("path", name, declared)?);
    }
    for (name, declared) in object(written, "query") {
        let declared = declared.as_str().ok_or("a query parameter is a type and words")?;
        parameters.push(parameter("query", name, declared)?);
    }
    let body = match &written["body"] {
        Value::Null => None,
        body => Some(content(body, written.get("example"))?),
    };
    let mut responses = Map::new();
    for (key, value) in written.as_object().into_iter().flatten() {
        if key.len() == 3 && key.bytes().all(|byte| byte.is_ascii_digit()) {
            responses.insert(key.clone(), response(key, value)?);
        }
    }
    for (status, words, applies) in common(rule, body.is_some(), !parameters.is_empty()) {
        if applies && !responses.contains_key(status) {
            responses.insert(status.to_owned(), problem(status, words));
        }
    }
    responses.sort_keys();
    let id = match written["id"].as_str() {
        Some(id) => id.to_owned(),
        None => operation_id(&upper, path),
    };
    let mut operation = json!({
        "operationId": id,
        "tags": [tag],
        "summary": text(written, "says")?,
        "description": described(rule, written["more"].as_str()),
        "responses": responses,
        "x-scope": rule.scope.map(|scope| scope.as_str()),
        "security": rule.scope.map_or_else(|| json!([]), |_| json!([{"key": []}, {"auth_string": []}])),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(content) = body {
        operation["requestBody"] = json!({"required": false, "content": content});
    }
    Ok(operation)
}

/// What holds for operations of a kind: status, words, and whether this one is of it.
fn common(rule: &Rule, has_body: bool, has_input: bool) -> [(&'static str, &'static str, bool); 8] {
    let asks = rule.scope.is_some();
    [
        ("401", "A key is missing, unknown, expired or revoked", asks),
        (
            "403",
            "The key has not the scope, or a page of a stranger asks",
            asks || has_body,
        ),
        ("413", "The request is larger than the host allows", has_body),
        (
            "422",
            "The request is not understood; nothing was done",
            has_body || has_input,
        ),
        ("429", "Too many wrong auth strings; `Retry-After` says when", asks),
        ("500", "The host could not do it; its log has the cause", true),
        (
            "503",
            "Not now: the run store takes no changes, or the host is stopping; `Retry-After` says when",
            true,
        ),
        ("504", "It took too long and may have been done", true),
    ]
}

fn described(rule: &Rule, more: Option<&str>) -> String {
    let scope = match rule.scope {
        None => "Needs no key.".to_owned(),
        Some(scope) => format!("Needs the scope `{}`.", scope.as_str()),
    };
    match more {
        None => scope,
        Some(more) => format!("{}\n\n{scope}", more.trim_end()),
    }
}

/// `get_flow_runs_id_state`
fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .trim_start_matches("/api")
        .split(['/', '{', '}'])
        .filter(|word| !word.is_empty());
    let slash = if path.ends_with('/') { ["slash"].as_slice() } else { &[] };
    let words: Vec<&str> = words.chain(slash.iter().copied()).collect();
    format!("{}_{}", method.to_ascii_lowercase(), words.join("_")).replace('-', "_")
}

fn parameter(place: &str, name: &str, declared: &str) -> Result<Value, String> {
    let (schema, words) = typed(declared)?;
    let required = place == "path" || name.ends_with('!');
    let name = name.trim_end_matches('!');
    let mut parameter = json!({"name": name, "in": place, "required": required, "schema": schema});
    if !words.is_empty() {
        parameter["description"] = words.into();
    }
    Ok(parameter)
}

/// `Flow Words`, or `{text/event-stream: any Words}`.
fn content(written: &Value, example: Option<&Value>) -> Result<Value, String> {
    let mut content = Map::new();
    let given;
    let types = match written {
        Value::Object(types) => types,
        other => {
            given = Map::from_iter([("application/json".to_owned(), other.clone())]);
            &given
        }
    };
    for (media, declared) in types {
        let (schema, _) = typed(declared.as_str().ok_or("a type is a word")?)?;
        let mut one = json!({"schema": schema});
        if let Some(example) = example {
            one["example"] = example.clone();
        }
        content.insert(media.clone(), one);
    }
    Ok(Value::Object(content))
}

fn response(status: &str, written: &Value) -> Result<Value, String> {
    if let Some(words) = written.as_str().filter(|_| status >= "400") {
        return Ok(problem(status, words));
    }
    let all: Vec<&str> = match written {
        Value::Object(types) => types.values().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let first = all.first().copied().ok_or("an answer is a type and words")?;
    let words = match first.split_once(' ') {
        Some((_, words)) => words,
        None => "Done",
    };
    if first.split(' ').next() == Some("nothing") {
        return Ok(json!({"description": words}));
    }
    Ok(json!({"description": words, "content": content(written, None)?}))
}

fn problem(status: &str, words: &str) -> Value {
    let schema = match status {
        "422" => json!({"anyOf": [{"$ref": format!("{MARK}Problem")}, {"$ref": format!("{MARK}Faults")}]}),
        _ => json!({"$ref": format!("{MARK}Problem")}),
    };
    json!({"description": words, "content": {"application/json": {"schema": schema}}})
}

fn faults() -> Value {
    json!({
        "type": "object",
        "description": "Every fault of a body, with its place",
        "required": ["exception_message", "exception_detail", "request_body"],
        "properties": {
            "exception_message": {"type": "string"},
            "exception_detail": {"type": "array", "items": {
                "type": "object",
                "required": ["type", "loc", "msg"],
                "properties": {
                    "type": {"type": "string"},
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                },
            }},
            "request_body": {"description": "As it came"},
        },
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    Always,
    Seldom,
}

fn record(fields: &Value, every: Presence) -> Result<Value, String> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, declared) in fields.as_object().into_iter().flatten() {
        let name = key.trim_end_matches(['?', '!']);
        let declared = declared.as_str().ok_or_else(|| format!("{name}: a type is a word"))?;
        let (mut schema, words) = typed(declared).map_err(|why| format!("{name}: {why}"))?;
        let must = match every {
            Presence::Always => !key.ends_with('?'),
            Presence::Seldom => key.ends_with('!'),
        };
        if must {
            required.push(Value::from(name));
        } else if every == Presence::Seldom {
            schema = nullable(schema);
        }
        if !words.is_empty() {
            schema["description"] = words.into();
        }
        properties.insert(name.to_owned(), schema);
    }
    let mut record = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        record["required"] = required.into();
    }
    Ok(record)
}

/// The schema of the first word, and the other words.
fn typed(declared: &str) -> Result<(Value, &str), String> {
    let (word, words) = declared.trim().split_once(' ').unwrap_or((declared.trim(), ""));
    Ok((of_word(word)?, words.trim()))
}

fn of_word(word: &str) -> Result<Value, String> {
    if let Some(inner) = word.strip_suffix('?') {
        return of_word(inner).map(nullable);
    }
    if let Some(inner) = word.strip_suffix("[]") {
        return Ok(json!({"type": "array", "items": of_word(inner)?}));
    }
    if let Some(inner) = word.strip_suffix("{}") {
        return Ok(json!({"type": "object", "additionalProperties": of_word(inner)?}));
    }
    Ok(match word {
        "text" => json!({"type": "string"}),
        "uuid" => json!({"type": "string", "format": "uuid"}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "integer" => json!({"type": "integer"}),
        "count" => json!({"type": "integer", "minimum": 0}),
        "limit" => json!({"type": "integer", "minimum": 0, "maximum": LIMIT_MAX}),
        "offset" => json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        "slots" => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        "binary" => json!({"type": "string", "contentMediaType": "application/octet-stream"}),
        "number" => json!({"type": "number"}),
        "flag" => json!({"type": "boolean"}),
        "object" => json!({"type": "object"}),
        "null" => json!({"type": "null"}),
        "any" => json!({}),
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => json!({"$ref": format!("{MARK}{name}")}),
        other => return Err(format!("{other:?} is no type")),
    })
}

fn nullable(schema: Value) -> Value {
    match schema.get("type") {
        // Of a format, generators of requests know the whole only.
        Some(Value::String(one)) if one != "null" && schema.get("format").is_none() => {
            let both = json!([one, "null"]);
            let mut schema = schema;
            schema["type"] = both;
            schema
        }
        Some(Value::String(one)) if one != "null" => json!({"anyOf": [schema, {"type": "null"}]}),
        None if schema.get("$ref").is_some() => json!({"anyOf": [schema, {"type": "null"}]}),
        _ => schema,
    }
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    let text = value[key].as_str().ok_or_else(|| format!("{key} is missing"))?;
    Ok(text.to_owned())
}

fn object<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[key].as_object().into_iter().flatten()
}
