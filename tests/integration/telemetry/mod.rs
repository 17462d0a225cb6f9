//! Metrics as Prometheus reads them; spans, metrics and logs as the Collector gets them, in the clear and over TLS; logs
//! on stderr; and what telemetry must never do to a request.

mod batches;
mod blackhole;
mod cardinality;
mod collector;
mod collector_tls;
mod exemplars;
mod formats;
mod logs;
mod metrics;
mod quality;
mod run_time;
mod runtime;
mod switches;
mod traces;
