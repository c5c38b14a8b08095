//! Ids of traces and spans, and the header that carries them (W3C Trace Context, level 1).
//!
//! A trace has the id of its flow run. A span has the first eight bytes of a version 5 UUID: of an
//! attempt it is the one that workers know the attempt by, so a Celery id begins with its span. The
//! version stands among them, so none is all zeros, which would be no id.

use std::fmt;

use grepx_engine::{FlowRunId, NodeId};
use uuid::Uuid;

/// The label in which Prefect's clients leave what led to a flow run, as that header has it.
pub const CALLER_LABEL: &str = "__OTEL_TRACEPARENT";
/// As many low bits of a trace id are random, by the specification and in every id of ours.
const RANDOM_BITS: u32 = 56;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub(super) [u8; 16]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub(super) [u8; 8]);

/// A span in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub trace: TraceId,
    pub span: SpanId,
}

impl TraceId {
    #[must_use]
    pub fn of(run: FlowRunId) -> Self {
        Self(*run.0.as_bytes())
    }

    /// The same in every process, and for whoever decides by the same bits: what is in a sample of
    /// 10 % is in one of 20 %.
    #[must_use]
    pub fn is_sampled(self, percent: u8) -> bool {
        let range = 1_u128 << RANDOM_BITS;
        let random = u128::from_be_bytes(self.0) % range;
        random * 100 >= range * u128::from(100 - percent.min(100))
    }
}

impl SpanId {
    fn of(id: Uuid) -> Self {
        Self(id.as_u64_pair().0.to_be_bytes())
    }
}

impl Place {
    /// Of a flow run, each time that it goes on after its end anew.
    #[must_use]
    pub fn of_run(run: FlowRunId, round: u32) -> Self {
        let mut name = *b"flow run\0\0\0\0";
        name[8..].copy_from_slice(&round.to_be_bytes());
        Self {
            trace: TraceId::of(run),
            span: SpanId::of(Uuid::new_v5(&run.0, &name)),
        }
    }

    /// Of an attempt of a task run.
    #[must_use]
    pub fn of_attempt(run: FlowRunId, node: NodeId, attempt: u32) -> Self {
        Self {
            trace: TraceId::of(run),
            span: SpanId::of(node.run_id(run).attempt_key(attempt)),
        }
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(self, sampled: bool) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, u8::from(sampled))
    }

    /// Reads that header; a later version may have more fields.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut fields = traceparent.trim().split('-');
        let version = hex::<1>(fields.next()?)?;
        let (trace, span) = (hex(fields.next()?)?, hex(fields.next()?)?);
        hex::<1>(fields.next()?)?;
        let ends = fields.next().is_none() || version > [0];
        let usable = ends && version != [0xff] && trace != [0; 16] && span != [0; 8];
        usable.then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
        })
    }
}

/// Lower case, as the specification has it.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let shaped = text.len() == 2 * N && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate().take_while(|_| shaped) {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    shaped.then_some(bytes)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
