//! The log of one call: bounded in lines and in bytes per line, with a notice where it was cut.
//! The guest's standard output and error end here too, because that is where a panic is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::secrets::Held;
use super::settings::{KIB, Limits};
use super::types::{Level, LogSink};

/// What is kept of a panic's text.
const LAST_WORDS_BYTES: usize = 4 * KIB;
/// Largest single write that a guest may make.
const WRITE_BYTES: usize = 64 * KIB;

pub(super) struct CallLog {
    secrets: Arc<Held>,
    line_bytes: usize,
    lines: u32,
    bytes: usize,
    state: Mutex<State>,
}

struct State {
    sink: Arc<dyn LogSink>,
    lines_left: u32,
    bytes_left: usize,
    progress_left: u32,
    /// An unfinished line of standard output and of standard error.
    partial: [Vec<u8>; 2],
    stderr: String,
    last_error: Option<String>,
}

impl State {
    fn new(sink: Arc<dyn LogSink>, lines: u32, bytes: usize) -> Self {
        Self {
            sink,
            lines_left: lines,
            bytes_left: bytes,
            progress_left: lines,
            partial: [Vec::new(), Vec::new()],
            stderr: String::new(),
            last_error: None,
        }
    }
}

impl CallLog {
    pub(super) fn new(sink: Arc<dyn LogSink>, limits: &Limits, secrets: Arc<Held>) -> Arc<Self> {
        Arc::new(Self {
            secrets,
            line_bytes: limits.log_line_bytes,
            lines: limits.log_lines,
            bytes: limits.log_bytes,
            state: Mutex::new(State::new(sink, limits.log_lines, limits.log_bytes)),
        })
    }

    /// The same streams for the next call of a kept instance, with nothing of the call before.
    pub(super) fn renew(&self, sink: Arc<dyn LogSink>) {
        *self.state() = State::new(sink, self.lines, self.bytes);
    }

    pub(super) fn line(&self, level: Level, message: &str) {
        let mut state = self.state();
        if level == Level::Error {
            state.last_error = Some(cut(&self.secrets.scrub(message), LAST_WORDS_BYTES));
        }
        self.emit(&mut state, level, message);
    }

    /// Not a number and values out of range are put into 0 to 1.
    pub(super) fn progress(&self, fraction: f64, note: &str) {
        let mut state = self.state();
        if let Some(left) = state.progress_left.checked_sub(1) {
            state.progress_left = left;
            let fraction = if fraction.is_nan() {
                0.0
            } else {
                fraction.clamp(0.0, 1.0)
            };
            let note = cut(&self.secrets.scrub(note), self.line_bytes);
            state.sink.progress(fraction, &note);
        }
    }

    /// Passes on what had no end of line.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        for level in [Level::Info, Level::Warn] {
            let rest = std::mem::take(&mut state.partial[slot(level)]);
            self.emit_bytes(&mut state, level, &rest);
        }
    }

    /// What the guest said of its end: a panic's text, else its last error line.
    pub(super) fn last_words(&self) -> Option<String> {
        let state = self.state();
        let stderr = self.secrets.scrub(&state.stderr);
        let panic = stderr.trim();
        match panic.find("panicked at") {
            Some(at) => Some(panic[at..].trim_end_matches(BACKTRACE_NOTE).trim().replace('\n', " ")),
            None if !panic.is_empty() => Some(panic.replace('\n', " ")),
            None => state.last_error.clone(),
        }
    }

    fn write(&self, level: Level, bytes: &[u8]) {
        let mut state = self.state();
        if level == Level::Warn {
            let text = String::from_utf8_lossy(bytes);
            state.stderr.push_str(&text);
            let over = state.stderr.len().saturating_sub(LAST_WORDS_BYTES);
            let from = (over..=state.stderr.len()).find(|at| state.stderr.is_char_boundary(*at));
            state.stderr.drain(..from.unwrap_or(0));
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let partial = &mut state.partial[slot(level)];
            // One byte more than fits, so that the cut is noticed.
            let room = (self.line_bytes + 1).saturating_sub(partial.len());
            partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(partial);
                self.emit_bytes(&mut state, level, &line);
            }
        }
    }

    fn emit_bytes(&self, state: &mut State, level: Level, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if !text.is_empty() {
            self.emit(state, level, text);
        }
    }

    fn emit(&self, state: &mut State, level: Level, message: &str) {
        if state.lines_left == 0 {
            return;
        }
        let text = cut(&self.secrets.scrub(message), self.line_bytes);
        let reached = if state.lines_left == 1 {
            format!("{} log lines", self.lines)
        } else if text.len() > state.bytes_left {
            format!("{} bytes of log", self.bytes)
        } else {
            state.lines_left -= 1;
            state.bytes_left -= text.len();
            return state.sink.line(level, &text);
        };
        state.lines_left = 0;
        let notice = format!("the call reached its limit of {reached}; this and all further lines are dropped");
        state.sink.line(Level::Warn, &notice);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const BACKTRACE_NOTE: &str = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";

fn slot(level: Level) -> usize {
    usize::from(level == Level::Warn)
}

/// `text`, or its beginning with a notice.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{} … [cut at the limit of {limit} bytes]", &text[..end])
}

/// Standard output or error of a guest.
#[derive(Clone)]
pub(super) struct Stream {
    log: Arc<CallLog>,
    level: Level,
}

impl Stream {
    pub(super) fn new(log: &Arc<CallLog>, level: Level) -> Self {
        Self {
            log: Arc::clone(log),
            level,
        }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.level, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.log.write(self.level, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
