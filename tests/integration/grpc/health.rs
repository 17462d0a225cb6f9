//! `grpc.health.v1.Health`.

use ml_inference_api::grpc::proto::health::health_check_response::ServingStatus;
use ml_inference_api::grpc::proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use prost::Message as _;

use super::with;
use crate::harness::grpc::{Client, framed, next};
use crate::harness::{Repository, Server, shared};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn asked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

#[test]
fn the_server_its_service_and_its_models() {
    with(shared(), async |client| {
        for service in ["", "inference.GRPCInferenceService", "add-one"] {
            let answer: HealthCheckResponse = client.call(CHECK, &[], &asked(service)).await.ok();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        }
        client.call(CHECK, &[], &asked("nobody")).await.refused(5, "not_found");
        let list: HealthListResponse =
            client.call("/grpc.health.v1.Health/List", &[], &HealthListRequest {}).await.ok();
        assert!(list.statuses.contains_key("add-one") && list.statuses.contains_key(""));
    });
}

async fn watched(client: &Client, service: &str) -> (hyper::body::Incoming, Vec<u8>, hyper::HeaderMap) {
    let body = http_body_util::Full::from(framed(&asked(service)));
    let response = client.send(WATCH, &[], http_body_util::BodyExt::boxed(body)).await.unwrap();
    (response.into_body(), Vec::new(), hyper::HeaderMap::new())
}

#[test]
fn who_watches_is_told_of_the_end_and_the_stream_ends_with_it() {
    let mut server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_DRAIN__DELAY", "600s")
        .start();
    with(&server, async |client| {
        let told = async |watch: &mut (hyper::body::Incoming, Vec<u8>, hyper::HeaderMap)| {
            let message = next(&mut watch.0, &mut watch.1, &mut watch.2).await?;
            Some(HealthCheckResponse::decode(message).unwrap().status())
        };
        let mut all = watched(&client, "").await;
        let mut model = watched(&client, "add-one").await;
        let mut nobody = watched(&client, "nobody").await;
        assert_eq!(told(&mut all).await, Some(ServingStatus::Serving));
        assert_eq!(told(&mut model).await, Some(ServingStatus::Serving));
        assert_eq!(told(&mut nobody).await, Some(ServingStatus::ServiceUnknown));
        server.process.signal("TERM");
        assert_eq!(told(&mut all).await, Some(ServingStatus::NotServing));
        assert_eq!(told(&mut model).await, Some(ServingStatus::NotServing));
    });
    server.process.signal("TERM");
    server.exit_code(std::time::Duration::from_secs(20));
}
