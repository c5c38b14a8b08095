//! Who may talk to the host: every request comes through here before a handler sees it. The name
//! that was asked for, the page that asks, the key that is shown, the scope that the endpoint needs
//! (`access`), the record of a change, the time that it may take.
//!
//! Open: while there never was a key and there is no auth string, everybody who reaches the host may
//! do everything; it starts like that only where nobody but this machine reaches it, or where
//! the operator says so. With the first key it is closed, for good: a host whose last key is
//! revoked must not open by that.
//!
//! Absent on purpose: sessions, users, TLS (a proxy's work).

pub(crate) mod access;
mod attempts;
mod browser;
mod credentials;
mod departure;
pub(crate) mod doorstep;
pub(crate) mod key;
pub(crate) mod operator;
mod visitor;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::watch;

use super::error::Error;
use crate::clock;
use crate::config::Settings;
use crate::store::{self, AuditEntry, AuditMark, Digest, KeyRow, Scope, Store};
use access::{Found, Rule};
use attempts::Attempts;
use browser::Names;
use credentials::Shown;
use doorstep::Doorstep;
pub(crate) use visitor::Visitor;

/// For requests that compile.
const SLOW: Duration = Duration::from_secs(600);
/// Of the body of a request that is refused, this much is read, for this long.
const UNWANTED_BYTES: usize = 64 * 1024;
const UNWANTED: Duration = Duration::from_secs(1);
/// A use of a key is noted once in so many milliseconds.
const USE_NOTED_MS: i64 = 60_000;

/// Where a request comes from; put there by the listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a handler adds to the record of a change.
#[derive(Debug, Clone)]
pub(crate) struct Noted(pub(crate) String);

/// A handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: ArcSwap<Vec<Held>>,
    /// Told when other keys are in force.
    changed: watch::Sender<()>,
    /// One reads the keys at a time, so that what was read last is what holds.
    reading: tokio::sync::Mutex<()>,
    auth_string: Option<Digest>,
    operator: (Operator, Digest),
    names: Names,
    named: bool,
    attempts: Attempts,
    address: SocketAddr,
    allow_unauthenticated: bool,
    request_timeout: Duration,
}

#[derive(Debug)]
struct Held {
    row: KeyRow,
    noted: AtomicI64,
}

/// The operator's key, in clear until it is in its file.
struct Operator(String);

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("this system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error(
        "others can reach {address} and nothing would ask who they are: make a key first (`grepx-host key create NAME \
         --scope admin`), or set server.auth_string, or say --allow-unauthenticated"
    )]
    Unguarded { address: SocketAddr },
    #[error("the operator's key cannot be written into {dir}: {source}")]
    OperatorFile { dir: String, source: std::io::Error },
}

/// Somebody who was let in.
struct Pass {
    visitor: Visitor,
    rule: Option<&'static Rule>,
}

/// Who may go on: at once, or when the first message of a WebSocket shows more.
enum Entry {
    Through(Pass),
    Doorstep(Doorstep),
}

impl Door {
    /// With the keys of the store, for a host that listens on `address`.
    ///
    /// # Errors
    /// When the keys cannot be read, or when others reach the address and nothing guards it.
    pub async fn open(store: &Store, settings: &Settings, address: SocketAddr) -> Result<Self, DoorError> {
        let server = &settings.server;
        let operator = key::generate().map_err(DoorError::Random)?;
        let digest = key::digest(&operator);
        let door = Self(Arc::new(Inner {
            store: store.clone(),
            keys: ArcSwap::default(),
            changed: watch::Sender::default(),
            reading: tokio::sync::Mutex::default(),
            auth_string: server.auth_string.as_ref().map(|text| key::digest(&text.0)),
            operator: (Operator(operator), digest),
            names: Names::new(&server.host, &server.allowed_hosts, address),
            named: !server.allowed_hosts.is_empty(),
            attempts: Attempts::default(),
            address,
            allow_unauthenticated: server.allow_unauthenticated,
            request_timeout: server.request_timeout,
        }));
        door.read_keys().await?;
        if !door.is_closed() && !address.ip().is_loopback() && !door.0.allow_unauthenticated {
            return Err(DoorError::Unguarded { address });
        }
        Ok(door)
    }

    /// Puts the operator's key where only the owner of the state directory finds it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn hand_out(&self, dir: &Path) -> Result<operator::OperatorFile, DoorError> {
        let (Operator(key), _) = &self.0.operator;
        operator::OperatorFile::write(dir, self.0.address, key).map_err(|source| DoorError::OperatorFile {
            dir: dir.display().to_string(),
            source,
        })
    }

    /// The store's keys are in force from now on.
    pub(super) async fn read_keys(&self) -> Result<(), store::Error> {
        let _one = self.0.reading.lock().await;
        let rows = self.0.store.keys().await?;
        let held = rows.into_iter().map(|row| Held {
            noted: AtomicI64::new(row.last_used_at.map_or(i64::MIN, |at| at.0)),
            row,
        });
        self.0.keys.store(Arc::new(held.collect()));
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Whether a request has to show something.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.auth_string.is_some() || !self.0.keys.load().is_empty()
    }

    fn let_in(&self, request: &Request) -> Result<Entry, Error> {
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let found = access::find(request.method(), matched);
        let rule = match found {
            Found::Rule(rule) => Some(rule),
            Found::Nothing | Found::OtherMethod => None,
            Found::Forgotten => {
                tracing::error!(
                    route = matched,
                    "a route without a line in the table of scopes; please report it"
                );
                return Err(Error::Forbidden(
                    "This route has no scope, so nobody may use it".to_owned(),
                ));
            }
        };
        if rule.is_some_and(|rule| rule.scope.is_none()) {
            // Also what needs no key is not for pages of strangers to start.
            self.0.names.check_page(request).map_err(Error::Forbidden)?;
            let visitor = self.anyone();
            return Ok(Entry::Through(Pass { visitor, rule }));
        }
        let strict = self.0.named || !self.is_closed();
        self.0.names.check(request, strict).map_err(Error::Forbidden)?;
        let needed = rule.and_then(|rule| rule.scope).unwrap_or(Scope::Read);
        if rule.is_some_and(|rule| rule.socket) {
            return Ok(Entry::Doorstep(Doorstep::new(self, request, needed)));
        }
        let visitor = self.visitor(request)?;
        if visitor.scope() < needed {
            if let Some(mark) = self.record(&visitor, rule, request)? {
                self.0.store.record_end(mark, StatusCode::FORBIDDEN.as_u16(), None);
            }
            return Err(Error::Forbidden(format!(
                "This needs a key with the scope {needed}; {} has {}",
                visitor.who(),
                visitor.scope()
            )));
        }
        match found {
            Found::OtherMethod => Err(Error::OtherMethod {
                message: format!("{} is not a method of {}", request.method(), request.uri().path()),
                allow: access::methods(matched),
            }),
            _ => Ok(Entry::Through(Pass { visitor, rule })),
        }
    }

    /// For what needs neither a key nor a signature: the name that was asked for has to be ours.
    pub(super) fn check_name(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
        self.0.names.check_name(uri, headers).map_err(Error::Forbidden)
    }

    fn anyone(&self) -> Visitor {
        Visitor::Anyone {
            local: self.0.address.ip().is_loopback(),
        }
    }

    fn visitor(&self, request: &Request) -> Result<Visitor, Error> {
        let shown = credentials::shown(request.headers());
        let known = match shown {
            Shown::Key(digest) => self.by_key(&digest),
            Shown::AuthString(digest) => self.by_auth_string(&digest, peer(request)),
            Shown::Nothing => Err(Error::Unauthorized(
                "This host wants a key: send `Authorization: Bearer KEY` (GREPX_API_KEY or PREFECT_API_KEY of the \
                 clients); `grepx-host key create` makes one"
                    .to_owned(),
            )),
            Shown::Odd => Err(Error::Unauthorized(
                "The Authorization header is neither `Bearer KEY` nor `Basic` with the auth string".to_owned(),
            )),
        };
        match known {
            // As without any header: clients may have a key for another host.
            Err(_) if !self.is_closed() => Ok(self.anyone()),
            other => other,
        }
    }

    fn by_key(&self, digest: &Digest) -> Result<Visitor, Error> {
        // All are compared, so that the time says nothing about which one it was.
        let keys = self.0.keys.load();
        let held = keys.iter().fold(None, |found, held| {
            if key::same(&held.row.key.digest, digest) {
                Some(held)
            } else {
                found
            }
        });
        if key::same(&self.0.operator.1, digest) {
            return Ok(Visitor::Operator);
        }
        let Some(Held { row, noted }) = held else {
            return Err(Error::Unauthorized("This host does not know the key".to_owned()));
        };
        let now = clock::now();
        if !row.is_live(now) {
            let why = if row.revoked_at.is_some() { "revoked" } else { "expired" };
            let name = &row.key.name;
            return Err(Error::Unauthorized(format!(
                "The key {name} is {why}: make another one"
            )));
        }
        let last = noted.load(Ordering::Relaxed);
        if now.0.saturating_sub(last) >= USE_NOTED_MS {
            noted.store(now.0, Ordering::Relaxed);
            self.0.store.record_use(row.key.id, now);
        }
        Ok(Visitor::Key {
            id: row.key.id,
            name: row.key.name.clone(),
            scope: row.key.scope,
        })
    }

    fn by_auth_string(&self, digest: &Digest, peer: Option<SocketAddr>) -> Result<Visitor, Error> {
        let Some(wanted) = &self.0.auth_string else {
            return Err(Error::Unauthorized(
                "This host has no auth string: show a key (`Authorization: Bearer KEY`)".to_owned(),
            ));
        };
        let now = Instant::now();
        if let Some(peer) = peer
            && let Some(wait) = self.0.attempts.wait(peer.ip(), now)
        {
            return Err(Error::TooMany {
                message: "Too many wrong auth strings from this address: wait, or show a key".to_owned(),
                wait,
            });
        }
        if key::same(wanted, digest) {
            return Ok(Visitor::AuthString);
        }
        if let Some(peer) = peer {
            tracing::warn!(address = %peer.ip(), "a wrong auth string");
            self.0.attempts.wrong(peer.ip(), now);
        }
        Err(Error::Unauthorized("The auth string is another one".to_owned()))
    }

    /// The record of a change, before it is made.
    fn record(
        &self,
        visitor: &Visitor,
        rule: Option<&Rule>,
        request: &Request,
    ) -> Result<Option<AuditMark>, store::Error> {
        let Some(rule) = rule.filter(|rule| rule.changes) else {
            return Ok(None);
        };
        let entry = AuditEntry {
            at: clock::now(),
            who: visitor.who(),
            address: visitor::address(peer(request), request.headers()),
            method: request.method().to_string(),
            route: rule.route.to_owned(),
            path: request.uri().path().to_owned(),
        };
        self.0.store.record(entry).map(Some)
    }

    async fn through(&self, pass: Pass, mut request: Request, next: Next) -> Result<Response, Error> {
        let Pass { visitor, rule } = pass;
        let mark = self.record(&visitor, rule, &request)?;
        request.extensions_mut().insert(visitor);
        let limit = match rule {
            Some(rule) if rule.slow => SLOW.max(self.0.request_timeout),
            _ => self.0.request_timeout,
        };
        let answer = tokio::time::timeout(limit, next.run(request)).await;
        let mut response = answer.unwrap_or_else(|_| {
            Error::TooSlow(format!(
                "This took longer than {} s (server.request_timeout_seconds): it may or may not have been done",
                limit.as_secs()
            ))
            .into_response()
        });
        let noted = response.extensions_mut().remove::<Noted>();
        if let Some(mark) = mark {
            let status = response.status().as_u16();
            self.0.store.record_end(mark, status, noted.map(|noted| noted.0));
        }
        Ok(response)
    }
}

fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}

/// The middleware around all routes.
pub(super) async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let answer = match door.let_in(&request) {
        Ok(Entry::Doorstep(doorstep)) => {
            request.extensions_mut().insert(doorstep);
            Ok(next.run(request).await)
        }
        Ok(Entry::Through(pass)) => door.through(pass, request, next).await,
        Err(refused) => Ok(refuse(refused, request).await),
    };
    browser::guard(answer.unwrap_or_else(|refused| refused.into_response()))
}

/// The body has to be taken off the connection, or the connection closes under the client's next
/// request. One that is too large, or too slow, is told so.
async fn refuse(refused: Error, request: Request) -> Response {
    let body = Limited::new(request.into_body(), UNWANTED_BYTES).collect();
    let taken = tokio::time::timeout(UNWANTED, body).await;
    let mut response = refused.into_response();
    if !matches!(taken, Ok(Ok(_))) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
