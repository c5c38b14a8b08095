//! Spans as OTLP has them, in its protobuf. The only file that knows the wire format.

use grepx_engine::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as wire;
use prost::Message as _;

use super::{Attribute, Place, Span};

pub(super) const CONTENT_TYPE: &str = "application/x-protobuf";
/// Of spans and links that are sent: W3C's flag `sampled`.
const SAMPLED: u32 = 1;

/// The body of a request.
pub(super) fn request(spans: &[Span], service_name: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = Resource {
        attributes: vec![
            attribute("service.name", text(service_name)),
            attribute("service.version", text(version)),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "grepx-host".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = wire::ScopeSpans {
        scope: Some(scope),
        spans: spans.iter().map(span).collect(),
        ..wire::ScopeSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![wire::ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![spans],
            ..wire::ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

/// Spans that a collector refused, with its reason, although it took the request.
pub(super) fn refused(answer: &[u8]) -> Option<(usize, String)> {
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let spans = usize::try_from(partial.rejected_spans)
        .ok()
        .filter(|spans| *spans > 0)?;
    Some((spans, partial.error_message))
}

fn span(span: &Span) -> wire::Span {
    let kind = match span.is_producer {
        true => wire::span::SpanKind::Producer,
        false => wire::span::SpanKind::Internal,
    };
    wire::Span {
        trace_id: span.place.trace.0.to_vec(),
        span_id: span.place.span.0.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        flags: SAMPLED,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: span
            .attributes
            .iter()
            .map(|(key, value)| attribute(key, any(value)))
            .collect(),
        links: span.links.iter().map(link).collect(),
        status: span.error.as_ref().map(|message| wire::Status {
            message: message.clone(),
            code: wire::status::StatusCode::Error.into(),
        }),
        ..wire::Span::default()
    }
}

fn link(place: &Place) -> wire::span::Link {
    wire::span::Link {
        trace_id: place.trace.0.to_vec(),
        span_id: place.span.0.to_vec(),
        ..wire::span::Link::default()
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn any(value: &Attribute) -> any_value::Value {
    match value {
        Attribute::Text(value) => text(value),
        Attribute::Number(number) => any_value::Value::IntValue(*number),
        Attribute::Texts(texts) => any_value::Value::ArrayValue(ArrayValue {
            values: texts
                .iter()
                .map(|value| AnyValue {
                    value: Some(text(value)),
                })
                .collect(),
        }),
    }
}

fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000_000)
}
