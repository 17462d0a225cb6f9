//! An event as every output has it: its fields, and the ids that join logs to traces and requests.
//!
//! [`EventLayer`] gathers them once for its output, be it lines or records. Invariant: what an output is given is
//! bounded: no text is longer than [`MAX_TEXT`] and an ellipsis.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Bytes of the longest text.
pub(super) const MAX_TEXT: usize = 1024;
/// Keys that every output may have of its own.
const OWN: [&str; 4] = ["timestamp", "level", "message", "target"];
pub(super) const IDS: [&str; 3] = ["trace_id", "span_id", "request_id"];

/// Takes events.
pub(super) trait Output: Send + Sync + 'static {
    /// Writes one, wherever it goes. Its faults are nobody's concern: there is no place left to tell them.
    fn take(&self, entry: Entry);
}

/// An event, ready to be written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) time: SystemTime,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) message: Value,
    /// Those of [`IDS`] that are known.
    pub(super) ids: Map<String, Value>,
    /// Whether the trace is recorded; not known of ids that are fields.
    pub(super) is_sampled: bool,
    fields: Map<String, Value>,
}

impl Entry {
    /// The other fields, none of which is named as what every output has.
    pub(super) fn fields(&self) -> impl Iterator<Item = (Cow<'_, str>, &Value)> {
        self.fields.iter().map(|(key, value)| {
            let is_own = OWN.contains(&key.as_str());
            (if is_own { format!("{key}_").into() } else { key.as_str().into() }, value)
        })
    }
}

/// Gives events to an output.
#[derive(Debug)]
pub(super) struct EventLayer<O> {
    output: O,
    dispatch: OnceLock<WeakDispatch>,
}

impl<O> EventLayer<O> {
    pub(super) fn new(output: O) -> Self {
        Self { output, dispatch: OnceLock::new() }
    }
}

/// The ids that a span was given, for the events in it. Each layer keeps its own: their filters may differ.
struct Known<O>(Map<String, Value>, PhantomData<fn() -> O>);

impl<S, O> Layer<S> for EventLayer<O>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    O: Output,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // A layer serves one subscriber; a second registration would be of the same one.
        self.dispatch.get_or_init(|| subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        fields.0.retain(|key, _| IDS.contains(&key.as_str()));
        if let (Some(span), false) = (context.span(id), fields.0.is_empty()) {
            span.extensions_mut().insert(Known::<O>(fields.0, PhantomData));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        fields.0.retain(|key, _| IDS.contains(&key.as_str()));
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(Known(known, _)) = extensions.get_mut::<Known<O>>() {
            known.extend(fields.0);
        } else {
            extensions.insert(Known::<O>(fields.0, PhantomData));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        let message = fields.remove("message").unwrap_or_else(|| "".into());
        let (ids, is_sampled) = self.ids(event, &context, &mut fields);
        let (time, metadata) = (SystemTime::now(), event.metadata());
        self.output.take(Entry { time, metadata, message, ids, is_sampled, fields });
    }
}

impl<O: Output> EventLayer<O> {
    /// The ids of an event: its own, else those of the spans around it; and whether its trace is recorded.
    fn ids<S>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        fields: &mut Map<String, Value>,
    ) -> (Map<String, Value>, bool)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let own = IDS.into_iter().filter_map(|key| Some((key.to_owned(), fields.remove(key)?)));
        let mut ids: Map<String, Value> = own.collect();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Known(known, _)) = span.extensions().get::<Known<O>>() {
                for (key, value) in known {
                    ids.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let current = context.lookup_current().map(|span| span.id());
        if let (Some(dispatch), Some(id), false) = (dispatch, current, ids.contains_key("trace_id"))
            && let Some(otel) = tracing_opentelemetry::get_otel_context(&id, &dispatch)
            && otel.span().span_context().is_valid()
        {
            let span = otel.span();
            ids.insert("trace_id".to_owned(), span.span_context().trace_id().to_string().into());
            ids.insert("span_id".to_owned(), span.span_context().span_id().to_string().into());
            return (ids, span.span_context().is_sampled());
        }
        (ids, false)
    }
}

/// Fields by name, each text bounded.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity; as text they are still told.
        if value.is_finite() { self.set(field, value) } else { self.set(field, value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, bounded(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, bounded(format_args!("{value:?}")));
    }
}

/// The text, with an ellipsis where it was cut.
fn bounded(text: fmt::Arguments<'_>) -> String {
    let mut taken = Bounded(String::new());
    if fmt::write(&mut taken, text).is_err() {
        taken.0.push('…');
    }
    taken.0
}

/// Takes text until [`MAX_TEXT`], then stops whoever writes it.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        let end = text.floor_char_boundary(room.min(text.len()));
        self.0.push_str(&text[..end]);
        if end == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
