//! Refusals in the shapes that Prefect's clients read: `{"detail": …}`, and for a body that is not
//! understood the list of its faults.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::body::Faults;
use crate::{runner, store};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    NotFound(String),
    /// Prefect's answer to what is too large to be shown.
    #[error("{0}")]
    BadRequest(String),
    /// The place is there, by other methods (RFC 9110, 15.5.6).
    #[error("{message}")]
    OtherMethod { message: String, allow: String },
    /// The request is understood and cannot be carried out.
    #[error("{0}")]
    Conflict(String),
    /// Nobody who is known, with what to show.
    #[error("{0}")]
    Unauthorized(String),
    /// Too many wrong guesses.
    #[error("{message}")]
    TooMany { message: String, wait: Duration },
    /// Not done in time, or not known to be.
    #[error("{0}")]
    TooSlow(String),
    /// Not for this visitor; or somebody else's to change, with the place to do it.
    #[error("{0}")]
    Forbidden(String),
    /// 422 with one sentence.
    #[error("{0}")]
    Invalid(String),
    /// 422 with every fault of the body.
    #[error("the request is not understood")]
    Faults(Faults),
    #[error("{0}")]
    TooLarge(String),
    /// The request did not come to its end.
    #[error("{0}")]
    Late(String),
    /// Worth another try.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody else has it; worth another try after a while.
    #[error("{message}")]
    Locked { message: String, wait_seconds: f64 },
    /// It was there, and has ended.
    #[error("{0}")]
    Gone(String),
    /// Part of Prefect's API, and not of this host's.
    #[error("{0}")]
    NotImplemented(String),
    #[error("the server could not do this; its log has the cause")]
    Store(#[source] store::Error),
}

/// Seconds after which an unavailable server may be asked again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Of axum's own words, which quote a request.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::OtherMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            // Prefect's clients repeat after 503; this may have happened.
            Self::TooSlow(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Invalid(_) | Self::Faults(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Locked { .. } => StatusCode::LOCKED,
            Self::Gone(_) => StatusCode::GONE,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = match &self {
            Self::Faults(faults) => faults.to_json(),
            Self::Store(error) => {
                tracing::error!(error = %crate::report::chain(error), "a request failed");
                json!({"detail": self.to_string()})
            }
            _ => json!({"detail": self.to_string()}),
        };
        let mut response = (status, Json::<Value>(body)).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Self::OtherMethod { allow, .. } => {
                if let Ok(allow) = HeaderValue::from_str(allow) {
                    headers.insert(header::ALLOW, allow);
                }
            }
            Self::TooMany { wait, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Self::Locked { wait_seconds, .. } => {
                // Prefect's clients read fractions of a second.
                let wait = format!("{wait_seconds:.3}");
                headers.extend(HeaderValue::try_from(wait).map(|wait| (header::RETRY_AFTER, wait)));
            }
            // Not Basic: a browser would ask for a password and keep showing it.
            Self::Unauthorized(_) => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"grepx-host\""),
                );
            }
            _ => {}
        }
        response
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::UnknownRun(_) => Self::NotFound("Flow run not found".into()),
            store::Error::NotTerminal { .. }
            | store::Error::Planned(_)
            | store::Error::KeyNameTaken(_)
            | store::Error::KeysFull { .. }
            | store::Error::LimitNameTaken(_)
            | store::Error::LimitsFull { .. } => Self::Conflict(error.to_string()),
            store::Error::QueueFull { .. } | store::Error::Closed => Self::Unavailable(error.to_string()),
            error if error.concerns_all() => Self::Unavailable(crate::report::chain(&error)),
            _ => Self::Store(error),
        }
    }
}

/// What axum refuses of a path or a query is a text; clients read `detail`, and 422 for what is not
/// understood, wherever in the request it stands.
pub(crate) async fn in_shape(response: Response) -> Response {
    let is_text = |response: &Response| {
        let kind = response.headers().get(header::CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"))
    };
    if !response.status().is_client_error() || !is_text(&response) {
        return response;
    }
    let bytes = axum::body::to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await;
    let text = bytes.map_or_else(
        |_| "the request is not understood".into(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    );
    Error::Invalid(text).into_response()
}

/// Without the rejections of the engine, which are answers and no errors where they can occur.
impl From<runner::Error> for Error {
    fn from(error: runner::Error) -> Self {
        match error {
            runner::Error::Store(error) => error.into(),
            runner::Error::Draining
            | runner::Error::ReadBack(_)
            | runner::Error::BeingMade(_)
            | runner::Error::Held(_) => Self::Unavailable(crate::report::chain(&error)),
            error => Self::Conflict(error.to_string()),
        }
    }
}
