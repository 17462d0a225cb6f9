//! Tests of the metrics: the contract's names, and that everything is counted once.

use std::time::{Duration, Instant, SystemTime};

use super::catalogue::Catalogue;
use super::family::Family;
use super::family::Rendered as _;
use super::*;
use crate::gpu::{Driver, Reading, Throttled};
use crate::telemetry::labels::{ConnectionError, LoadResult, Signal, Stage};

fn build() -> BuildInfo {
    BuildInfo {
        version: "1.2.3",
        revision: "abc".to_owned(),
        rustc: "rustc 1".to_owned(),
        runtime_version: "1.32.0".to_owned(),
    }
}

fn metrics() -> Metrics {
    Metrics::new(Some("fraud"), &build())
}

/// One with what is off by default.
pub(super) fn all_metrics(service: Option<&str>) -> Metrics {
    Metrics::new(service, &build()).with_semantic(SemanticMetrics { http: true, rpc: true })
}

/// The value of the one series whose line begins so.
#[track_caller]
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.render();
    let mut lines =
        text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    let found = lines.next();
    assert_eq!(lines.next(), None, "{series} twice");
    found
}

/// Every metric with its labels, by name.
const CONTRACT: &str = "\
build_info{version,revision,rustc,ort_version}
gpu_ecc_errors_total{device}
gpu_energy_joules_total{device}
gpu_info{device,uuid,name,driver,cuda}
gpu_memory_total_bytes{device}
gpu_memory_used_bytes{device}
gpu_memory_utilization_ratio{device}
gpu_power_limit_watts{device}
gpu_power_watts{device}
gpu_process_memory_bytes{device}
gpu_sm_clock_hertz{device}
gpu_temperature_celsius{device}
gpu_throttled{device,reason}
gpu_utilization_ratio{device}
gpu_xid_errors_total{device}
http_connection_errors_total{kind}
http_connections{state}
http_request_body_bytes{route}
http_request_duration_seconds{method,route,status}
http_requests_in_flight{route}
http_requests_total{method,route,status}
http_response_body_bytes{route}
http_server_request_duration_seconds{http_request_method,http_route,http_response_status_code,url_scheme,error_type}
inference_batch_padding_ratio{model,version}
inference_batch_size{model,version}
inference_batch_splits_total{model,version}
inference_cancelled_total{model,version,stage}
inference_duration_seconds{model,version,device}
inference_errors_total{model,version,kind}
inference_features_defaulted_total{model,version,feature}
inference_features_total{model,version,state}
inference_in_flight{model,version}
inference_input_length{model,version}
inference_inputs_truncated_total{model,version}
inference_instances_total{model,version}
inference_non_finite_outputs_total{model,version}
inference_prediction_confidence{model,version}
inference_predictions_total{model,version,label}
inference_queue_capacity{model,version}
inference_queue_depth{model,version}
inference_queue_expired_total{model,version}
inference_queue_limit{model,version}
inference_queue_wait_seconds{model,version}
inference_request_duration_seconds{model,version}
inference_requests_rejected_total{model,version,reason}
inference_requests_total{model,version,outcome}
inference_session_threads{model,version}
inference_stage_duration_seconds{model,version,stage}
inference_workers{device,state}
model_info{model,version,digest,runtime,provider}
model_load_seconds{model,version}
model_load_total{model,version,result}
model_loaded_timestamp_seconds{model,version}
model_nodes{model,version,provider}
model_warmup_seconds{model,version}
otel_sdk_exporter_log_exported_total{error_type}
otel_sdk_exporter_log_inflight{}
otel_sdk_exporter_metric_data_point_exported_total{error_type}
otel_sdk_exporter_operation_duration_seconds{signal,error_type}
otel_sdk_exporter_span_exported_total{error_type}
otel_sdk_exporter_span_inflight{}
otel_sdk_processor_log_processed_total{error_type}
otel_sdk_processor_log_queue_capacity{}
otel_sdk_processor_log_queue_size{}
otel_sdk_processor_span_processed_total{error_type}
otel_sdk_processor_span_queue_capacity{}
otel_sdk_processor_span_queue_size{}
panics_total{task}
process_cpu_limit_cores{}
process_cpu_quota_periods_total{}
process_cpu_seconds_total{}
process_cpu_throttled_periods_total{}
process_cpu_throttled_seconds_total{}
process_max_fds{}
process_open_fds{}
process_resident_memory_bytes{}
process_start_time_seconds{}
process_threads{}
rpc_server_call_duration_seconds{rpc_system_name,rpc_method,rpc_response_status_code,error_type}
secret_reload_total{secret,result}
shutdown_duration_seconds{}
shutdown_forced_connections_total{}
tls_cert_expiry_timestamp_seconds{listener}";

#[test]
fn the_names_and_labels_are_the_contracts() {
    let mut names: Vec<String> =
        Catalogue::NAMES.iter().map(|(name, labels)| format!("{name}{{{}}}", labels.join(","))).collect();
    names.sort();
    assert_eq!(names.join("\n"), CONTRACT);
}

#[test]
fn every_series_is_explained_typed_and_carries_the_service() {
    let metrics = all_metrics(Some("fraud"));
    touch_all(&metrics);
    let text = metrics.render();
    for (name, _) in Catalogue::NAMES {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} without help");
        let kind = if name.ends_with("_total") { "counter" } else { "" };
        assert!(text.contains(&format!("# TYPE {name} {kind}")), "{name} is no {kind}");
    }
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for line in &series {
        assert!(line.contains("service=\"fraud\""), "{line}");
    }
    let unlabelled = all_metrics(None);
    touch_all(&unlabelled);
    assert!(!unlabelled.render().contains("service="));
}

pub(super) fn touch_all(metrics: &Metrics) {
    let http = metrics.http();
    http.register_route("POST", "/predict");
    let observation = http.begin("POST", "/predict", Instant::now());
    observation.request_bytes(70);
    observation.finish(200, 10);
    let mut call = http.begin("POST", "/package.Service/Method", Instant::now());
    call.speaks(Spoken::Grpc);
    call.finish(200, 10);
    let model = metrics.model("m", "1", "cpu");
    model.loaded("sha", "ort", "cpu", Duration::from_secs(1), Duration::from_secs(2));
    model.nodes([("cpu", 3)].into_iter());
    model.prediction(Some("a"), Some(0.5));
    model.batch(4, Some(0.25), Duration::from_millis(3), None);
    model.answered(Duration::from_millis(5), None);
    model.quality().ran(3, 1, 1);
    model.quality().features(["a", "b"].into_iter()).count((4, 1, 1), &[0, 2]);
    metrics.workers("cpu").set(1, 1, 0);
    metrics.panicked("worker");
    metrics.secret_reloaded("keys", true);
    metrics.tls_expiry("http", SystemTime::now());
    drop((
        metrics.span_queue(),
        metrics.log_queue(),
        metrics.pushed_points(),
        metrics.operations(Signal::Logs),
    ));
    let gpu = metrics.gpu("cuda:0");
    gpu.found("GPU-1", "NVIDIA H200", &driver());
    gpu.record(&whole_reading());
    gpu.xid_errors(0);
}

#[test]
fn the_latency_buckets_are_the_contracts() {
    let metrics = metrics();
    touch_all(&metrics);
    let text = metrics.render();
    let edges: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("route=\"/predict\""))
        .filter_map(|line| line.strip_prefix("http_request_duration_seconds_bucket{")?.split_once("le=\""))
        .filter_map(|(_, rest)| rest.split('"').next())
        .collect();
    let expected = "0.001 0.0025 0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf";
    assert_eq!(edges.join(" "), expected);
}

#[test]
fn a_request_is_counted_once_and_499_when_dropped() {
    let metrics = metrics();
    let http = metrics.http();
    http.register_route("POST", "/predict");
    let counted = |status| {
        let labels = format!("method=\"POST\",route=\"/predict\",status=\"{status}\",service=\"fraud\"");
        value(&metrics, &format!("http_requests_total{{{labels}}}"))
    };
    let in_flight = || value(&metrics, "http_requests_in_flight{route=\"/predict\",service=\"fraud\"}");
    for status in [200, 400, 404, 429, 500, 503, 504] {
        assert_eq!(counted(status), Some(0.0));
    }
    let first = http.begin("POST", "/predict", Instant::now());
    let second = http.begin("POST", "/predict", Instant::now());
    assert_eq!(in_flight(), Some(2.0));
    first.finish(200, 5);
    drop(second);
    assert_eq!((counted(200), counted(499), in_flight()), (Some(1.0), Some(1.0), Some(0.0)));
    http.begin("POST", "/predict", Instant::now()).finish(7, 0);
    assert_eq!(counted(500), Some(1.0));
}

#[test]
fn connections_move_between_their_states() {
    let metrics = metrics();
    let http = metrics.http();
    let state = |state| value(&metrics, &format!("http_connections{{state=\"{state}\",service=\"fraud\"}}"));
    http.connection_opened();
    http.connection_active();
    assert_eq!((state("active"), state("idle")), (Some(1.0), Some(0.0)));
    http.connection_idle();
    http.connection_closed();
    assert_eq!((state("active"), state("idle")), (Some(0.0), Some(0.0)));
    http.connection_error(ConnectionError::ResetFlood);
    let errors = "http_connection_errors_total{kind=\"reset_flood\",service=\"fraud\"}";
    assert_eq!(value(&metrics, errors), Some(1.0));
}

#[test]
fn a_model_has_at_most_a_hundred_labels_over_all_versions() {
    let metrics = metrics();
    let (one, two) = (metrics.model("m", "1", "cpu"), metrics.model("m", "2", "cpu"));
    for index in 0..150 {
        let model = if index % 2 == 0 { &one } else { &two };
        model.prediction(Some(&format!("label-{index}")), None);
    }
    let text = metrics.render();
    let series: Vec<&str> =
        text.lines().filter(|line| line.starts_with("inference_predictions_total{")).collect();
    assert_eq!(series.len(), 102, "a hundred labels, and _other in both versions");
    let other = |version| {
        let labels = format!("label=\"_other\",model=\"m\",version=\"{version}\",service=\"fraud\"");
        value(&metrics, &format!("inference_predictions_total{{{labels}}}"))
    };
    assert_eq!((other(1), other(2)), (Some(25.0), Some(25.0)));
}

/// The series of features that were left out, as their ends after the model's name and version.
fn left_out(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render();
    let lines =
        text.lines().filter_map(|line| line.strip_prefix("inference_features_defaulted_total{feature="));
    lines.map(|line| line.replace(",service=\"fraud\"}", "").replace("model=\"m\",version=", "")).collect()
}

#[test]
fn features_are_counted_by_their_state_and_name_from_zero() {
    let metrics = metrics();
    let model = metrics.model("m", "1", "cpu");
    let features = model.quality().features(["amount", "age"].into_iter());
    assert_eq!(left_out(&metrics), ["\"age\",\"1\" 0", "\"amount\",\"1\" 0"]);
    let states = || {
        ["given", "defaulted", "missing"].map(|state| {
            let labels = format!("model=\"m\",state=\"{state}\",version=\"1\",service=\"fraud\"");
            value(&metrics, &format!("inference_features_total{{{labels}}}"))
        })
    };
    assert_eq!(states(), [Some(0.0); 3]);
    features.count((6, 0, 0), &[]);
    features.count((2, 3, 1), &[1, 3]);
    assert_eq!(states(), [Some(8.0), Some(3.0), Some(1.0)]);
    assert_eq!(left_out(&metrics), ["\"age\",\"1\" 3", "\"amount\",\"1\" 1"]);
    // A graph that is loaded anew under the same version counts on.
    model.quality().features(["age", "city"].into_iter()).count((0, 2, 0), &[1, 1]);
    assert_eq!(left_out(&metrics), ["\"age\",\"1\" 4", "\"amount\",\"1\" 1", "\"city\",\"1\" 1"]);
}

#[test]
fn a_model_has_at_most_a_hundred_features_over_all_versions() {
    let metrics = metrics();
    let names: Vec<String> = (0..150).map(|index| format!("f{index:03}")).collect();
    let names = || names.iter().map(String::as_str);
    let (one, two) = (metrics.model("m", "1", "cpu"), metrics.model("m", "2", "cpu"));
    let many = one.quality().features(names());
    assert_eq!(left_out(&metrics).len(), 0, "of so many those begin that are left out");
    many.count((0, 150, 0), &[1; 150]);
    let series = left_out(&metrics);
    assert_eq!(series.len(), 101);
    assert!(series.contains(&"\"_other\",\"1\" 50".to_owned()), "{series:?}");
    assert!(series.contains(&"\"f099\",\"1\" 1".to_owned()), "{series:?}");
    let few = two.quality().features(["f001", "new"].into_iter());
    few.count((0, 2, 0), &[1, 1]);
    let series = left_out(&metrics);
    let second: Vec<&String> = series.iter().filter(|line| line.contains("\"2\" ")).collect();
    assert_eq!(second, ["\"_other\",\"2\" 1", "\"f001\",\"2\" 1"]);
    metrics.forget("m", "1");
    many.count((0, 150, 0), &[1; 150]);
    assert_eq!(left_out(&metrics).len(), 2);
}

#[test]
fn features_of_a_forgotten_version_begin_no_series() {
    let metrics = metrics();
    let models: Vec<_> = (0..=EAGER).map(|index| metrics.model(&format!("m{index}"), "1", "cpu")).collect();
    let features = models[EAGER].quality().features(["a"].into_iter());
    let name = format!("m{EAGER}");
    let has_features = || {
        let text = metrics.render();
        text.lines().any(|line| line.starts_with("inference_features_defaulted") && line.contains(&name))
    };
    assert!(!has_features());
    metrics.forget(&name, "1");
    features.count((0, 1, 0), &[1]);
    assert!(!has_features());
}

#[test]
fn what_is_not_finite_is_not_observed() {
    let metrics = metrics();
    let model = metrics.model("m", "1", "cpu");
    model.prediction(None, Some(f64::NAN));
    model.batch(1, Some(f64::INFINITY), Duration::ZERO, None);
    let count =
        |name| value(&metrics, &format!("{name}_count{{model=\"m\",version=\"1\",service=\"fraud\"}}"));
    assert_eq!(count("inference_prediction_confidence"), Some(0.0));
    assert_eq!(count("inference_batch_padding_ratio"), Some(0.0));
    assert_eq!(count("inference_batch_size"), Some(1.0));
}

#[test]
fn closed_lists_start_at_zero() {
    let metrics = metrics();
    let _model = metrics.model("m", "1", "cpu");
    metrics.unknown_model(Outcome::ClientError);
    let text = metrics.render();
    for outcome in Outcome::ALL {
        let labels = format!("model=\"m\",outcome=\"{}\",version=\"1\",service=\"fraud\"", outcome.as_str());
        assert!(text.contains(&format!("inference_requests_total{{{labels}}} 0")), "{outcome:?}");
    }
    for stage in Stage::ALL {
        assert!(text.contains(&format!("stage=\"{}\"", stage.as_str())), "{stage:?}");
    }
    for result in LoadResult::ALL {
        assert!(text.contains(&format!("result=\"{}\"", result.as_str())), "{result:?}");
    }
    let unknown = "model=\"_unknown\",outcome=\"client_error\",version=\"_unknown\",service=\"fraud\"";
    assert!(text.contains(&format!("inference_requests_total{{{unknown}}} 1")));
    let strays = text
        .lines()
        .filter(|line| line.contains("_unknown") && !line.starts_with("inference_requests_total"));
    assert_eq!(strays.count(), 0);
}

#[test]
fn an_unloaded_version_leaves_no_series_and_its_sister_stays() {
    let metrics = metrics();
    let (gone, stays) = (metrics.model("m", "1", "cpu"), metrics.model("m", "2", "cpu"));
    for model in [&gone, &stays] {
        model.loaded("sha", "ort", "cpu", Duration::ZERO, Duration::ZERO);
        model.prediction(Some("a"), Some(0.5));
        model.rejected("overloaded");
        model.error("runtime");
    }
    metrics.forget("m", "1");
    gone.outcome(Outcome::Ok);
    gone.stage(Stage::Execute, Duration::ZERO, None);
    let text = metrics.render();
    assert!(!text.contains("version=\"1\""), "{text}");
    assert!(
        text.contains("model_info{digest=\"sha\",model=\"m\",provider=\"cpu\",runtime=\"ort\",version=\"2\"")
    );
    metrics.model("m", "1", "cpu").outcome(Outcome::Ok);
    let again = "inference_requests_total{model=\"m\",outcome=\"ok\",version=\"1\",service=\"fraud\"}";
    assert_eq!(value(&metrics, again), Some(1.0));
}

#[test]
fn of_many_models_those_never_asked_have_no_histograms() {
    let metrics = metrics();
    let models: Vec<_> = (0..=EAGER).map(|index| metrics.model(&format!("m{index}"), "1", "cpu")).collect();
    let series = |text: &str, model: &str| {
        let label = format!("model=\"{model}\"");
        text.lines().filter(|line| line.contains(&label)).map(str::to_owned).collect::<Vec<_>>()
    };
    let idle = metrics.render();
    let first = series(&idle, "m0");
    assert!(first.iter().any(|line| line.starts_with("inference_stage_duration_seconds_bucket")));
    let last = format!("m{EAGER}");
    let unasked = series(&idle, &last);
    assert!(unasked.len() <= 39 && !unasked.iter().any(|line| line.contains("_bucket{")), "{unasked:?}");
    models[EAGER].batch(1, None, Duration::ZERO, None);
    let asked = series(&metrics.render(), &last).join("\n");
    for (name, count) in
        [("inference_duration_seconds", 1), ("inference_batch_size", 1), ("inference_batch_padding_ratio", 0)]
    {
        let line = asked.lines().find(|line| line.starts_with(&format!("{name}_count{{")));
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {count}"))), "{name}: {line:?}");
    }
    assert!(!asked.contains("inference_stage_duration_seconds"));
}

#[test]
fn a_reload_leaves_one_model_info() {
    let metrics = metrics();
    let model = metrics.model("m", "1", "cpu");
    model.loaded("old", "ort", "cpu", Duration::ZERO, Duration::ZERO);
    model.loaded("new", "ort", "cpu", Duration::ZERO, Duration::ZERO);
    let text = metrics.render();
    assert!(text.contains("digest=\"new\"") && !text.contains("digest=\"old\""));
}

#[test]
fn the_process_is_seen() {
    let metrics = metrics();
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_threads", "process_max_fds"] {
        assert!(value(&metrics, &format!("{name}{{service=\"fraud\"}}")).unwrap() > 0.0, "{name}");
    }
    let start = value(&metrics, "process_start_time_seconds{service=\"fraud\"}").unwrap();
    assert!(start > 1.6e9, "{start}");
}

/// Series of every type, with values and labels that are hard to write, as the crate's own encoder
/// writes them and as ours does.
#[test]
fn the_text_is_the_crates_own_to_the_byte() {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
    const LABELS: &[&str] = &["model", "version", "device"];
    const BOUNDS: &[f64] = &[0.0, 0.000_001, 0.25, 1.0, 131_072.0];
    const HELP: &str = "Says \"this\" and \\ that.";
    for service in [None, Some("fr\"aud\\\n")] {
        let common = service.map(|name| HashMap::from([("service".to_owned(), name.to_owned())]));
        let registry = Registry::new_custom(None, common).unwrap();
        let theirs = (
            IntCounterVec::new(Opts::new("counters", HELP), LABELS).unwrap(),
            HistogramVec::new(HistogramOpts::new("histograms", HELP).buckets(BOUNDS.to_vec()), LABELS)
                .unwrap(),
            prometheus::Gauge::new("lone", HELP).unwrap(),
        );
        registry.register(Box::new(theirs.0.clone())).unwrap();
        registry.register(Box::new(theirs.1.clone())).unwrap();
        registry.register(Box::new(theirs.2.clone())).unwrap();
        let histogram = || histogram::Histogram::new("histograms", HELP, BOUNDS).unwrap();
        let ours = (
            Family::new(LABELS, Box::new(|| IntCounter::new("counters", HELP).unwrap())),
            Family::new(LABELS, Box::new(histogram)),
            theirs.2.clone(),
        );
        for (index, value) in [0.0, 3.7e-9, 0.1, 17.0, 1e15, 1e300].into_iter().enumerate() {
            let labels = [["b", "10", "cpu"], ["a\"\\\n", "2", "cpu"], ["b", "9", "gpu"]][index % 3];
            theirs.0.with_label_values(&labels).inc_by(index as u64);
            ours.0.with_label_values(&labels).inc_by(index as u64);
            theirs.1.with_label_values(&labels).observe(value);
            ours.1.with_label_values(&labels).observe(value);
            theirs.2.set([-1.0, value][index % 2]);
            let common = service.map(|name| text::label("service", name)).unwrap_or_default();
            let mut writer = text::Writer::new(Exposition::Text, &common, 0);
            ours.0.render("counters", HELP, &mut writer);
            ours.1.render("histograms", HELP, &mut writer);
            ours.2.render("lone", HELP, &mut writer);
            assert_eq!(writer.into_text(), TextEncoder::new().encode_to_string(&registry.gather()).unwrap());
        }
        ours.1.forget("b", "9");
        let mut writer = text::Writer::new(Exposition::Text, "", 0);
        ours.1.render("histograms", HELP, &mut writer);
        let text = writer.into_text();
        assert!(!text.contains("version=\"9\"") && text.contains("version=\"10\""), "{text}");
    }
}

fn driver() -> Driver {
    Driver { version: "580.95.05".to_owned(), cuda: (13, 0), devices: 1 }
}

/// A device that tells everything.
fn whole_reading() -> Reading {
    Reading {
        memory_used: Some(3 << 30),
        memory_total: Some(139 << 30),
        memory_of_process: Some(1 << 30),
        utilization: Some(0.25),
        memory_utilization: Some(0.5),
        power: Some(123.456),
        power_limit: Some(700.0),
        temperature: Some(41.0),
        sm_clock: Some(1_980_000_000.0),
        energy: Some(1234.5),
        throttled: Some(Throttled { power: true, ..Throttled::default() }),
        ecc_errors: Some(2),
    }
}

fn gpu_lines(metrics: &Metrics) -> Vec<String> {
    metrics.render().lines().filter(|line| line.contains("gpu_")).map(str::to_owned).collect()
}

#[test]
fn a_gpu_is_absent_until_it_tells_something() {
    let metrics = metrics();
    let gpu = metrics.gpu("cuda:0");
    assert_eq!(gpu_lines(&metrics), [""; 0]);
    gpu.found("GPU-1", "NVIDIA H200", &driver());
    gpu.record(&whole_reading());
    gpu.xid_errors(0);
    let lines = gpu_lines(&metrics);
    let series: Vec<&str> = lines.iter().filter(|line| !line.starts_with('#')).map(String::as_str).collect();
    let expected = "\
gpu_ecc_errors_total{device=\"cuda:0\",service=\"fraud\"} 2
gpu_energy_joules_total{device=\"cuda:0\",service=\"fraud\"} 1234.5
gpu_info{cuda=\"13.0\",device=\"cuda:0\",driver=\"580.95.05\",name=\"NVIDIA H200\",uuid=\"GPU-1\",service=\"fraud\"} 1
gpu_memory_total_bytes{device=\"cuda:0\",service=\"fraud\"} 149250113536
gpu_memory_used_bytes{device=\"cuda:0\",service=\"fraud\"} 3221225472
gpu_memory_utilization_ratio{device=\"cuda:0\",service=\"fraud\"} 0.5
gpu_power_limit_watts{device=\"cuda:0\",service=\"fraud\"} 700
gpu_power_watts{device=\"cuda:0\",service=\"fraud\"} 123.456
gpu_process_memory_bytes{device=\"cuda:0\",service=\"fraud\"} 1073741824
gpu_sm_clock_hertz{device=\"cuda:0\",service=\"fraud\"} 1980000000
gpu_temperature_celsius{device=\"cuda:0\",service=\"fraud\"} 41
gpu_throttled{device=\"cuda:0\",reason=\"other\",service=\"fraud\"} 0
gpu_throttled{device=\"cuda:0\",reason=\"power\",service=\"fraud\"} 1
gpu_throttled{device=\"cuda:0\",reason=\"thermal\",service=\"fraud\"} 0
gpu_utilization_ratio{device=\"cuda:0\",service=\"fraud\"} 0.25
gpu_xid_errors_total{device=\"cuda:0\",service=\"fraud\"} 0";
    assert_eq!(series.join("\n"), expected);
}

#[test]
fn what_a_gpu_no_longer_tells_is_absent() {
    let metrics = metrics();
    let (slice, other) = (metrics.gpu("cuda:0"), metrics.gpu("cuda:1"));
    slice.record(&whole_reading());
    other.record(&whole_reading());
    slice.record(&Reading { memory_used: Some(7), ..Reading::default() });
    let lines = gpu_lines(&metrics);
    let of = |device: &str| lines.iter().filter(|line| line.contains(device)).count();
    assert_eq!((of("cuda:0"), of("cuda:1")), (1, 14));
    assert_eq!(value(&metrics, "gpu_memory_used_bytes{device=\"cuda:0\",service=\"fraud\"}"), Some(7.0));
}

#[test]
fn counters_of_the_driver_follow_it_and_begin_anew_with_it() {
    let metrics = metrics();
    let gpu = metrics.gpu("cuda:0");
    let counters = |energy, errors| {
        gpu.record(&Reading { energy: Some(energy), ecc_errors: Some(errors), ..Reading::default() });
        let of = |name: &str| value(&metrics, &format!("{name}{{device=\"cuda:0\",service=\"fraud\"}}"));
        (of("gpu_energy_joules_total"), of("gpu_ecc_errors_total"))
    };
    assert_eq!(counters(100.5, 1), (Some(100.5), Some(1.0)));
    assert_eq!(counters(200.25, 3), (Some(200.25), Some(3.0)));
    assert_eq!(counters(0.5, 0), (Some(0.5), Some(0.0)));
    gpu.xid_errors(1);
    gpu.xid_errors(2);
    assert_eq!(value(&metrics, "gpu_xid_errors_total{device=\"cuda:0\",service=\"fraud\"}"), Some(3.0));
}
