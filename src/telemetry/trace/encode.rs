//! Spans as they travel: written once, straight into the buffer that is sent.
//!
//! Source: `opentelemetry/proto/trace/v1/trace.proto`. Building the SDK's spans, converting them into messages and
//! encoding those took several times as long as what the spans tell about. Invariant: no span has more attributes
//! or links than its limits say, and how many were left out is told.

use std::fmt::Write as _;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceState};

use crate::telemetry::otel::LimitOptions;
use crate::telemetry::otlp::ITEM;
use crate::telemetry::otlp::wire::{self, Value};

/// `Span.SpanFlags`: whether it is known if the parent is remote, and that it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
const STATUS_ERROR: u64 = 2;

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For a collector.
    Protobuf,
    /// A line each, for people.
    Text,
}

/// Writes spans in one form, within limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    pub(super) form: Form,
    pub(super) limits: LimitOptions,
}

/// What every span has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) context: &'a SpanContext,
    pub(super) parent: Option<&'a SpanContext>,
    /// Its pieces are put together.
    pub(super) name: [&'a str; 3],
    pub(super) kind: &'a SpanKind,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
}

impl Encoder {
    /// Appends a span, whose attributes, links and status `fill` gives.
    pub(super) fn span(&self, out: &mut Vec<u8>, head: &Head<'_>, fill: impl FnOnce(&mut Fields<'_>)) {
        match self.form {
            Form::Protobuf => wire::message(out, ITEM, |out| {
                write_head(out, head);
                let mut fields = Fields::new(out, self);
                fill(&mut fields);
                fields.finish();
            }),
            Form::Text => {
                describe_head(out, head);
                fill(&mut Fields::new(out, self));
                out.push(b'\n');
            }
        }
    }
}

fn write_head(out: &mut Vec<u8>, head: &Head<'_>) {
    let context = head.context;
    wire::bytes(out, 1, &context.trace_id().to_bytes());
    wire::bytes(out, 2, &context.span_id().to_bytes());
    trace_state(out, 3, context.trace_state());
    let mut flags = u32::from(context.trace_flags().to_u8()) | HAS_IS_REMOTE;
    if let Some(parent) = head.parent.filter(|parent| parent.span_id() != SpanId::INVALID) {
        wire::bytes(out, 4, &parent.span_id().to_bytes());
        flags |= if parent.is_remote() { IS_REMOTE } else { 0 };
    }
    wire::message(out, 5, |out| head.name.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes())));
    wire::varint(out, 6, kind_number(head.kind));
    wire::fixed64(out, 7, wire::nanos(head.began));
    wire::fixed64(out, 8, wire::nanos(head.ended));
    wire::fixed32(out, 16, flags);
}

fn kind_number(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn trace_state(out: &mut Vec<u8>, field: u32, state: &TraceState) {
    // Nearly all callers have none, and the header costs an allocation.
    if *state != TraceState::NONE {
        wire::bytes(out, field, state.header().as_bytes());
    }
}

fn describe_head(out: &mut Vec<u8>, head: &Head<'_>) {
    let mut text = String::new();
    let (context, name) = (head.context, head.name.concat());
    let parent = head.parent.map_or(SpanId::INVALID, SpanContext::span_id);
    let micros = head.ended.duration_since(head.began).unwrap_or_default().as_micros();
    let (trace, id, start) = (context.trace_id(), context.span_id(), wire::nanos(head.began) / 1000);
    // Writing to a string does not fail.
    write!(text, "span {name:?} trace={trace} id={id} parent={parent} start_us={start} us={micros}")
        .unwrap_or_default();
    out.extend_from_slice(text.as_bytes());
}

/// The attributes, links and status of the span at hand.
pub(super) struct Fields<'o> {
    out: &'o mut Vec<u8>,
    form: Form,
    limits: &'o LimitOptions,
    attributes: u32,
    links: u32,
    dropped_attributes: u32,
    dropped_links: u32,
    dropped_events: u32,
    events: u32,
    is_error: bool,
}

impl<'o> Fields<'o> {
    fn new(out: &'o mut Vec<u8>, encoder: &'o Encoder) -> Self {
        Self {
            out,
            form: encoder.form,
            limits: &encoder.limits,
            attributes: 0,
            links: 0,
            dropped_attributes: 0,
            dropped_links: 0,
            dropped_events: 0,
            events: 0,
            is_error: false,
        }
    }

    /// An attribute. The caller gives no key twice.
    pub(super) fn attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        if self.attributes >= self.limits.attributes {
            self.dropped_attributes += 1;
            return;
        }
        self.attributes += 1;
        let value = cut(value.into(), self.limits.value_length);
        match self.form {
            Form::Protobuf => wire::attribute(self.out, 9, key, value),
            Form::Text => {
                let text = match value {
                    Value::Text(text) => text.to_owned(),
                    Value::Bool(yes) => yes.to_string(),
                    Value::Integer(number) => number.to_string(),
                    Value::Float(number) => number.to_string(),
                };
                for part in [" ", key, "=", &text] {
                    self.out.extend_from_slice(part.as_bytes());
                }
            }
        }
    }

    /// An attribute that may be absent.
    pub(super) fn optional<'v>(&mut self, key: &str, value: Option<impl Into<Value<'v>>>) {
        if let Some(value) = value {
            self.attribute(key, value);
        }
    }

    /// A link to another span, with attributes of its own.
    pub(super) fn link(&mut self, context: &SpanContext, attributes: &[(&str, Value<'_>)]) {
        if self.links >= self.limits.links {
            self.dropped_links += 1;
            return;
        }
        self.links += 1;
        if self.form == Form::Text {
            let text = format!(" link={}-{}", context.trace_id(), context.span_id());
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        let remote = if context.is_remote() { IS_REMOTE } else { 0 };
        let (kept, dropped) = within(attributes, self.limits.attributes_per_link);
        let length = self.limits.value_length;
        wire::message(self.out, 13, |out| {
            wire::bytes(out, 1, &context.trace_id().to_bytes());
            wire::bytes(out, 2, &context.span_id().to_bytes());
            trace_state(out, 3, context.trace_state());
            for (key, value) in kept {
                wire::attribute(out, 4, key, cut(*value, length));
            }
            counted(out, 5, dropped);
            wire::fixed32(out, 6, u32::from(context.trace_flags().to_u8()) | HAS_IS_REMOTE | remote);
        });
    }

    /// Something that happened amid the span.
    pub(super) fn event(&mut self, at: SystemTime, name: &str, attributes: &[(&str, Value<'_>)]) {
        if self.events >= self.limits.events || self.form == Form::Text {
            self.dropped_events += 1;
            return;
        }
        self.events += 1;
        let (kept, dropped) = within(attributes, self.limits.attributes_per_event);
        let length = self.limits.value_length;
        wire::message(self.out, 11, |out| {
            wire::fixed64(out, 1, wire::nanos(at));
            wire::bytes(out, 2, name.as_bytes());
            for (key, value) in kept {
                wire::attribute(out, 3, key, cut(*value, length));
            }
            counted(out, 4, dropped);
        });
    }

    /// The span's status is an error; the code says which.
    pub(super) fn failed(&mut self) {
        self.is_error = true;
    }

    fn finish(self) {
        counted(self.out, 10, self.dropped_attributes);
        counted(self.out, 12, self.dropped_events);
        counted(self.out, 14, self.dropped_links);
        if self.is_error {
            wire::message(self.out, 15, |out| wire::varint(out, 3, STATUS_ERROR));
        }
    }
}

fn within<'a, 'v>(list: &'a [(&'a str, Value<'v>)], limit: u32) -> (&'a [(&'a str, Value<'v>)], u32) {
    let kept = list.len().min(limit as usize);
    (&list[..kept], u32::try_from(list.len() - kept).unwrap_or(u32::MAX))
}

fn counted(out: &mut Vec<u8>, field: u32, count: u32) {
    if count > 0 {
        wire::varint(out, field, u64::from(count));
    }
}

/// A text of at most `length` characters.
fn cut(value: Value<'_>, length: Option<usize>) -> Value<'_> {
    match (value, length) {
        (Value::Text(text), Some(length)) => Value::Text(wire::cut(text, length)),
        (value, _) => value,
    }
}
