//! Tests of the traces, down to what an exporter is given.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use prost::Message;

use super::*;
use crate::telemetry::BuildInfo;
use crate::telemetry::labels::{Outcome, Stage};
use crate::telemetry::metrics::QueueMetrics;
use crate::telemetry::otlp::{Accepted, ExportError, ExportErrorKind, Origin as Resource};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CALLER_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PLENTY: Duration = Duration::from_secs(10);

struct Traced {
    tracer: Tracer,
    metrics: Arc<Metrics>,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// Waits for what was recorded so far; true when all of it arrived.
fn flush(tracer: &Tracer, limit: Duration) -> bool {
    tracer.await_flush(tracer.begin_flush(), Instant::now() + limit)
}

/// What a collector would read.
fn decoded(items: &[u8]) -> Vec<Span> {
    ScopeSpans::decode(items).unwrap().spans
}

#[expect(clippy::unnecessary_wraps, reason = "as an export answers")]
fn rejected(rejected: u64) -> Answer {
    Ok(Accepted { rejected, message: String::new() })
}

fn http(method: &'static str, route: &'static str) -> Operation {
    Operation::Http { method, route }
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let vars: BTreeMap<String, String> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::from_environment(&vars).0
}

fn metrics() -> Arc<Metrics> {
    let build = BuildInfo {
        version: "1.2.3",
        revision: String::new(),
        rustc: String::new(),
        runtime_version: String::new(),
    };
    Arc::new(Metrics::new(None, &build))
}

impl Traced {
    fn new(pairs: &[(&str, &str)]) -> Self {
        Self::with(pairs, |_| {})
    }

    fn with(pairs: &[(&str, &str)], change: impl FnOnce(&mut Options)) -> Self {
        let traced = Self::stalled(pairs, change);
        let spans = Arc::clone(&traced.spans);
        let capture = move |items: &[u8]| {
            spans.lock().unwrap().extend(decoded(items));
            rejected(0)
        };
        traced.recorder().queue.spawn("test", || capture).unwrap();
        traced
    }

    /// Without a thread: nothing leaves the queue.
    fn stalled(pairs: &[(&str, &str)], change: impl FnOnce(&mut Options)) -> Self {
        let mut options =
            options(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")], pairs].concat());
        change(&mut options);
        let metrics = metrics();
        Self { tracer: Tracer::new(&options, &metrics), metrics, spans: Arc::default() }
    }

    fn recorder(&self) -> &Recorder {
        self.tracer.inner.recorder.as_ref().unwrap()
    }

    fn span_metrics(&self) -> QueueMetrics {
        self.metrics.span_queue()
    }

    fn request(&self, headers: &[(&str, &str)]) -> RequestTrace {
        let headers: HashMap<String, String> =
            headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.tracer.begin_request(&headers, http("POST", "/predict"), SystemTime::now())
    }

    /// What was exported, by name.
    fn exported(&self) -> Vec<Span> {
        assert!(flush(&self.tracer, PLENTY));
        self.spans.lock().unwrap().clone()
    }
}

fn end(status: u16) -> HttpSpanEnd<'static> {
    HttpSpanEnd { status, url_path: "/predict", http_version: "1.1", ..HttpSpanEnd::default() }
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let pair = span.attributes.iter().find(|pair| pair.key == key)?;
    pair.value.clone()?.value
}

#[expect(clippy::unnecessary_wraps, reason = "as an attribute is found")]
fn text(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

/// Trace and span, in hexadecimal.
fn ids(trace: &[u8], span: &[u8]) -> (String, String) {
    let shown = |bytes: &[u8]| {
        let mut text = String::new();
        push_hex(&mut text, bytes);
        text
    };
    (shown(trace), shown(span))
}

fn own(span: &Span) -> (String, String) {
    ids(&span.trace_id, &span.span_id)
}

fn parent(span: &Span) -> String {
    ids(&[], &span.parent_span_id).1
}

/// What the first link of a span points to.
fn linked(span: &Span) -> (String, String) {
    ids(&span.links[0].trace_id, &span.links[0].span_id)
}

/// Zero is unset, two an error.
fn status(span: &Span) -> i32 {
    span.status.as_ref().map_or(0, |status| status.code)
}

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn record(stages: &[(Stage, SystemTime, SystemTime)], batch: Option<SpanContext>) -> InferenceRecord<'_> {
    InferenceRecord {
        model: "m",
        version: "1",
        digest: "sha",
        device: "cpu",
        request_id: "r1",
        input_length: 30,
        input_tokens: Some(7),
        input_truncated: false,
        confidence: Some(0.75),
        batch_size: 2,
        batch_index: 1,
        queue_depth_at_enqueue: 3,
        stages,
        batch,
        error_type: None,
        outcome: Outcome::Ok,
        ended: SystemTime::now(),
    }
}

fn batch(members: &[BatchMember]) -> BatchRecord<'_> {
    let now = SystemTime::now();
    BatchRecord {
        model: "m",
        version: "1",
        device: "cpu",
        provider: "cpu",
        size: members.len(),
        reason: "full",
        padding_ratio: Some(f64::NAN),
        members,
        assembled: (now, now),
        executed: (now, now + Duration::from_millis(2)),
        scattered: (now, now),
        error_type: None,
    }
}

#[test]
fn traceparents_are_followed_or_replaced() {
    let traced = Traced::new(&[]);
    for (header, followed) in [
        (CALLER, true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more", false),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false),
        ("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", false),
        ("0ä-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("", false),
        ("garbage", false),
    ] {
        let request = traced.request(&[("traceparent", header), ("tracestate", "not,a=state,,")]);
        assert_eq!(request.trace_id().to_string() == CALLER_TRACE, followed, "{header}");
        assert_ne!(request.trace_id(), TraceId::INVALID);
    }
    let off = Traced::new(&[("OTEL_PROPAGATORS", "none")]);
    assert_ne!(off.request(&[("traceparent", CALLER)]).trace_id().to_string(), CALLER_TRACE);
}

#[test]
fn samplers_decide_first() {
    const SAMPLED: &str = CALLER;
    const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    for (sampler, arg, root, under_sampled, under_unsampled) in [
        ("always_on", "", true, true, true),
        ("always_off", "", false, false, false),
        ("traceidratio", "1", true, true, true),
        ("traceidratio", "0", false, false, false),
        ("parentbased_always_on", "", true, true, false),
        ("parentbased_always_off", "", false, true, false),
        ("parentbased_traceidratio", "0", false, true, false),
        ("parentbased_traceidratio", "1", true, true, false),
    ] {
        let traced = Traced::new(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
        let sampled = |headers: &[(&str, &str)]| traced.request(headers).is_sampled();
        assert_eq!(sampled(&[]), root, "{sampler}");
        assert_eq!(sampled(&[("traceparent", SAMPLED)]), under_sampled, "{sampler} sampled");
        assert_eq!(sampled(&[("traceparent", UNSAMPLED)]), under_unsampled, "{sampler} unsampled");
    }
}

#[test]
fn an_untrusted_caller_is_linked_not_followed() {
    let traced = Traced::with(&[], |options| options.trust_parent = false);
    let unsampled = CALLER.replace("-01", "-00");
    let request = traced.request(&[("traceparent", &unsampled)]);
    assert!(request.is_sampled());
    assert_ne!(request.trace_id().to_string(), CALLER_TRACE);
    request.finish(&end(200), SystemTime::now());
    let spans = traced.exported();
    assert_eq!((parent(&spans[0]).as_str(), linked(&spans[0]).0.as_str()), ("", CALLER_TRACE));
}

#[test]
fn with_tracing_off_there_are_still_ids() {
    let options = options(&[]);
    let tracer = Tracer::new(&options, &metrics());
    let headers = HashMap::from([("traceparent".to_owned(), CALLER.to_owned())]);
    let mut request = tracer.begin_request(&headers, http("GET", "/health"), SystemTime::now());
    assert_eq!(request.trace_id().to_string(), CALLER_TRACE);
    assert!(!request.is_sampled() && request.begin_inference(SystemTime::now()).context().is_none());
    let expected = format!("00-{CALLER_TRACE}-{}-00", request.span_id());
    assert_eq!(request.traceresponse(), expected);
    assert_ne!(request.span_id(), SpanId::INVALID);
    request.finish(&end(200), SystemTime::now());
    let root = tracer.begin_request(&HashMap::new(), http("GET", "/health"), SystemTime::now());
    assert_ne!(root.trace_id(), TraceId::INVALID);
    assert!(flush(&tracer, Duration::ZERO));
}

#[test]
fn the_tree_is_the_contracts() {
    let traced = Traced::new(&[]);
    let mut request = traced.request(&[("traceparent", CALLER), ("tracestate", "a=1")]);
    let server = request.span_id();
    assert_eq!(request.traceresponse(), format!("00-{CALLER_TRACE}-{server}-01"));
    let started = SystemTime::now();
    let inference = request.begin_inference(started);
    let members = [BatchMember { context: inference.context(), index: 1, input_length: 30 }];
    let together = traced.tracer.record_batch(&batch(&members));
    let times = |from, to| (started + Duration::from_millis(from), started + Duration::from_millis(to));
    let stages: Vec<_> = Stage::ALL
        .into_iter()
        .zip([times(0, 1), times(1, 4), times(4, 5), times(5, 9), times(9, 10)])
        .map(|(stage, (from, to))| (stage, from, to))
        .collect();
    inference.finish(&record(&stages, together));
    request.finish(&end(200), SystemTime::now());
    let spans = traced.exported();
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "POST /predict",
            "batch.assemble",
            "batch.scatter",
            "inference.batch",
            "inference.execute",
            "inference.queue",
            "model-inference",
            "model.execute",
            "postprocess",
            "preprocess",
        ]
    );
    let model = named(&spans, "model-inference");
    assert_eq!(parent(model), server.to_string());
    for stage in ["preprocess", "inference.queue", "inference.execute", "postprocess"] {
        let span = named(&spans, stage);
        assert_eq!((parent(span), own(span).0.as_str()), (own(model).1, CALLER_TRACE), "{stage}");
        assert_eq!((span.kind, span.flags, span.trace_state.as_str()), (1, 0x101, "a=1"), "{stage}");
    }
    let queue = named(&spans, "inference.queue");
    let (from, to) = times(1, 4);
    assert_eq!((queue.start_time_unix_nano, queue.end_time_unix_nano), (nanos(from), nanos(to)));
    assert_eq!(attribute(model, "prediction.confidence"), Some(Value::DoubleValue(0.75)));
    assert_eq!(attribute(model, "inference.queue.wait_ms"), Some(Value::DoubleValue(3.0)));
    let whole = named(&spans, "POST /predict");
    assert_eq!((whole.kind, status(whole), parent(whole).as_str()), (2, 0, &CALLER[36..52]));
    assert_eq!(whole.flags, 0x301, "sampled, and its parent is remote");
    assert_eq!(attribute(whole, "http.response.status_code"), Some(Value::IntValue(200)));
    assert_eq!(attribute(whole, "error.type"), None);
    let (together, execute) = (named(&spans, "inference.batch"), named(&spans, "inference.execute"));
    assert_eq!((linked(together), linked(execute)), (own(model), own(together)));
    assert_eq!(attribute(together, "inference.batch.padding_ratio"), None);
}

#[test]
fn a_batch_is_recorded_when_any_member_is_whatever_the_sampler_says() {
    let traced = Traced::new(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    let mut sampled = traced.request(&[("traceparent", CALLER)]);
    let mut unsampled = traced.request(&[]);
    let now = SystemTime::now();
    let (first, second) = (sampled.begin_inference(now), unsampled.begin_inference(now));
    let member = |context, index| BatchMember { context, index, input_length: 3 };
    assert!(traced.tracer.record_batch(&batch(&[member(second.context(), 0)])).is_none());
    let members = [member(second.context(), 0), member(first.context(), 1)];
    let context = traced.tracer.record_batch(&batch(&members)).unwrap();
    assert!(context.is_sampled());
    assert_ne!(context.trace_id(), sampled.trace_id());
    let spans = traced.exported();
    let span = named(&spans, "inference.batch");
    assert_eq!((parent(span).as_str(), span.links.len()), ("", 1));
    let shown: Vec<(&str, Value)> = span.links[0]
        .attributes
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.clone().unwrap().value.unwrap()))
        .collect();
    let expected = [("inference.batch.index", Value::IntValue(1)), ("input.length", Value::IntValue(3))];
    assert_eq!(shown, expected);
    assert_eq!(parent(named(&spans, "model.execute")), context.span_id().to_string());
}

#[test]
fn a_batch_above_128_keeps_every_link() {
    let traced = Traced::new(&[]);
    let context = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
    let member = |index| BatchMember { context: Some(context.clone()), index, input_length: 1 };
    let members: Vec<_> = (0..1024).map(member).collect();
    assert!(traced.tracer.record_batch(&batch(&members)).is_some());
    let spans = traced.exported();
    let span = named(&spans, "inference.batch");
    assert_eq!((span.links.len(), span.dropped_links_count), (1024, 0));
}

#[test]
fn no_span_holds_more_than_its_limits() {
    let traced =
        Traced::new(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "2"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")]);
    let context = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
    let member = |index| BatchMember { context: Some(context.clone()), index, input_length: 1 };
    assert!(traced.tracer.record_batch(&batch(&[member(0), member(1), member(2)])).is_some());
    let spans = traced.exported();
    let span = named(&spans, "inference.batch");
    assert_eq!((span.links.len(), span.dropped_links_count), (2, 1));
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (3, 2));
}

#[test]
fn errors_are_where_they_happened() {
    let traced = Traced::new(&[]);
    let mut request = traced.request(&[]);
    let now = SystemTime::now();
    let stages = [(Stage::Preprocess, now, now), (Stage::Queue, now, now)];
    let mut late = record(&stages, None);
    late.error_type = Some("deadline_exceeded");
    late.outcome = Outcome::Timeout;
    late.confidence = Some(f64::NAN);
    request.begin_inference(now).finish(&late);
    let response = HttpSpanEnd { error_type: Some("deadline_exceeded"), ..end(504) };
    request.finish(&response, now);
    traced.request(&[]).finish(&HttpSpanEnd { error_type: Some("invalid_input"), ..end(400) }, now);
    let spans = traced.exported();
    let queue = named(&spans, "inference.queue");
    assert_eq!(attribute(queue, "error.type"), text("deadline_exceeded"));
    assert_eq!(attribute(named(&spans, "preprocess"), "error.type"), None);
    let model = named(&spans, "model-inference");
    assert_eq!((status(model), attribute(model, "prediction.confidence")), (2, None));
    let statuses: Vec<i32> = spans.iter().filter(|span| span.name == "POST /predict").map(status).collect();
    assert_eq!(statuses, [2, 0]);
}

#[test]
fn a_dropped_request_still_ends_its_spans() {
    let traced = Traced::new(&[]);
    let mut request = traced.request(&[]);
    drop(request.begin_inference(SystemTime::now()));
    drop(request);
    let spans = traced.exported();
    for name in ["model-inference", "POST /predict"] {
        let span = named(&spans, name);
        assert_eq!(attribute(span, "error.type"), text("client_disconnected"), "{name}");
        assert_eq!(status(span), 0, "{name}");
    }
}

#[test]
fn long_values_are_cut_when_asked_for() {
    let traced = Traced::new(&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")]);
    let response = HttpSpanEnd { user_agent: Some("äöüß-agent"), ..end(200) };
    traced.request(&[]).finish(&response, SystemTime::now());
    let spans = traced.exported();
    assert_eq!(attribute(&spans[0], "user_agent.original"), text("äöüß"));
    assert_eq!(attribute(&spans[0], "http.request.method"), text("POST"));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let traced = Traced::stalled(&[("OTEL_BSP_MAX_QUEUE_SIZE", "3")], |_| {});
    for _ in 0..5 {
        traced.request(&[]).finish(&end(200), SystemTime::now());
    }
    let metrics = traced.span_metrics();
    assert_eq!((metrics.full.get(), metrics.size.get(), metrics.capacity.get()), (2, 3, 3));
    let text = traced.metrics.render();
    assert!(text.contains("otel_sdk_processor_span_processed_total{error_type=\"queue_full\"} 2"), "{text}");
}

#[test]
fn while_the_queue_is_full_nothing_is_made_or_pointed_to() {
    let traced = Traced::stalled(&[("OTEL_BSP_MAX_QUEUE_SIZE", "1")], |_| {});
    traced.request(&[]).finish(&end(200), SystemTime::now());
    let mut request = traced.request(&[]);
    assert!(request.is_sampled() && !request.is_recording());
    assert!(request.traceresponse().ends_with("-01"), "the decision stays");
    assert_eq!(request.exported(200, SystemTime::now()), None, "no exemplar leads to it");
    assert!(request.begin_inference(SystemTime::now()).context().is_none(), "and no link");
    request.finish(&end(200), SystemTime::now());
    let metrics = traced.span_metrics();
    assert_eq!((metrics.full.get(), metrics.size.get()), (6, 1), "a server span, and five of an inference");
}

type Answer = Result<Accepted, ExportError>;

/// Answers each batch as it is told to, and tells how many spans were in it.
fn scripted(traced: &Traced) -> (Sender<Answer>, Receiver<usize>) {
    let (answer, answers) = mpsc::channel::<Answer>();
    let (seen, batches) = mpsc::channel();
    let export = move |items: &[u8]| {
        seen.send(decoded(items).len()).unwrap();
        answers.recv().unwrap()
    };
    traced.recorder().queue.spawn("test", || export).unwrap();
    (answer, batches)
}

#[test]
fn failures_are_counted_by_kind_and_end_with_the_outage() {
    let traced = Traced::stalled(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")], |_| {});
    let (answer, batches) = scripted(&traced);
    for kind in [ExportErrorKind::Timeout, ExportErrorKind::Unavailable, ExportErrorKind::Rejected] {
        answer.send(Err(ExportError { kind, message: "down".to_owned() })).unwrap();
        traced.request(&[]).finish(&end(200), SystemTime::now());
        assert!(!flush(&traced.tracer, PLENTY), "{kind:?}");
    }
    for _ in 0..2 {
        answer.send(rejected(0)).unwrap();
    }
    for _ in 0..3 {
        traced.request(&[]).finish(&end(200), SystemTime::now());
    }
    assert!(flush(&traced.tracer, PLENTY));
    assert_eq!(batches.try_iter().collect::<Vec<_>>(), [1, 1, 1, 2, 1], "a full batch goes without a flush");
    let metrics = traced.span_metrics();
    let exported = &metrics.exported;
    let lost = [exported.timeout.get(), exported.unavailable.get(), exported.rejected.get()];
    assert_eq!((lost, exported.ok.get(), metrics.processed.get()), ([1, 1, 1], 3, 6));
}

/// A collector that takes connections (in its backlog) and never answers.
fn black_hole(protocol: &str) -> (TcpListener, Tracer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let options =
        options(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
    let metrics = metrics();
    let tracer = Tracer::new(&options, &metrics);
    tracer.start_export(&options.otel, &Resource::new(&options, "1"), &metrics);
    (listener, tracer)
}

#[test]
fn a_flush_is_bounded_against_a_black_hole() {
    for protocol in ["grpc", "http/protobuf"] {
        let (_listener, tracer) = black_hole(protocol);
        let request = tracer.begin_request(&HashMap::new(), http("POST", "/predict"), SystemTime::now());
        assert!(request.is_sampled());
        request.finish(&end(200), SystemTime::now());
        let started = Instant::now();
        assert!(!flush(&tracer, Duration::from_millis(200)), "{protocol}");
        assert!(started.elapsed() < Duration::from_secs(2), "{protocol}: {:?}", started.elapsed());
        let started = Instant::now();
        drop(tracer);
        assert!(started.elapsed() < Duration::from_secs(1), "{protocol}: {:?}", started.elapsed());
    }
}

#[test]
fn an_export_ends_with_its_timeout_and_is_counted() {
    for protocol in ["grpc", "http/protobuf"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let options = options(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        ]);
        let metrics = metrics();
        let tracer = Tracer::new(&options, &metrics);
        tracer.start_export(&options.otel, &Resource::new(&options, "1"), &metrics);
        tracer
            .begin_request(&HashMap::new(), http("POST", "/x"), SystemTime::now())
            .finish(&end(200), SystemTime::now());
        assert!(!flush(&tracer, PLENTY));
        let spans = metrics.span_queue();
        assert_eq!((spans.exported.timeout.get(), spans.processed.get()), (1, 1), "{protocol}");
    }
}

#[test]
fn nobody_listening_is_unavailable() {
    for protocol in ["grpc", "http/protobuf"] {
        let endpoint = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let options =
            options(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let metrics = metrics();
        let tracer = Tracer::new(&options, &metrics);
        tracer.start_export(&options.otel, &Resource::new(&options, "1"), &metrics);
        tracer
            .begin_request(&HashMap::new(), http("POST", "/x"), SystemTime::now())
            .finish(&end(200), SystemTime::now());
        assert!(!flush(&tracer, PLENTY));
        assert_eq!(metrics.span_queue().exported.unavailable.get(), 1, "{protocol}");
    }
}

#[test]
fn an_http_collector_is_given_the_spans() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let options = options(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_SERVICE_NAME", "fraud"),
    ]);
    let metrics = metrics();
    let tracer = Tracer::new(&options, &metrics);
    tracer.start_export(&options.otel, &Resource::new(&options, "1"), &metrics);
    tracer
        .begin_request(&HashMap::new(), http("POST", "/x"), SystemTime::now())
        .finish(&end(200), SystemTime::now());
    let collector = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains("POST /x") {
            let count = stream.read(&mut chunk).unwrap();
            assert!(count > 0);
            seen.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    });
    assert!(flush(&tracer, PLENTY));
    let seen = collector.join().unwrap();
    assert!(seen.starts_with("POST /v1/traces HTTP/1.1"), "{seen}");
    assert!(seen.contains("x-tenant: a b") && seen.contains("fraud") && seen.contains("service.instance.id"));
}

/// Answers every gRPC export on `listener` with success, until dropped.
fn grpc_collector(listener: TcpListener, seen: Sender<usize>) -> tokio::runtime::Runtime {
    use http_body_util::{BodyExt, Full, combinators::WithTrailers};
    use hyper::body::Bytes;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = seen.clone();
            let service =
                hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let seen = seen.clone();
                    async move {
                        assert_eq!(request.headers()["x-tenant"], "a b");
                        seen.send(request.into_body().collect().await.unwrap().to_bytes().len()).unwrap();
                        let trailers = hyper::HeaderMap::from_iter([(
                            "grpc-status".parse().unwrap(),
                            "0".parse().unwrap(),
                        )]);
                        let body: WithTrailers<Full<Bytes>, _> = Full::new(Bytes::from_static(&[0; 5]))
                            .with_trailers(async { Some(Ok(trailers)) });
                        let answer =
                            hyper::Response::builder().header("content-type", "application/grpc").body(body);
                        Ok::<_, std::convert::Infallible>(answer.unwrap())
                    }
                });
            let executor = hyper_util::rt::TokioExecutor::new();
            let connection = hyper::server::conn::http2::Builder::new(executor)
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    runtime
}

#[test]
fn a_grpc_collector_is_given_the_spans_and_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let options = options(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
    ]);
    let metrics = metrics();
    let tracer = Tracer::new(&options, &metrics);
    tracer.start_export(&options.otel, &Resource::new(&options, "1"), &metrics);
    let send = || {
        let request = tracer.begin_request(&HashMap::new(), http("POST", "/x"), SystemTime::now());
        request.finish(&end(200), SystemTime::now());
        flush(&tracer, PLENTY)
    };
    let (seen, batches) = mpsc::channel();
    let collector = grpc_collector(listener, seen.clone());
    assert!(send() && batches.recv().unwrap() > 5);
    drop(collector);
    assert!(!send(), "nobody is there");
    let _collector = grpc_collector(TcpListener::bind(address).unwrap(), seen);
    assert!(send(), "it is back");
    assert_eq!(
        (metrics.span_queue().exported.ok.get(), metrics.span_queue().exported.unavailable.get()),
        (2, 1)
    );
}

#[test]
fn a_part_that_the_collector_refused_is_counted_as_lost() {
    let traced = Traced::stalled(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")], |_| {});
    let (answer, batches) = scripted(&traced);
    answer.send(rejected(3)).unwrap();
    for _ in 0..4 {
        traced.request(&[]).finish(&end(200), SystemTime::now());
    }
    assert!(!flush(&traced.tracer, PLENTY));
    assert_eq!(batches.recv().unwrap(), 4);
    let metrics = traced.span_metrics();
    assert_eq!((metrics.exported.ok.get(), metrics.exported.rejected.get()), (1, 3));
}

#[test]
fn a_deferred_decision_is_ours_with_the_callers_ids() {
    const B3: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    for (ratio, sampled) in [("0", false), ("1", true)] {
        let traced = Traced::new(&[
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ]);
        let request = traced.request(&[("b3", B3)]);
        assert_eq!((request.trace_id().to_string().as_str(), request.is_sampled()), (CALLER_TRACE, sampled));
        assert!(traced.request(&[("b3", &format!("{B3}-1"))]).is_sampled());
        assert!(!traced.request(&[("b3", "0")]).is_sampled());
    }
}

#[test]
fn the_share_can_be_changed_while_serving() {
    let traced =
        Traced::new(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")]);
    assert!(!traced.request(&[]).is_sampled());
    traced.tracer.set_sampling_ratio(1.0);
    assert!(traced.request(&[]).is_sampled());
    assert!(
        !traced.request(&[("traceparent", &CALLER.replace("-01", "-00"))]).is_sampled(),
        "callers decide"
    );
    assert_eq!(traced.tracer.sampling(), Some(Sampling { ratio: 1.0, parent_based: true }));
    assert_eq!(Tracer::disabled().sampling(), None);
}

/// Requests that nobody sampled, one a case: its status, the inference's outcome, how long it took.
fn kept(tail: TailOptions, cases: &[(u16, Outcome, u64)]) -> Vec<String> {
    let traced = Traced::with(&[("OTEL_TRACES_SAMPLER", "always_off")], |options| options.tail = tail);
    for (status, outcome, millis) in cases {
        let took = Duration::from_millis(*millis);
        let began = SystemTime::now() - took;
        let mut request =
            traced.tracer.begin_request(&HashMap::<String, String>::new(), http("POST", "/predict"), began);
        assert!(request.traceresponse().ends_with("-00"));
        let mut inference = request.begin_inference(began);
        assert!(inference.context().is_none(), "no batch is recorded for what is not sampled");
        if inference.keeps(*outcome, took).is_some() {
            let mut record = record(&[], None);
            record.outcome = *outcome;
            inference.finish(&record);
        }
        request.finish(&end(*status), began + took);
    }
    let mut names: Vec<String> = traced.exported().into_iter().map(|span| span.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_failed_or_was_slow_is_kept_when_asked_for() {
    let cases = [
        (200, Outcome::Ok, 1),
        (200, Outcome::Ok, 900),
        (500, Outcome::Error, 1),
        (504, Outcome::Timeout, 1),
        (503, Outcome::Rejected, 1),
        (400, Outcome::ClientError, 1),
    ];
    let nothing: [&str; 0] = [];
    assert_eq!(kept(TailOptions::default(), &cases), nothing);
    let failed = TailOptions { keep_failed: true, keep_slower_than: None };
    let two = ["POST /predict", "POST /predict", "model-inference", "model-inference"];
    assert_eq!(kept(failed, &cases), two);
    let slow = TailOptions { keep_failed: false, keep_slower_than: Some(Duration::from_millis(500)) };
    assert_eq!(kept(slow, &cases), ["POST /predict", "model-inference"]);
}

#[test]
fn lines_for_people_are_whole() {
    let traced = Traced::stalled(&[("OTEL_TRACES_EXPORTER", "console")], |_| {});
    let (lines, seen) = mpsc::channel();
    let tell = move |items: &[u8]| {
        lines.send(String::from_utf8(items.to_vec()).unwrap()).unwrap();
        rejected(0)
    };
    traced.recorder().queue.spawn("test", || tell).unwrap();
    traced.request(&[("traceparent", CALLER)]).finish(&end(200), SystemTime::now());
    assert!(flush(&traced.tracer, PLENTY));
    let line = seen.recv().unwrap();
    assert!(line.starts_with(&format!("span \"POST /predict\" trace={CALLER_TRACE} id=")), "{line}");
    assert!(
        line.contains(" http.response.status_code=200 ") || line.contains(" http.response.status_code=200\n"),
        "{line}"
    );
    assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
}

#[test]
fn the_sdks_spans_are_written_like_ours() {
    use opentelemetry::trace::{Span as _, Tracer as _};
    let traced = Traced::new(&[]);
    let sdk = traced.tracer.sdk().unwrap();
    let mut span =
        sdk.span_builder("load-model").with_attributes([opentelemetry::KeyValue::new("n", 3)]).start(&sdk);
    span.add_event("told", vec![opentelemetry::KeyValue::new("what", "it")]);
    span.set_status(opentelemetry::trace::Status::error("no"));
    let id = span.span_context().span_id().to_string();
    span.end();
    let spans = traced.exported();
    let span = named(&spans, "load-model");
    assert_eq!((own(span).1, parent(span).as_str(), status(span)), (id, "", 2));
    assert_eq!(attribute(span, "n"), Some(Value::IntValue(3)));
    assert_eq!((span.events[0].name.as_str(), span.events[0].attributes.len()), ("told", 1));
}
