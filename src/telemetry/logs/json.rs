//! One JSON object a line, with the ids that join logs to traces and requests.
//!
//! Installed by [`super::install`]. Invariant: every line parses, has each key once, and is bounded:
//! no text in it is longer than [`MAX_TEXT`] and an ellipsis.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::timestamp::rfc3339;

/// Bytes of the longest text in a line.
pub(super) const MAX_TEXT: usize = 1024;
/// Keys that every line may have of its own.
const OWN: [&str; 4] = ["timestamp", "level", "message", "target"];
const IDS: [&str; 3] = ["trace_id", "span_id", "request_id"];

/// Writes events as JSON lines.
#[derive(Debug)]
pub(super) struct JsonLayer<W> {
    writer: W,
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> JsonLayer<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, dispatch: OnceLock::new() }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
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
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        fields.0.retain(|key, _| IDS.contains(&key.as_str()));
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(Fields(known)) = extensions.get_mut::<Fields>() {
            known.extend(fields.0);
        } else {
            extensions.insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        let metadata = event.metadata();
        let mut line = Line::default();
        line.add("timestamp", &rfc3339(SystemTime::now()).into());
        line.add("level", &metadata.level().as_str().into());
        line.add("message", &fields.remove("message").unwrap_or_else(|| "".into()));
        line.add("target", &metadata.target().into());
        let ids = self.ids(event, &context, &mut fields);
        for (key, value) in IDS.into_iter().filter_map(|key| Some((key, ids.get(key)?))) {
            line.add(key, value);
        }
        for (key, value) in &fields {
            if OWN.contains(&key.as_str()) {
                line.add(&format!("{key}_"), value);
            } else {
                line.add(key, value);
            }
        }
        drop(self.writer.make_writer().write_all(line.finished().as_bytes()));
    }
}

impl<W> JsonLayer<W> {
    /// The ids of an event: its own, else those of the spans around it.
    fn ids<S>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        fields: &mut Map<String, Value>,
    ) -> Map<String, Value>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let own = IDS.into_iter().filter_map(|key| Some((key.to_owned(), fields.remove(key)?)));
        let mut ids: Map<String, Value> = own.collect();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(known)) = span.extensions().get::<Fields>() {
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
        }
        ids
    }
}

/// A JSON object on one line, its keys in the order they were added.
#[derive(Debug, Default)]
struct Line(String);

impl Line {
    fn add(&mut self, key: &str, value: &Value) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&Value::from(key).to_string());
        self.0.push(':');
        self.0.push_str(&value.to_string());
    }

    fn finished(mut self) -> String {
        self.0.push_str("}\n");
        self.0
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
