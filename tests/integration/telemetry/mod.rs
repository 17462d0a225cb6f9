//! Metrics as Prometheus reads them, spans as the Collector gets them, logs, and what telemetry must
//! never do to a request.

mod batches;
mod blackhole;
mod cardinality;
mod logs;
mod metrics;
mod quality;
mod run_time;
mod runtime;
mod switches;
mod traces;
