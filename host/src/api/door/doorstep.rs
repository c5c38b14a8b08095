//! A WebSocket before its first message. Browsers and Prefect's clients cannot set headers on it, so
//! what they have to show may come in `{"type": "auth", "token": …}`; names and origins were checked
//! before.

use std::net::SocketAddr;

use axum::extract::Request;

use super::{Door, Visitor, credentials, key, peer};
use crate::api::error::Error;
use crate::store::Scope;

/// What the request has shown.
#[derive(Debug, Clone)]
pub(crate) struct Doorstep {
    visitor: Option<Visitor>,
    needed: Scope,
    peer: Option<SocketAddr>,
}

impl Doorstep {
    pub(super) fn new(door: &Door, request: &Request, needed: Scope) -> Self {
        let shown = credentials::shown(request.headers());
        let visitor = match shown {
            credentials::Shown::Nothing => None,
            _ => door.visitor(request).ok(),
        };
        Self {
            visitor,
            needed,
            peer: peer(request),
        }
    }

    /// Whether the request itself has shown something that the door knows.
    pub(in crate::api) const fn is_known(&self) -> bool {
        self.visitor.is_some()
    }
}

impl Door {
    /// Lets a WebSocket in by the token of its first message, else by what its request has shown.
    ///
    /// # Errors
    /// With the sentence for whoever asks.
    pub(in crate::api) fn admit(&self, doorstep: &Doorstep, token: Option<&str>) -> Result<Visitor, Error> {
        let visitor = match (token.filter(|token| !token.is_empty()), &doorstep.visitor) {
            (Some(token), known) => match self.by_token(token, doorstep.peer) {
                Ok(visitor) => visitor,
                Err(_) if !self.is_closed() => self.anyone(),
                Err(refused) => known.clone().ok_or(refused)?,
            },
            (None, Some(visitor)) => visitor.clone(),
            (None, None) if !self.is_closed() => self.anyone(),
            (None, None) => {
                return Err(Error::Unauthorized(
                    // A close frame has room for 123 bytes.
                    "This host wants a key as the token; Prefect's clients send PREFECT_API_AUTH_STRING: put the key there"
                        .to_owned(),
                ));
            }
        };
        if visitor.scope() < doorstep.needed {
            return Err(Error::Forbidden(format!(
                "This needs a key with the scope {}; {} has {}",
                doorstep.needed,
                visitor.who(),
                visitor.scope()
            )));
        }
        Ok(visitor)
    }

    fn by_token(&self, token: &str, peer: Option<SocketAddr>) -> Result<Visitor, Error> {
        if self.0.auth_string.is_some() && !token.starts_with(key::PREFIX) {
            self.by_auth_string(&key::digest(token), peer)
        } else {
            self.by_key(&key::digest(token))
        }
    }
}
