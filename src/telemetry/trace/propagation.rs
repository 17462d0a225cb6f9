//! Reads the caller's W3C trace context, strictly.
//!
//! Used by [`super::Tracer::begin_request`]. Invariant: what is not a valid `traceparent` is as good
//! as none, and a bad `tracestate` never loses a good `traceparent`.

use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const VERSION_0_LENGTH: usize = 55;

/// The caller's span, if the headers name a valid one.
pub(super) fn remote_parent(headers: &impl Extractor) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = traceparent(headers.get("traceparent")?.trim())?;
    let state = headers.get_all("tracestate").unwrap_or_default();
    let state =
        if state.is_empty() { TraceState::default() } else { state.join(",").parse().unwrap_or_default() };
    Some(SpanContext::new(trace_id, span_id, flags, true, state))
}

fn traceparent(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < VERSION_0_LENGTH {
        return None;
    }
    let version = u8::try_from(hex(&text[..2])?).ok()?;
    // A later version may have more fields after ours; version 255 is forbidden.
    let ends = bytes.get(VERSION_0_LENGTH).is_none_or(|next| version > 0 && *next == b'-');
    let dashes = [2, 35, 52].iter().all(|&at| bytes[at] == b'-');
    if version == u8::MAX || !ends || !dashes {
        return None;
    }
    let trace_id = TraceId::from(hex(&text[3..35])?);
    let span_id = SpanId::from(u64::try_from(hex(&text[36..52])?).ok()?);
    let flags = TraceFlags::new(u8::try_from(hex(&text[53..55])?).ok()?) & TraceFlags::SAMPLED;
    (trace_id != TraceId::INVALID && span_id != SpanId::INVALID).then_some((trace_id, span_id, flags))
}

fn hex(text: &str) -> Option<u128> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
