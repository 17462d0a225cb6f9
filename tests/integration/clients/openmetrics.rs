//! The parsers of Prometheus' Python client.

use serde_json::json;

use super::unittest;
use crate::harness::collector::Collector;
use crate::harness::{Repository, Server, settings};

#[test]
fn the_reference_parser_reads_openmetrics_with_exemplars() {
    let collector = Collector::start();
    let builder =
        Server::builder().repository(Repository::new().fixture("add-one").model("columns", "columns", ""));
    let server = collector.by_grpc(builder).env("ML_INFERENCE_TELEMETRY__SEMANTIC_METRICS", "true").start();
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    server.post("/predict/columns", &json!([30, 1000, "Oslo", 2])).ok();
    server.wait_for_no_request_in_flight();
    server.expects_strangers();
    unittest(&settings::clients(), "openmetrics.py", ["Formats", &server.http.to_string()]);
}
