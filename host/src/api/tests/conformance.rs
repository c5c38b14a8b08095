//! Every request and answer of every test of the API is judged by the document: a status, a field or
//! a type that it does not have fails the test.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::api::openapi::DOCUMENT;

const WHERE: &str = "host/src/api/openapi (openapi/join.rs has the language)";
const BYTES_MAX: usize = 1 << 26;

/// The document with its answers closed: a field that is not written down is one too many.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    for schema in document["components"]["schemas"]
        .as_object_mut()
        .expect("schemas")
        .values_mut()
    {
        let answers = schema.get("properties").is_some() && schema.get("required").is_some();
        if answers && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = false.into();
        }
    }
    document
});

/// By pointer, which is another one for a request and for an answer; each is built once.
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);

/// Around the router of every world.
pub(super) async fn judge(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let sent = to_bytes(body, BYTES_MAX).await.expect("tests send whole bodies");
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let response = next.run(Request::from_parts(head, Body::from(sent.clone()))).await;
    let (head, body) = response.into_parts();
    let Some(operation) = Operation::find(&method, uri.path()) else {
        return undocumented(&method, uri.path(), Response::from_parts(head, body));
    };
    operation.status(head.status);
    if head.status.is_success() {
        operation.request(uri.query(), &sent);
    }
    let kind = media(&head.headers);
    if kind.as_deref() == Some("text/event-stream") || head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Response::from_parts(head, body);
    }
    let answered = to_bytes(body, BYTES_MAX).await.expect("a body");
    if method != Method::HEAD {
        operation.answer(head.status, kind.as_deref(), &answered);
    }
    Response::from_parts(head, Body::from(answered))
}

fn undocumented(method: &Method, path: &str, response: Response) -> Response {
    let status = response.status();
    assert!(
        status.is_client_error(),
        "{method} {path} is answered with {status} and is not in the document: add it in {WHERE}"
    );
    response
}

struct Operation {
    name: String,
    /// Of the operation in the document.
    pointer: String,
    value: &'static Value,
}

impl Operation {
    /// The path with the most words of its own, as the router finds it.
    fn find(method: &Method, path: &str) -> Option<Self> {
        let word = match *method {
            Method::HEAD => "get".to_owned(),
            _ => method.as_str().to_ascii_lowercase(),
        };
        let paths = CLOSED["paths"].as_object()?;
        let matching = paths.keys().filter(|template| fits(template, path));
        let template = matching.min_by_key(|template| template.matches('{').count())?;
        let value = paths[template].get(&word)?;
        Some(Self {
            name: format!("{method} {template}"),
            pointer: format!("/paths/{}/{word}", template.replace('~', "~0").replace('/', "~1")),
            value,
        })
    }

    fn status(&self, status: StatusCode) {
        let known = &self.value["responses"];
        assert!(
            known.get(status.as_str()).is_some(),
            "{} is answered with {status}, which the document does not have: add it in {WHERE}",
            self.name
        );
    }

    fn request(&self, query: Option<&str>, sent: &Bytes) {
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let name = pair.split('=').next().unwrap_or_default();
            let parameters = self.value["parameters"].as_array().into_iter().flatten();
            let mut known = parameters.filter(|one| {
                // A mapping takes any name.
                one["in"] == "query" && (one["name"] == name || one["schema"]["type"] == "object")
            });
            assert!(
                known.next().is_some(),
                "{} takes the query parameter {name}, which the document does not have: add it in {WHERE}",
                self.name
            );
        }
        let content = "requestBody/content/application~1json/schema";
        let pointer = format!("{}/{content}", self.pointer);
        let (Some(_), Ok(body)) = (CLOSED.pointer(&pointer), serde_json::from_slice::<Value>(sent)) else {
            return;
        };
        if !body.is_null() {
            self.hold("a request that is taken", &DOCUMENT, &pointer, &body);
        }
    }

    fn answer(&self, status: StatusCode, media: Option<&str>, answered: &Bytes) {
        let content = &self.value["responses"][status.as_str()]["content"];
        let Some(media) = media else {
            assert!(
                content.is_null() && answered.is_empty(),
                "{}, {status}: the answer has no body, but the document says it has: correct it in {WHERE}",
                self.name
            );
            return;
        };
        assert!(
            content.get(media).is_some(),
            "{}, {status}: the answer is {media}, which the document does not have: add it in {WHERE}",
            self.name
        );
        if media == "application/json" {
            let body: Value = serde_json::from_slice(answered).expect("JSON");
            let pointer = format!(
                "{}/responses/{}/content/application~1json/schema",
                self.pointer,
                status.as_str()
            );
            self.hold(&format!("the answer with {status}"), &CLOSED, &pointer, &body);
        }
    }

    fn hold(&self, what: &str, document: &Value, pointer: &str, value: &Value) {
        let validator = *VALIDATORS
            .lock()
            .expect("no test has panicked")
            .entry(pointer.to_owned())
            .or_insert_with(|| Box::leak(Box::new(build(document, pointer))));
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{} at {:?}", error, error.instance_path().to_string()))
            .collect();
        assert!(
            faults.is_empty(),
            "{}: {what} does not fit the document; correct one of them ({WHERE}):\n{}\n{value:#}",
            self.name,
            faults.join("\n")
        );
    }
}

fn build(document: &Value, pointer: &str) -> Validator {
    let mut root: Value = document.pointer(pointer).expect("looked up before").clone();
    root["components"] = json!({"schemas": document["components"]["schemas"]});
    let options = jsonschema::options().should_validate_formats(true);
    options
        .build(&root)
        .unwrap_or_else(|error| panic!("{pointer}: {error}"))
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, found): (&&str, &&str)| (wanted.starts_with('{') && !found.is_empty()) || wanted == found;
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

fn media(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(kind.split(';').next().unwrap_or(kind).trim().to_owned())
}
