//! A WebSocket as messages of JSON, with what keeps it alive and what ends it.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde_json::Value;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Between two pings.
const PING: Duration = Duration::from_secs(20);
/// After which a silent client is taken for gone.
const SILENCE: Duration = Duration::from_secs(60);
/// For the last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// RFC 6455, section 5.5: what a close frame may hold beside its code.
const REASON_BYTES_MAX: usize = 123;

/// Why a socket is closed by this side; RFC 6455, section 7.4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Close {
    pub(super) fn going_away() -> Self {
        Self::new(1001, "the host is stopping")
    }

    pub(super) fn protocol(reason: &str) -> Self {
        Self::new(1002, reason)
    }

    pub(super) fn policy(reason: &str) -> Self {
        Self::new(1008, reason)
    }

    pub(super) fn trouble(reason: &str) -> Self {
        Self::new(1011, reason)
    }

    /// There is no place now.
    pub(super) fn later(reason: &str) -> Self {
        Self::new(1013, reason)
    }

    /// The other side has gone, or does not take what is sent.
    fn gone() -> Self {
        Self::new(1006, "")
    }

    fn new(code: u16, reason: &str) -> Self {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        Self {
            code,
            reason: reason[..end].to_owned(),
        }
    }
}

pub(super) struct Talk {
    socket: WebSocket,
    ping: Interval,
    heard: Instant,
}

impl Talk {
    pub(super) fn new(socket: WebSocket) -> Self {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        Self {
            socket,
            ping,
            heard: Instant::now(),
        }
    }

    /// One of the messages that open the conversation; `None` when the client has gone.
    pub(super) async fn receive_within(&mut self, patience: Duration) -> Result<Option<Value>, Close> {
        match tokio::time::timeout(patience, self.receive()).await {
            Ok(received) => received,
            Err(_) => Err(Close::policy("no message has come for too long")),
        }
    }

    /// The next message; `None` when the client has gone. Nothing is lost when it is not waited for
    /// to the end.
    pub(super) async fn receive(&mut self) -> Result<Option<Value>, Close> {
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            return serde_json::from_str(&text)
                                .map(Some)
                                .map_err(|error| Close::protocol(&format!("a message is no JSON: {error}")));
                        }
                        Some(Ok(Message::Binary(bytes))) => {
                            return serde_json::from_slice(&bytes)
                                .map(Some)
                                .map_err(|error| Close::protocol(&format!("a message is no JSON: {error}")));
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                    }
                }
                _ = self.ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Ok(None);
                    }
                    self.send_message(Message::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    pub(super) async fn send(&mut self, value: &Value) -> Result<(), Close> {
        self.send_message(Message::Text(value.to_string().into())).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Close> {
        self.socket.send(message).await.map_err(|_| Close::gone())
    }

    pub(super) async fn close(mut self, close: Close) {
        if close == Close::gone() {
            return;
        }
        let frame = CloseFrame {
            code: close.code,
            reason: close.reason.into(),
        };
        let farewell = async {
            let _ = self.socket.send(Message::Close(Some(frame))).await;
            // The other side closes the connection when it has read this.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}
