//! Connections: how many, and how long each may keep us waiting. A client that sends nothing, or a
//! byte now and then, or takes nothing of its answer, loses its connection; further ones wait in the system's queue.
//!
//! Absent on purpose: HTTP/2 and TLS, which a proxy in front has.

mod patient;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::door::Peer;
use super::traffic::Traffic;
use crate::config::Server;
use patient::Patient;

/// Bytes of a request's head at most: more than any client sends, less than hurts.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// After the system has refused a connection for want of something, such as open files.
const BREATH: Duration = Duration::from_secs(1);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// At once.
    pub connections: usize,
    /// For a request's head, for the next request, and for the client to take some of an answer.
    pub head: Duration,
}

impl From<&Server> for Patience {
    fn from(server: &Server) -> Self {
        Self {
            connections: server.connections,
            head: server.header_timeout,
        }
    }
}

/// Answers on `listener` until `shutdown`, then ends the requests that it has.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    traffic: Traffic,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let places = Arc::new(Semaphore::new(patience.connections));
    let (closing, open) = (CancellationToken::new(), TaskTracker::new());
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            // Never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let answering = answer(stream, peer, router.clone(), patience.head, closing.clone());
        let (tracked, counted) = (open.track_future(answering), traffic.open());
        crate::task::spawn("connection", async move {
            tracked.await;
            drop((place, counted));
        });
    }
    drop(listener);
    closing.cancel();
    open.close();
    open.wait().await;
}

async fn answer(stream: TcpStream, peer: SocketAddr, router: Router, head: Duration, closing: CancellationToken) {
    // Small answers must not wait for more to send.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| ask(router.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, head)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut told = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection has ended early");
                }
                return;
            }
            () = closing.cancelled(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn ask(router: Router, peer: SocketAddr, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    router.oneshot(request).await
}
