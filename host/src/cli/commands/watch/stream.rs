//! The events of one flow run as a server sends them (WHATWG HTML, section 9.2), read by a thread of
//! their own: whoever draws never waits for the network. A server that goes away is waited for, and
//! told the last id when it comes back, so nothing is shown twice and nothing is left out.

#![allow(clippy::disallowed_methods, reason = "a command line client waits between two tries")]

use std::io::{BufRead, Read as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::client::{self, Client};
use crate::cli::exit::{Exit, Failure};

/// Events that are read and not shown yet; then the server waits.
const AHEAD: usize = 1_024;
const LINES_AHEAD: usize = 16;
/// How long a server may be away, for a restart.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(150);
/// The same for one that is there and has no place.
const NO_PLACE: Duration = Duration::from_secs(1);
/// After which a server that says nothing is away: it sends a comment each 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest line: a log line or a state with its message.
const LINE_BYTES_MAX: u64 = 16 << 20;

pub(in crate::cli::commands) enum News {
    Event(Event),
    /// The server does not answer, or not now, and is waited for.
    Away(String),
    /// It has not come back, or does not know the run.
    Gone(Failure),
    /// Nothing follows.
    End,
    /// Ctrl-C.
    Interrupted,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli::commands) struct Event {
    pub(in crate::cli::commands) kind: String,
    pub(in crate::cli::commands) data: Value,
}

pub(in crate::cli::commands) struct Stream {
    news: Receiver<News>,
}

impl Stream {
    pub(in crate::cli::commands) fn open(client: &Client, run: &str) -> Self {
        let (sender, news) = mpsc::sync_channel(AHEAD);
        let interrupts = sender.clone();
        let mut reader = Reader {
            client: client.clone(),
            path: format!("/runs/{run}/stream"),
            last_id: None,
            sender,
            silence: SILENCE,
        };
        // Both end with the program.
        thread::spawn(move || reader.run());
        thread::spawn(move || interrupted(&interrupts));
        Self { news }
    }

    /// What comes next, if it comes in time.
    pub(in crate::cli::commands) fn next(&self, wait: Duration) -> Option<News> {
        match self.news.recv_timeout(wait) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(News::End),
        }
    }

    /// What has come already.
    pub(super) fn at_hand(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Lets more come.
    pub(super) fn rest(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// Sends [`News::Interrupted`] at the first Ctrl-C.
fn interrupted(to: &SyncSender<News>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
        let _ = to.send(News::Interrupted);
    }
}

struct Reader {
    client: Client,
    path: String,
    last_id: Option<String>,
    sender: SyncSender<News>,
    /// [`SILENCE`].
    silence: Duration,
}

/// How a connection has ended.
enum Left {
    /// The stream has.
    Over,
    /// The server has closed it, and is asked for the rest.
    Closed,
    Away(Failure),
}

impl Reader {
    fn run(&mut self) {
        let mut away_since: Option<Instant> = None;
        loop {
            let failure = match self.read(&mut away_since) {
                Ok(Left::Over) => return self.tell(News::End),
                Ok(Left::Closed) => {
                    thread::sleep(AGAIN);
                    continue;
                }
                // Nothing that waiting mends.
                Err(failure) => return self.tell(News::Gone(failure)),
                Ok(Left::Away(failure)) => failure,
            };
            let since = *away_since.get_or_insert_with(|| {
                let seconds = PATIENCE.as_secs();
                self.tell(News::Away(format!("{}; waiting for it for {seconds} s", failure.error)));
                Instant::now()
            });
            if since.elapsed() > PATIENCE {
                return self.tell(News::Gone(failure));
            }
            thread::sleep(match failure.exit {
                Exit::Unreachable => AGAIN,
                _ => NO_PLACE,
            });
        }
    }

    /// Until the connection ends.
    fn read(&mut self, away_since: &mut Option<Instant>) -> Result<Left, Failure> {
        let lines = match self.client.stream(&self.path, self.last_id.as_deref())? {
            client::Stream::Lines(lines) => lines_of(lines),
            client::Stream::Over => return Ok(Left::Over),
            client::Stream::Away(failure) => return Ok(Left::Away(failure)),
        };
        let mut message = Message::default();
        loop {
            let line = match lines.recv_timeout(self.silence) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return Ok(Left::Closed),
                Err(RecvTimeoutError::Timeout) => return Ok(Left::Away(self.client.silent(self.silence))),
            };
            *away_since = None;
            let event = message.line(line.trim_end_matches(['\r', '\n']));
            // Also one that comes alone.
            if line.trim_end().is_empty() && message.id.is_some() {
                self.last_id.clone_from(&message.id);
            }
            let Some(event) = event else { continue };
            let ended = event.kind == "end";
            self.tell(News::Event(event));
            if ended {
                return Ok(Left::Over);
            }
        }
    }

    fn tell(&self, news: News) {
        // Without a listener the program ends.
        let _ = self.sender.send(news);
    }
}

/// Line by line, by a thread that nobody has to wait for: reading has no end of its own.
fn lines_of(mut from: Box<dyn BufRead + Send>) -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(LINES_AHEAD);
    thread::spawn(move || {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) || sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

/// A message as it is put together, line by line.
#[derive(Debug, Default)]
struct Message {
    kind: String,
    data: String,
    /// Stays until another one comes.
    id: Option<String>,
}

impl Message {
    /// The event that an empty line completes.
    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = std::mem::take(&mut self.data);
            let data = serde_json::from_str(&data).ok()?;
            return Some(Event { kind, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => {
                self.data.push('\n');
                self.data.push_str(value);
            }
            "id" => self.id = Some(value.to_owned()),
            // `retry`, and comments, which have no name.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests;
