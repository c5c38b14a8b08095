//! Webhooks: ours. A request of another system, signed with a secret that it shares with the
//! operator, starts a flow run or brings a signal. Which, and what of the request becomes
//! parameters, is in the configuration.
//!
//! The signature is the credential, so no key is asked for, and until it is judged a request costs
//! no more than its bytes: it is not recorded, evaluates nothing, and its refusal says nothing of
//! the reason, which the log has.
//!
//! Absent on purpose: calling back, and answers that wait for the run.

mod request;
mod signature;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use http_body_util::LengthLimitError;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::error::Error;
use super::{ApiState, signal};
use crate::clock;
use crate::config::{Hook, HookAction, Settings};
use crate::expressions::{Expression, ExpressionError};
use crate::runner::{RunRequest, Triggered};
use request::Received;

/// Requests at a time whose bodies are held: those of strangers must not fill the memory.
const AT_ONCE: usize = 32;
/// For the body of a request.
const BODY: Duration = Duration::from_secs(10);
/// A shorter secret could be guessed.
const SECRET_BYTES_MIN: usize = 16;
/// Characters of an idempotency key, with the hook's name before it.
const KEY_CHARS_MAX: usize = 1_000;
/// What is wrong with one hook's requests is told once in so many milliseconds.
const TOLD_MS: i64 = 1_000;

/// The hooks of the configuration with their secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hooks: BTreeMap<String, Ready>,
    places: Semaphore,
}

struct Ready {
    hook: Hook,
    secret: Vec<u8>,
    told: AtomicI64,
    untold: AtomicU64,
}

/// Without the secret.
impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the secret {secret} of the hook {hook} has less than {SECRET_BYTES_MIN} bytes: a random one of 32 cannot be guessed \
     (`openssl rand -hex 32`)"
)]
pub struct ShortSecret {
    hook: String,
    secret: String,
}

impl Default for Hooks {
    fn default() -> Self {
        Self(Arc::new(Inner {
            hooks: BTreeMap::new(),
            places: Semaphore::new(AT_ONCE),
        }))
    }
}

impl Hooks {
    /// `secrets`: the values of those that hooks name.
    ///
    /// # Errors
    /// For a secret that could be guessed.
    pub fn new(settings: &Settings, secrets: &BTreeMap<String, String>) -> Result<Self, ShortSecret> {
        let mut hooks = BTreeMap::new();
        for (name, hook) in &settings.hooks {
            let named = hook.signature.as_ref().map(|signature| signature.secret.as_str());
            let secret = named
                .and_then(|secret| secrets.get(secret))
                .cloned()
                .unwrap_or_default();
            if let Some(named) = named.filter(|_| secret.len() < SECRET_BYTES_MIN) {
                return Err(ShortSecret {
                    hook: name.clone(),
                    secret: named.to_owned(),
                });
            }
            let ready = Ready {
                hook: hook.clone(),
                secret: secret.into_bytes(),
                told: AtomicI64::new(i64::MIN),
                untold: AtomicU64::new(0),
            };
            hooks.insert(name.clone(), ready);
        }
        Ok(Self(Arc::new(Inner {
            hooks,
            places: Semaphore::new(AT_ONCE),
        })))
    }
}

impl Ready {
    /// For the operator: what the sender is not told.
    fn tell(&self, name: &str, why: &dyn fmt::Display) {
        let now = clock::now().0;
        if now.saturating_sub(self.told.load(Ordering::Relaxed)) < TOLD_MS {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.told.store(now, Ordering::Relaxed);
        let untold = self.untold.swap(0, Ordering::Relaxed);
        tracing::warn!(hook = name, %why, untold, "a webhook was refused");
    }

    fn refuse(&self, name: &str, error: &ExpressionError) -> Error {
        self.tell(name, error);
        Error::Invalid("This hook does not find in the request what it needs of it".to_owned())
    }
}

/// 202 with what was started, 200 when the hook's condition is false.
pub(super) async fn receive(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Error> {
    let hooks = state.hooks.clone();
    let Some(ready) = hooks.0.hooks.get(&name) else {
        return Err(Error::NotFound("There is no hook of this name".to_owned()));
    };
    if ready.hook.signature.is_none() {
        state.door.check_name(request.uri(), request.headers())?;
    }
    let Ok(_place) = hooks.0.places.try_acquire() else {
        return Err(Error::Unavailable(format!(
            "{AT_ONCE} requests to hooks are being taken, which is the most at a time: send it again"
        )));
    };
    let (head, body) = request.into_parts();
    let body = whole(body, ready.hook.body_bytes).await?;
    let mut signed = None;
    if let Some(wanted) = &ready.hook.signature {
        let judged = signature::verify(wanted, &ready.secret, &head.headers, &body, clock::now());
        signed = judged.map_err(|wrong| {
            ready.tell(&name, &wrong);
            Error::Unauthorized("The signature of this request is missing or wrong".to_owned())
        })?;
    }
    let received = Received::read(&ready.hook, &head.headers, query.as_deref(), &body).map_err(Error::Invalid)?;
    carry_out(&state, ready, &name, &received, signed).await
}

/// Of a body that does not come, a place is soon free again.
async fn whole(body: Body, limit: usize) -> Result<Bytes, Error> {
    let read = tokio::time::timeout(BODY, axum::body::to_bytes(body, limit)).await;
    let read = read.map_err(|_| {
        let seconds = BODY.as_secs();
        Error::Late(format!("The body of this request has not come within {seconds} s"))
    })?;
    read.map_err(|error| match error.into_inner().is::<LengthLimitError>() {
        true => Error::TooLarge(format!("A request to this hook has at most {limit} bytes")),
        false => Error::Invalid("The body of this request was cut off".to_owned()),
    })
}

async fn carry_out(
    state: &ApiState,
    ready: &Ready,
    name: &str,
    received: &Received,
    signed: Option<String>,
) -> Result<(StatusCode, Json<Value>), Error> {
    let hook = &ready.hook;
    let refuse = |error: ExpressionError| ready.refuse(name, &error);
    let values = received.values();
    if let Some(condition) = &hook.condition
        && !condition.eval_bool_for_hook(values).map_err(refuse)?
    {
        return Ok((StatusCode::OK, Json(json!({"ignored": true}))));
    }
    let answer = match &hook.action {
        HookAction::Run { deployment, parameters } => {
            let mut own = Map::new();
            for (parameter, expression) in parameters {
                own.insert(parameter.clone(), expression.eval_for_hook(values).map_err(refuse)?);
            }
            let key = match &hook.idempotency_key {
                Some(expression) => Some(text(expression, values).map_err(refuse)?),
                // What is signed with its time is sent once; whoever repeats it starts nothing.
                None => signed,
            };
            let key = key.map(|key| format!("hook:{name}:{key}"));
            if key.as_ref().is_some_and(|key| key.chars().nth(KEY_CHARS_MAX).is_some()) {
                return Err(Error::Invalid(format!(
                    "The idempotency key of this request has more than {KEY_CHARS_MAX} characters"
                )));
            }
            start(state, ready, name, deployment, own, key).await?
        }
        HookAction::Signal {
            task_run,
            name: signal,
            payload,
        } => {
            let task_run = text(task_run, values).map_err(refuse)?;
            let signal = text(signal, values).map_err(refuse)?;
            let payload = payload.eval_for_hook(values).map_err(refuse)?;
            signal::bring(state, &task_run, signal, &payload).await?;
            json!({"task_run_id": task_run})
        }
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn start(
    state: &ApiState,
    ready: &Ready,
    name: &str,
    deployment: &str,
    own: Map<String, Value>,
    idempotency_key: Option<String>,
) -> Result<Value, Error> {
    let Some(deployment) = state.catalog.load().deployment_named(deployment).cloned() else {
        ready.tell(name, &format!("there is no deployment {deployment}"));
        return Err(Error::Conflict(
            "What this hook starts is not defined at present".to_owned(),
        ));
    };
    let parameters = deployment.parameters_with(&own);
    deployment.check_parameters(&parameters).map_err(|why| {
        ready.tell(name, &why);
        Error::Invalid("What this hook takes of the request does not fit the flow that it starts".to_owned())
    })?;
    let request = RunRequest {
        flow: deployment.flow.clone(),
        tags: deployment.tags.clone(),
        deployment: Some(deployment),
        name: None,
        parameters,
        idempotency_key,
        start_at: None,
        created_by: Some(json!({"id": null, "type": "HOOK", "display_value": name})),
        labels: json!({}),
        work_queue: None,
        parent: None,
        planned: None,
    };
    match state.runner.trigger(request).await? {
        Triggered::New(run) => Ok(json!({"flow_run_id": run, "created": true})),
        Triggered::Existing(run) => Ok(json!({"flow_run_id": run, "created": false})),
        // Only schedules skip.
        Triggered::Skipped => Err(Error::Conflict("The deployment is busy and skips runs then".to_owned())),
    }
}

/// A text, or a number as one.
fn text(expression: &Expression, values: &[(&'static str, Value)]) -> Result<String, ExpressionError> {
    match expression.eval_for_hook(values)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(expression.wrong_type("a text", &other)),
    }
}
