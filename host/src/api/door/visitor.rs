//! Somebody who was let in, and how they are called in records.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::Scope;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// The host asks nobody who they are.
    Anyone {
        local: bool,
    },
    /// Whoever can read the state directory.
    Operator,
    AuthString,
    Key {
        id: Uuid,
        name: String,
        scope: Scope,
    },
}

impl Visitor {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Anyone { .. } | Self::Operator | Self::AuthString => Scope::Admin,
            Self::Key { scope, .. } => *scope,
        }
    }

    pub(crate) fn who(&self) -> String {
        match self {
            Self::Anyone { local: true } => "loopback".to_owned(),
            Self::Anyone { local: false } => "anyone".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::AuthString => "auth string".to_owned(),
            Self::Key { name, .. } => format!("key {name}"),
        }
    }

    /// As flow runs show it, in Prefect's shape.
    pub(crate) fn created_by(&self) -> Option<Value> {
        match self {
            Self::Anyone { .. } => None,
            Self::Operator => Some(json!({"id": null, "type": "OPERATOR", "display_value": "operator"})),
            Self::AuthString => Some(json!({"id": null, "type": "AUTH_STRING", "display_value": "auth string"})),
            Self::Key { id, name, .. } => Some(json!({"id": id, "type": "KEY", "display_value": name})),
        }
    }
}

/// Where the request comes from. A proxy on this machine is believed when it says for whom it asks.
pub(super) fn address(peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<String> {
    let peer = peer?.ip();
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let forwarded = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
    match forwarded {
        Some(client) if peer.is_loopback() => Some(format!("{client} through {peer}")),
        _ => Some(peer.to_string()),
    }
}

#[cfg(test)]
mod tests;
