//! Keys: the scopes of HTTP, by metadata.

use std::fs;

use ml_inference_api::grpc::proto::health::{HealthCheckRequest, HealthCheckResponse};
use ml_inference_api::grpc::proto::inference as pb;

use super::with;
use crate::harness::command::run;
use crate::harness::grpc::{INFER, INFERENCE, framed_bytes, rows};
use crate::harness::{Repository, Server};

/// A new key, and its entry of the keys file.
fn made(name: &str, scopes: &str) -> (String, String) {
    let said = run(["key", "--name", name, "--scopes", scopes]).finish().exits(0).stdout;
    let (key, entry) = said.split_once("\n\n").unwrap();
    (format!("Bearer {key}"), entry.to_owned())
}

#[test]
fn a_key_opens_what_its_scopes_say() {
    let ((web, first), (ops, second)) = (made("web", "predict"), made("ops", "metadata,admin"));
    let folder = tempfile::TempDir::new().unwrap();
    let keys = folder.path().join("keys.toml");
    fs::write(&keys, first + &second).unwrap();
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_AUTH__KEYS_FILE", &keys)
        .start();
    with(&server, async |client| {
        let row = rows("add-one", &[1.0; 3]);
        let metadata = pb::ModelMetadataRequest { name: "add-one".into(), version: String::new() };
        let describe = format!("{INFERENCE}ModelMetadata");
        client.call(INFER, &[], &row).await.refused(16, "unauthenticated");
        client.call(INFER, &[("authorization", "Bearer wrong")], &row).await.refused(16, "unauthenticated");
        client.call(INFER, &[("authorization", &ops)], &row).await.refused(7, "forbidden");
        client.call(INFER, &[("authorization", &web)], &row).await.ok::<pb::ModelInferResponse>();
        client.call(&describe, &[("authorization", &web)], &metadata).await.refused(7, "forbidden");
        client.call(&describe, &[("authorization", &ops)], &metadata).await.ok::<pb::ModelMetadataResponse>();
        // The key comes before the model, and an unknown method before the key.
        client.call(INFER, &[], &rows("nobody", &[1.0; 3])).await.refused(16, "unauthenticated");
        client
            .raw(&format!("{INFERENCE}Other"), &[], framed_bytes(0, b""))
            .await
            .refused(12, "method_not_allowed");
        // Administration is not here, whatever the key.
        let load = format!("{INFERENCE}RepositoryModelLoad");
        client.raw(&load, &[], framed_bytes(0, b"")).await.refused(16, "unauthenticated");
        client.raw(&load, &[("authorization", &ops)], framed_bytes(0, b"")).await.refused(7, "forbidden");
        // Probes need none.
        let check = HealthCheckRequest::default();
        client.call("/grpc.health.v1.Health/Check", &[], &check).await.ok::<HealthCheckResponse>();
        let live = format!("{INFERENCE}ServerLive");
        client.call(&live, &[], &pb::ServerLiveRequest {}).await.ok::<pb::ServerLiveResponse>();
    });
    let metrics = server.metrics();
    let refused = [("route", INFER), ("status", "401")];
    assert!((metrics.sum("http_requests_total", &refused) - 3.0).abs() < 0.1);
    let unknown = [("model", "_unknown"), ("outcome", "client_error")];
    assert!((metrics.sum("inference_requests_total", &unknown) - 4.0).abs() < 0.1);
}
