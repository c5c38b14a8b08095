//! Webhooks as the operator describes them: who may call (a signature), what a call does, and what
//! of it becomes parameters.

use std::sync::Arc;
use std::time::Duration;

use crate::expressions::Expression;

/// What a request to `/api/hooks/NAME` does.
#[derive(Debug, Clone)]
pub struct Hook {
    pub action: HookAction,
    /// `None`: the operator lets everybody in.
    pub signature: Option<HookSignature>,
    /// A request for which it is false is ignored.
    pub condition: Option<Arc<Expression>>,
    /// Requests of one key start one run.
    pub idempotency_key: Option<Arc<Expression>>,
    /// Of a request's body at most.
    pub body_bytes: usize,
}

#[derive(Debug, Clone)]
pub enum HookAction {
    Run {
        /// `deployment` or `flow/deployment`.
        deployment: String,
        /// By name, on top of the deployment's own.
        parameters: Vec<(String, Arc<Expression>)>,
    },
    Signal {
        /// Yields the id of a task run.
        task_run: Arc<Expression>,
        /// Yields the signal's name.
        name: Arc<Expression>,
        payload: Arc<Expression>,
    },
}

/// How a sender proves to know the secret: HMAC with SHA-256 (RFC 2104).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSignature {
    /// Name of one of `secrets`.
    pub secret: String,
    pub format: SignatureFormat,
    /// Lower case.
    pub header: String,
    /// What stands before the signature; of format `timestamped`, the name of its field.
    pub prefix: String,
    pub encoding: SignatureEncoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureFormat {
    /// Over the body, as GitHub signs.
    Body,
    /// `t=UNIX_SECONDS,v1=SIGNATURE` over `UNIX_SECONDS.BODY`, as Stripe signs. A time further away
    /// than `tolerance` is refused.
    Timestamped { tolerance: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEncoding {
    Hex,
    Base64,
}
