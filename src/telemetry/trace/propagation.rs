//! What a caller says of its trace: W3C trace context, strictly, and B3.
//!
//! Used by [`super::Tracer::begin_request`]. Invariant: what is not valid is as good as none, and a bad
//! `tracestate` never loses a good `traceparent`.

use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::telemetry::otel::Propagator;

const VERSION_0_LENGTH: usize = 55;

/// The caller's span and its decision, as far as the headers tell them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Caller {
    /// Its span.
    pub(super) context: Option<SpanContext>,
    /// Whether it wants the trace recorded; none where it leaves that to us.
    pub(super) sampled: Option<bool>,
}

/// What the headers say in the formats that are read; of several the last one that says anything, as
/// the specification's composite propagator has it.
pub(super) fn caller(headers: &impl Extractor, propagators: &[Propagator]) -> Caller {
    let said = propagators.iter().rev().find_map(|propagator| match propagator {
        Propagator::TraceContext => trace_context(headers),
        Propagator::B3 => b3(headers),
    });
    said.unwrap_or_default()
}

fn trace_context(headers: &impl Extractor) -> Option<Caller> {
    let (trace_id, span_id, flags) = traceparent(headers.get("traceparent")?.trim())?;
    let state = headers.get_all("tracestate").unwrap_or_default();
    let state =
        if state.is_empty() { TraceState::default() } else { state.join(",").parse().unwrap_or_default() };
    let context = SpanContext::new(trace_id, span_id, flags, true, state);
    Some(Caller { sampled: Some(context.is_sampled()), context: Some(context) })
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

/// Source: the specification of B3 propagation (openzipkin/b3-propagation): the header `b3`, else the several.
fn b3(headers: &impl Extractor) -> Option<Caller> {
    headers.get("b3").and_then(|text| b3_single(text.trim())).or_else(|| b3_several(headers))
}

/// `{trace}-{span}`, maybe with `-{sampled}` and `-{parent}`; or the decision alone.
fn b3_single(text: &str) -> Option<Caller> {
    let mut parts = text.split('-');
    let (first, second) = (parts.next()?, parts.next());
    let Some(span) = second else {
        return Some(Caller { context: None, sampled: Some(b3_decision(first)?) });
    };
    let sampled = match parts.next() {
        Some(text) => Some(b3_decision(text)?),
        None => None,
    };
    let parent_is_fine = parts.next().is_none_or(|parent| parent.len() == 16 && hex(parent).is_some());
    if !parent_is_fine || parts.next().is_some() {
        return None;
    }
    b3_caller(first, span, sampled)
}

fn b3_several(headers: &impl Extractor) -> Option<Caller> {
    let text = |name| headers.get(name).map(str::trim);
    let is_debug = text("x-b3-flags") == Some("1");
    let sampled = if is_debug { Some(true) } else { text("x-b3-sampled").and_then(b3_decision) };
    match (text("x-b3-traceid"), text("x-b3-spanid")) {
        (Some(trace), Some(span)) => b3_caller(trace, span, sampled),
        _ => sampled.map(|sampled| Caller { context: None, sampled: Some(sampled) }),
    }
}

/// `d` asks for debugging, which is recorded like any other. Older callers write words.
fn b3_decision(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn b3_caller(trace: &str, span: &str, sampled: Option<bool>) -> Option<Caller> {
    let lower = |text: &str| hex(&text.to_ascii_lowercase());
    // Ids of 64 bits are those of 128 with zeros before them.
    let trace_id = matches!(trace.len(), 16 | 32).then(|| lower(trace)).flatten().map(TraceId::from)?;
    let span_id = (span.len() == 16).then(|| lower(span)).flatten()?;
    let span_id = SpanId::from(u64::try_from(span_id).ok()?);
    if trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
        return None;
    }
    let flags = if sampled == Some(true) { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    Some(Caller { context: Some(context), sampled })
}

fn hex(text: &str) -> Option<u128> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn read(headers: &[(&str, &str)], propagators: &[Propagator]) -> Caller {
        let headers: HashMap<String, String> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        caller(&headers, propagators)
    }

    /// The ids, and the decision.
    fn shown(caller: &Caller) -> (String, Option<bool>) {
        let ids = caller.context.as_ref();
        let ids = ids.map_or_else(String::new, |ids| format!("{}-{}", ids.trace_id(), ids.span_id()));
        (ids, caller.sampled)
    }

    #[test]
    fn one_header_of_b3_is_read_in_all_its_forms() {
        let both = format!("{TRACE}-{SPAN}");
        let short = format!("0000000000000000{}-{SPAN}", &TRACE[16..]);
        for (text, ids, sampled) in [
            (both.clone(), both.as_str(), None),
            (format!("{both}-1"), &both, Some(true)),
            (format!("{both}-0"), &both, Some(false)),
            (format!("{both}-d"), &both, Some(true)),
            (format!("{both}-1-05e3ac9a4f6e3b90"), &both, Some(true)),
            (format!("{}-{SPAN}-1", &TRACE[16..]), &short, Some(true)),
            (both.to_ascii_uppercase(), &both, None),
            ("0".to_owned(), "", Some(false)),
            ("1".to_owned(), "", Some(true)),
            ("d".to_owned(), "", Some(true)),
            (format!("{both}-x"), "", None),
            (format!("{both}-1-short"), "", None),
            (format!("{both}-1-05e3ac9a4f6e3b90-more"), "", None),
            (format!("{TRACE}-{}", "0".repeat(16)), "", None),
            (format!("{}-{SPAN}", "0".repeat(32)), "", None),
            (format!("{TRACE}0-{SPAN}"), "", None),
            (format!("{TRACE}-ä{}", &SPAN[2..]), "", None),
            (String::new(), "", None),
        ] {
            let caller = read(&[("b3", &text)], &[Propagator::B3]);
            assert_eq!(shown(&caller), (ids.to_owned(), sampled), "{text:?}");
            assert!(caller.context.is_none_or(|ids| ids.is_sampled() == (sampled == Some(true))));
        }
    }

    #[test]
    fn several_headers_of_b3_are_read_too_and_the_one_comes_first() {
        let ids = format!("{TRACE}-{SPAN}");
        let several = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        let with = |more: &[(&'static str, &'static str)]| {
            shown(&read(&[&several[..], more].concat(), &[Propagator::B3]))
        };
        assert_eq!(with(&[]), (ids.clone(), None));
        assert_eq!(with(&[("x-b3-sampled", "1")]), (ids.clone(), Some(true)));
        assert_eq!(with(&[("x-b3-sampled", "0")]), (ids.clone(), Some(false)));
        assert_eq!(with(&[("x-b3-sampled", "0"), ("x-b3-flags", "1")]), (ids.clone(), Some(true)));
        assert_eq!(with(&[("b3", "0")]), (String::new(), Some(false)));
        assert_eq!(with(&[("b3", "garbage")]), (ids, None));
        assert_eq!(shown(&read(&[("x-b3-sampled", "0")], &[Propagator::B3])), (String::new(), Some(false)));
        assert_eq!(read(&[("x-b3-traceid", TRACE)], &[Propagator::B3]), Caller::default());
    }

    #[test]
    fn of_several_formats_the_last_that_says_anything_counts() {
        let traceparent = format!("00-{TRACE}-{SPAN}-01");
        let other = "1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-0";
        let headers = [("traceparent", traceparent.as_str()), ("b3", other)];
        let first = |propagators: &[Propagator], headers: &[(&str, &str)]| {
            shown(&read(headers, propagators)).0.chars().next()
        };
        let (w3c, b3) = (Propagator::TraceContext, Propagator::B3);
        assert_eq!(first(&[w3c, b3], &headers), Some('1'));
        assert_eq!(first(&[b3, w3c], &headers), Some('0'));
        assert_eq!(first(&[w3c, b3], &headers[..1]), Some('0'));
        assert_eq!(first(&[w3c], &headers[1..]), None);
        assert_eq!(first(&[], &headers), None);
    }
}
