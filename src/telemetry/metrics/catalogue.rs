//! The catalogue: every metric's name, labels, buckets and help, in one place.
//!
//! Built once by [`super::Metrics`]; the other files here only take handles from it. Invariant: the
//! names are the contract; the label `service` is no metric's own, `render` adds it to all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use prometheus::{Counter, Gauge, IntCounter, IntGauge};

use super::family::{Family, Rendered};
use super::histogram::Histogram;
use super::otlp::Encoder;
use super::text::{Exposition, Series, Writer};
use crate::telemetry::otlp::wire;

const LATENCY: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Those that the semantic conventions advise.
const SEMANTIC: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const QUEUE_WAIT: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const BODY: &[f64] = &[64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
const PADDING: &[f64] = &[0.0, 0.1, 0.25, 0.5, 0.75, 0.9];
const CONFIDENCE: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
const LENGTH: &[f64] = &[
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16384.0,
    32768.0,
    65536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
];

/// A metric that can be made from its name, help and labels.
trait Made: Sized {
    fn made(
        text: (&'static str, &'static str),
        labels: &'static [&'static str],
        buckets: &'static [f64],
    ) -> Self;
}

macro_rules! made {
    ($($type:ty: $make:expr;)*) => {$(
        impl Made for $type {
            fn made(text: (&'static str, &'static str), _: &'static [&'static str], buckets: &'static [f64]) -> Self {
                $make(text, buckets).expect("the catalogue's names and buckets are valid")
            }
        }
    )*};
}

made! {
    Counter: |(name, help), _| Counter::new(name, help);
    Gauge: |(name, help), _| Gauge::new(name, help);
    IntCounter: |(name, help), _| IntCounter::new(name, help);
    IntGauge: |(name, help), _| IntGauge::new(name, help);
    Histogram: |(name, help), buckets| Histogram::new(name, help, buckets);
}

impl<T: Made + Series + 'static> Made for Family<T> {
    fn made(
        text: (&'static str, &'static str),
        labels: &'static [&'static str],
        buckets: &'static [f64],
    ) -> Self {
        Self::new(labels, Box::new(move || T::made(text, &[], buckets)))
    }
}

macro_rules! catalogue {
    ($($field:ident: $type:ty = $name:literal, [$($label:literal),*], $buckets:expr, $help:literal;)*) => {
        /// Every metric of the service, by its field.
        #[derive(Debug)]
        pub(super) struct Catalogue {
            $(pub(super) $field: $type,)*
            /// Bytes of the last text.
            last_size: AtomicUsize,
            /// When everything was zero, in nanoseconds since the epoch.
            began: u64,
        }

        impl Catalogue {
            /// Metrics without series, but for those that have no labels.
            pub(super) fn new() -> Self {
                Self {
                    $($field: Made::made(($name, $help), &[$($label),*], $buckets),)*
                    last_size: AtomicUsize::new(64 << 10),
                    began: wire::nanos(SystemTime::now()),
                }
            }

            /// Every metric with its name and help, by name.
            fn all(&self) -> Vec<(&'static str, &'static str, &dyn Rendered)> {
                let mut all: Vec<(&str, &str, &dyn Rendered)> = vec![$(($name, $help, &self.$field),)*];
                all.sort_unstable_by_key(|&(name, ..)| name);
                all
            }

            #[cfg(test)]
            pub(super) const NAMES: &'static [(&'static str, &'static [&'static str])] =
                &[$(($name, &[$($label),*])),*];
        }
    };
}

impl Catalogue {
    /// Everything in one of the formats; every series gets the labels that `common` is.
    pub(super) fn render(&self, format: Exposition, common: &str) -> String {
        let size = self.last_size.load(Ordering::Relaxed);
        // Some more: numbers grow.
        let mut writer = Writer::new(format, common, size + size / 8);
        for (name, help, metric) in self.all() {
            metric.render(name, help, &mut writer);
        }
        let text = writer.into_text();
        self.last_size.store(text.len(), Ordering::Relaxed);
        text
    }

    /// Everything as OTLP's messages, and the number of data points in them.
    pub(super) fn encode(&self) -> (Vec<u8>, u64) {
        let mut encoder = Encoder::new();
        for (name, help, metric) in self.all() {
            metric.encode((name, help), self.began, &mut encoder);
        }
        encoder.into_items()
    }

    /// Removes every series of a version of a model.
    pub(super) fn forget(&self, model: &str, version: &str) {
        for (.., metric) in self.all() {
            metric.forget(model, version);
        }
    }
}

catalogue! {
    http_requests: Family<IntCounter> = "http_requests_total", ["method", "route", "status"], &[],
        "Requests finished, rejected, timed out and aborted (499) ones included.";
    http_duration: Family<Histogram> = "http_request_duration_seconds", ["method", "route", "status"], LATENCY,
        "From the parsed header to the last byte of the answer, or the abort.";
    semantic_http_duration: Family<Histogram> = "http_server_request_duration_seconds",
        ["http_request_method", "http_route", "http_response_status_code", "url_scheme", "error_type"], SEMANTIC,
        "Duration of HTTP requests, under the semantic conventions' name.";
    rpc_duration: Family<Histogram> = "rpc_server_call_duration_seconds",
        ["rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type"], SEMANTIC,
        "Duration of gRPC calls, under the semantic conventions' name.";
    http_in_flight: Family<IntGauge> = "http_requests_in_flight", ["route"], &[],
        "Requests being served, until the end of the answer's body.";
    http_request_body: Family<Histogram> = "http_request_body_bytes", ["route"], BODY, "Bytes of request bodies.";
    http_response_body: Family<Histogram> = "http_response_body_bytes", ["route"], BODY, "Bytes of response bodies.";
    http_connections: Family<IntGauge> = "http_connections", ["state"], &[], "Open connections by state.";
    http_connection_errors: Family<IntCounter> = "http_connection_errors_total", ["kind"], &[],
        "Connections refused or ended by a fault below the routes.";
    requests: Family<IntCounter> = "inference_requests_total", ["model", "version", "outcome"], &[],
        "Inference requests by outcome.";
    request_duration: Family<Histogram> = "inference_request_duration_seconds", ["model", "version"], LATENCY,
        "From a request's first header byte until its answer was made, of requests that were answered.";
    rejected: Family<IntCounter> = "inference_requests_rejected_total", ["model", "version", "reason"], &[],
        "Inference requests not admitted, by error code.";
    queue_depth: Family<IntGauge> = "inference_queue_depth", ["model", "version"], &[], "Rows waiting for a worker.";
    queue_capacity: Family<IntGauge> = "inference_queue_capacity", ["model", "version"], &[],
        "Rows that may wait at most.";
    queue_limit: Family<IntGauge> = "inference_queue_limit", ["model", "version"], &[],
        "Rows that may wait now: the capacity, or less while a queue stands that does not drain.";
    queue_wait: Family<Histogram> = "inference_queue_wait_seconds", ["model", "version"], QUEUE_WAIT,
        "From the queue's entry to its exit.";
    queue_expired: Family<IntCounter> = "inference_queue_expired_total", ["model", "version"], &[],
        "Requests whose deadline passed in the queue.";
    batch_size: Family<Histogram> = "inference_batch_size", ["model", "version"], BATCH, "Rows in a batch.";
    batch_padding: Family<Histogram> = "inference_batch_padding_ratio", ["model", "version"], PADDING,
        "Share of a batch that is padding.";
    batch_splits: Family<IntCounter> = "inference_batch_splits_total", ["model", "version"], &[],
        "Batches that failed and were run again member by member.";
    duration: Family<Histogram> = "inference_duration_seconds", ["model", "version", "device"], LATENCY,
        "The model's run, once per batch.";
    stage_duration: Family<Histogram> = "inference_stage_duration_seconds", ["model", "version", "stage"], LATENCY,
        "Stages of a request, once per request.";
    input_length: Family<Histogram> = "inference_input_length", ["model", "version"], LENGTH,
        "Characters, features, bytes or elements of a request's input.";
    confidence: Family<Histogram> = "inference_prediction_confidence", ["model", "version"], CONFIDENCE,
        "Confidence of predictions.";
    predictions: Family<IntCounter> = "inference_predictions_total", ["model", "version", "label"], &[],
        "Predictions by label; labels beyond the first hundred of a model count as _other.";
    instances: Family<IntCounter> = "inference_instances_total", ["model", "version"], &[],
        "Instances that the model ran.";
    features: Family<IntCounter> = "inference_features_total", ["model", "version", "state"], &[],
        "Features of the instances that ran: given by the caller, filled from their default, or missing.";
    features_defaulted: Family<IntCounter> = "inference_features_defaulted_total", ["model", "version", "feature"], &[],
        "Values that the caller left out, by feature; those beyond the first hundred of a model count as _other.";
    truncated: Family<IntCounter> = "inference_inputs_truncated_total", ["model", "version"], &[],
        "Instances whose text was cut to fit, of those that ran.";
    non_finite: Family<IntCounter> = "inference_non_finite_outputs_total", ["model", "version"], &[],
        "Instances for which the model gave NaN or infinity.";
    in_flight: Family<IntGauge> = "inference_in_flight", ["model", "version"], &[], "Inference requests being served.";
    session_threads: Family<IntGauge> = "inference_session_threads", ["model", "version"], &[],
        "Threads of all sessions of a model inside runs, if all ran at once.";
    workers: Family<IntGauge> = "inference_workers", ["device", "state"], &[], "Workers by state.";
    errors: Family<IntCounter> = "inference_errors_total", ["model", "version", "kind"], &[],
        "Failed inferences by kind.";
    cancelled: Family<IntCounter> = "inference_cancelled_total", ["model", "version", "stage"], &[],
        "Requests whose client went away, by the stage reached.";
    model_info: Family<IntGauge> = "model_info", ["model", "version", "digest", "runtime", "provider"], &[],
        "One series per loaded model.";
    model_nodes: Family<IntGauge> = "model_nodes", ["model", "version", "provider"], &[],
        "Nodes of a loaded model's graph by the provider that runs them.";
    model_load: Family<Gauge> = "model_load_seconds", ["model", "version"], &[], "Duration of the last load.";
    model_warmup: Family<Gauge> = "model_warmup_seconds", ["model", "version"], &[], "Duration of the last warm-up.";
    model_loads: Family<IntCounter> = "model_load_total", ["model", "version", "result"], &[], "Loads by result.";
    model_loaded_at: Family<Gauge> = "model_loaded_timestamp_seconds", ["model", "version"], &[],
        "When the model was loaded, in seconds since the epoch.";
    spans_processed: Family<IntCounter> = "otel_sdk_processor_span_processed_total", ["error_type"], &[],
        "Spans handed to the exporter, or dropped before it (queue_full).";
    spans_exported: Family<IntCounter> = "otel_sdk_exporter_span_exported_total", ["error_type"], &[],
        "Spans whose export ended, by error.";
    span_queue_size: IntGauge = "otel_sdk_processor_span_queue_size", [], &[], "Spans waiting for export.";
    span_queue_capacity: IntGauge = "otel_sdk_processor_span_queue_capacity", [], &[],
        "Spans that may wait for export at most.";
    span_inflight: Family<IntGauge> = "otel_sdk_exporter_span_inflight", [], &[], "Spans in the export under way.";
    logs_processed: Family<IntCounter> = "otel_sdk_processor_log_processed_total", ["error_type"], &[],
        "Log records handed to the exporter, or dropped before it (queue_full).";
    logs_exported: Family<IntCounter> = "otel_sdk_exporter_log_exported_total", ["error_type"], &[],
        "Log records whose export ended, by error.";
    log_queue_size: Family<IntGauge> = "otel_sdk_processor_log_queue_size", [], &[],
        "Log records waiting for export.";
    log_queue_capacity: Family<IntGauge> = "otel_sdk_processor_log_queue_capacity", [], &[],
        "Log records that may wait for export at most.";
    log_inflight: Family<IntGauge> = "otel_sdk_exporter_log_inflight", [], &[],
        "Log records in the export under way.";
    points_exported: Family<IntCounter> = "otel_sdk_exporter_metric_data_point_exported_total", ["error_type"], &[],
        "Data points of metrics whose export ended, by error.";
    export_duration: Family<Histogram> =
        "otel_sdk_exporter_operation_duration_seconds", ["signal", "error_type"], LATENCY,
        "Exports to a collector, retries included.";
    panics: Family<IntCounter> = "panics_total", ["task"], &[], "Panics caught, by task.";
    secret_reloads: Family<IntCounter> = "secret_reload_total", ["secret", "result"], &[],
        "Files of keys or certificates that changed and were read again, by result.";
    tls_expiry: Family<Gauge> = "tls_cert_expiry_timestamp_seconds", ["listener"], &[],
        "When the certificate in use ends, in seconds since the epoch.";
    shutdown_forced: IntCounter = "shutdown_forced_connections_total", [], &[],
        "Connections cut when the drain's time was over.";
    shutdown_duration: Gauge = "shutdown_duration_seconds", [], &[], "Duration of the drain so far, or in all.";
    gpu_info: Family<IntGauge> = "gpu_info", ["device", "uuid", "name", "driver", "cuda"], &[],
        "What the device is, with the driver's version and the newest CUDA that it runs; always 1.";
    gpu_utilization: Family<Gauge> = "gpu_utilization_ratio", ["device"], &[],
        "Share of the driver's last sample period in which some kernel ran.";
    gpu_memory_utilization: Family<Gauge> = "gpu_memory_utilization_ratio", ["device"], &[],
        "Share of the driver's last sample period in which memory was read or written.";
    gpu_memory_used: Family<Gauge> = "gpu_memory_used_bytes", ["device"], &[],
        "The device's memory in use by all processes.";
    gpu_memory_total: Family<Gauge> = "gpu_memory_total_bytes", ["device"], &[], "The device's memory.";
    gpu_process_memory: Family<Gauge> = "gpu_process_memory_bytes", ["device"], &[],
        "The device's memory in use by this process.";
    gpu_power: Family<Gauge> = "gpu_power_watts", ["device"], &[], "Power that the device draws.";
    gpu_power_limit: Family<Gauge> = "gpu_power_limit_watts", ["device"], &[], "Power that the device may draw.";
    gpu_temperature: Family<Gauge> = "gpu_temperature_celsius", ["device"], &[], "Temperature of the chip.";
    gpu_sm_clock: Family<Gauge> = "gpu_sm_clock_hertz", ["device"], &[], "Clock of the device's processors.";
    gpu_energy: Family<Counter> = "gpu_energy_joules_total", ["device"], &[],
        "Energy that the device used since the driver was loaded.";
    gpu_throttled: Family<IntGauge> = "gpu_throttled", ["device", "reason"], &[],
        "Whether the device's clocks are held down, by reason.";
    gpu_ecc_errors: Family<IntCounter> = "gpu_ecc_errors_total", ["device"], &[],
        "Uncorrected errors of the device's memories since the driver was loaded.";
    gpu_xid_errors: Family<IntCounter> = "gpu_xid_errors_total", ["device"], &[],
        "Critical errors that the driver reported of the device while it was watched.";
    build_info: Family<IntGauge> = "build_info", ["version", "revision", "rustc", "ort_version"], &[],
        "What is running; always 1.";
    process_cpu: Counter = "process_cpu_seconds_total", [], &[], "User and system CPU time.";
    process_cpu_limit: Gauge = "process_cpu_limit_cores", [], &[],
        "Cores that the process may use: its CPU set, or its cgroup's quota where that is less.";
    process_cpu_periods: IntCounter = "process_cpu_quota_periods_total", [], &[],
        "Periods of the cgroup's CPU quota in which it wanted to run.";
    process_cpu_throttled_periods: IntCounter = "process_cpu_throttled_periods_total", [], &[],
        "Periods in which the CPU quota was used up.";
    process_cpu_throttled: Counter = "process_cpu_throttled_seconds_total", [], &[],
        "Time that threads waited for the next period because the CPU quota was used up.";
    process_memory: IntGauge = "process_resident_memory_bytes", [], &[], "Resident memory.";
    process_open_fds: IntGauge = "process_open_fds", [], &[], "Open file descriptors.";
    process_max_fds: IntGauge = "process_max_fds", [], &[], "Limit on open file descriptors.";
    process_start: Gauge = "process_start_time_seconds", [], &[], "Start, in seconds since the epoch.";
    process_threads: IntGauge = "process_threads", [], &[], "Threads of the process.";
}
