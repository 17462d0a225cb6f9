//! What each method answers.

use ml_inference_api::grpc::proto::inference::{self as pb, infer_parameter::ParameterChoice};

use super::with;
use crate::harness::grpc::{Client, INFER, INFERENCE, framed_bytes, input, parameter, rows, slow};
use crate::harness::{Request, shared};

fn path(method: &str) -> String {
    format!("{INFERENCE}{method}")
}

#[test]
fn the_server_and_its_models_tell_what_they_are() {
    with(shared(), async |client| {
        let live: pb::ServerLiveResponse =
            client.call(&path("ServerLive"), &[], &pb::ServerLiveRequest {}).await.ok();
        let ready: pb::ServerReadyResponse =
            client.call(&path("ServerReady"), &[], &pb::ServerReadyRequest {}).await.ok();
        assert!(live.live && ready.ready);
        let server: pb::ServerMetadataResponse =
            client.call(&path("ServerMetadata"), &[], &pb::ServerMetadataRequest {}).await.ok();
        let told = shared().get("/v2").ok();
        assert_eq!(
            (&*server.name, &*server.version),
            (told["name"].as_str().unwrap(), told["version"].as_str().unwrap())
        );
        assert_eq!(serde_json::json!(server.extensions), told["extensions"]);
        for (name, version, expected) in [
            ("add-one", "", true),
            ("versions", "9", true),
            ("versions", "3", false),
            ("nobody", "", false),
            ("add-one", "one", false),
        ] {
            let asked = pb::ModelReadyRequest { name: name.into(), version: version.into() };
            let answer: pb::ModelReadyResponse = client.call(&path("ModelReady"), &[], &asked).await.ok();
            assert_eq!(answer.ready, expected, "{name} {version}");
        }
    });
}

#[test]
fn the_facts_of_a_model_are_those_that_http_tells() {
    with(shared(), async |client| {
        let asked = pb::ModelMetadataRequest { name: "versions".into(), version: "9".into() };
        let answer: pb::ModelMetadataResponse = client.call(&path("ModelMetadata"), &[], &asked).await.ok();
        let told = shared().get("/v2/models/versions/versions/9").ok();
        assert_eq!(serde_json::json!(answer.versions), told["versions"]);
        assert_eq!((&*answer.name, &*answer.platform), ("versions", told["platform"].as_str().unwrap()));
        let input = &answer.inputs[0];
        assert_eq!((&*input.name, &*input.datatype, &*input.shape), ("x", "FP32", &[-1, 3][..]));
        assert_eq!(answer.outputs.len(), told["outputs"].as_array().unwrap().len());
        assert_eq!(serde_json::json!(answer.properties), told["properties"]);

        let asked = pb::ModelConfigRequest { name: "add-one".into(), version: String::new() };
        let answer: pb::ModelConfigResponse = client.call(&path("ModelConfig"), &[], &asked).await.ok();
        let (config, told) = (answer.config.unwrap(), shared().get("/v2/models/add-one/config").ok());
        assert_eq!(config.backend, told["backend"].as_str().unwrap());
        assert_eq!(Some(i64::from(config.max_batch_size)), told["max_batch_size"].as_i64());
        assert_eq!((config.input[0].data_type(), &*config.input[0].dims), (pb::DataType::TypeFp32, &[3][..]));
        assert_eq!(
            config.instance_group[0].kind().as_str_name(),
            told["instance_group"][0]["kind"].as_str().unwrap()
        );
        assert!(config.scheduling_choice.is_some() && config.version_policy.is_some());

        let asked = pb::RepositoryIndexRequest { ready: true, ..Default::default() };
        let index: pb::RepositoryIndexResponse =
            client.call(&path("RepositoryIndex"), &[], &asked).await.ok();
        let told = shared().call(&Request::new("POST", "/v2/repository/index")).ok();
        assert_eq!(index.models.len(), told.as_array().unwrap().len());
        assert_eq!(index.models[0].state, "READY");
    });
}

#[test]
fn statistics_count_what_came_by_grpc() {
    with(shared(), async |client| {
        let count = async || {
            let asked = pb::ModelStatisticsRequest { name: "passthrough".into(), version: "1".into() };
            let answer: pb::ModelStatisticsResponse =
                client.call(&path("ModelStatistics"), &[], &asked).await.ok();
            let [one] = &answer.model_stats[..] else { panic!("{answer:?}") };
            (one.inference_count, one.inference_stats.unwrap().success.unwrap().count)
        };
        let before = count().await;
        client.infer(&rows("passthrough", &[1.0; 6])).await;
        let after = count().await;
        assert!(after.0 >= before.0 + 2 && after.1 > before.1, "{before:?} {after:?}");
        let all: pb::ModelStatisticsResponse =
            client.call(&path("ModelStatistics"), &[], &pb::ModelStatisticsRequest::default()).await.ok();
        assert!(all.model_stats.iter().any(|one| one.name == "fraud-detector"));
        let unknown = pb::ModelStatisticsRequest { name: "nobody".into(), version: String::new() };
        client.call(&path("ModelStatistics"), &[], &unknown).await.refused(5, "model_not_found");
    });
}

#[test]
fn raw_requests_are_answered_raw_and_typed_ones_typed() {
    with(shared(), async |client| {
        let mut request = rows("add-one", &[1.0, 2.5, -3.0]);
        request.id = "é 1".to_owned();
        let answer = client.infer(&request).await;
        assert_eq!((&*answer.model_name, &*answer.model_version, &*answer.id), ("add-one", "1", "é 1"));
        assert_eq!((&*answer.outputs[0].datatype, &*answer.outputs[0].shape), ("FP32", &[1, 3][..]));
        assert!(answer.outputs[0].contents.is_none());
        let raw: Vec<u8> = [2.0_f32, 3.5, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(answer.raw_output_contents, [raw]);

        request.raw_input_contents.clear();
        request.inputs[0].contents =
            Some(pb::InferTensorContents { fp32_contents: vec![1.0, 2.5, -3.0], ..Default::default() });
        let typed = client.infer(&request).await;
        assert_eq!(typed.outputs[0].contents.as_ref().unwrap().fp32_contents, [2.0, 3.5, -2.0]);
        assert!(typed.raw_output_contents.is_empty());
    });
}

#[test]
fn texts_and_versions_and_classes() {
    with(shared(), async |client| {
        let contents = pb::InferTensorContents {
            bytes_contents: vec!["é".into(), "".into(), "b".into()],
            ..Default::default()
        };
        let mut words = input("x", "BYTES", &[3]);
        words.contents = Some(contents.clone());
        let request =
            pb::ModelInferRequest { model_name: "strings".into(), inputs: vec![words], ..Default::default() };
        let answer = client.infer(&request).await;
        assert_eq!(answer.outputs[0].contents.as_ref().unwrap().bytes_contents, contents.bytes_contents);

        let nine = pb::ModelInferRequest { model_version: "9".into(), ..rows("versions", &[0.0; 3]) };
        assert_eq!(client.infer(&nine).await.model_version, "9");
        assert_eq!(client.infer(&rows("versions", &[0.0; 3])).await.model_version, "10");

        let mut scores = input("features", "FP32", &[1, 2]);
        scores.contents =
            Some(pb::InferTensorContents { fp32_contents: vec![0.1, 0.2], ..Default::default() });
        let mut wanted = pb::model_infer_request::InferRequestedOutputTensor {
            name: "output_probability".into(),
            ..Default::default()
        };
        wanted.parameters.insert("classification".into(), parameter(ParameterChoice::Int64Param(2)));
        let request = pb::ModelInferRequest {
            model_name: "zipmap".into(),
            inputs: vec![scores],
            outputs: vec![wanted],
            ..Default::default()
        };
        let answer = client.infer(&request).await;
        assert_eq!((&*answer.outputs[0].datatype, &*answer.outputs[0].shape), ("BYTES", &[1, 2][..]));
    });
}

/// Types, their words, and two elements of each as they lie in memory, as numbers where there is a field.
fn types() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("bool", "BOOL", vec![1, 0]),
        ("uint8", "UINT8", vec![0, 255]),
        ("uint16", "UINT16", vec![1, 0, 255, 255]),
        ("uint32", "UINT32", [1_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat()),
        ("uint64", "UINT64", [1_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat()),
        ("int8", "INT8", vec![128, 127]),
        ("int16", "INT16", [i16::MIN.to_le_bytes(), i16::MAX.to_le_bytes()].concat()),
        ("int32", "INT32", [i32::MIN.to_le_bytes(), i32::MAX.to_le_bytes()].concat()),
        ("int64", "INT64", [i64::MIN.to_le_bytes(), i64::MAX.to_le_bytes()].concat()),
        ("float16", "FP16", vec![0xff, 0x7b, 0x01, 0x00]),
        ("bfloat16", "BF16", vec![0x80, 0x3f, 0x49, 0xc0]),
        ("float64", "FP64", [0.1_f64.to_le_bytes(), f64::NAN.to_le_bytes()].concat()),
    ]
}

#[test]
fn every_type_goes_raw_and_comes_back() {
    let types = types();
    let request = pb::ModelInferRequest {
        model_name: "dtypes".into(),
        inputs: types
            .iter()
            .map(|(name, datatype, _)| input(&format!("{name}_in"), datatype, &[1, 2]))
            .collect(),
        raw_input_contents: types.iter().map(|(_, _, raw)| raw.clone().into()).collect(),
        ..Default::default()
    };
    with(shared(), async |client| {
        let answer = client.infer(&request).await;
        assert_eq!(answer.raw_output_contents.len(), answer.outputs.len());
        for (output, raw) in answer.outputs.iter().zip(&answer.raw_output_contents) {
            let (_, _, sent) = types.iter().find(|(name, ..)| output.name == format!("{name}_out")).unwrap();
            assert_eq!(raw, sent, "{}", output.name);
        }
        // A request of untold contents has no word for half precision, and an answer with it is raw.
        let mut untold = request.clone();
        untold.raw_input_contents.clear();
        let place = client.call(INFER, &[], &untold).await.refused(3, "missing_input");
        assert_eq!(place, "/inputs/0/contents");
    });
}

#[test]
fn the_http_port_takes_calls_and_requests_alike() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = Client::open(shared().http).await;
        assert_eq!(client.infer(&rows("add-one", &[1.0; 3])).await.outputs.len(), 1);
    });
    shared().get("/health").ok();
}

#[test]
fn packed_messages_are_unpacked() {
    use std::io::Write as _;
    let message = prost::Message::encode_to_vec(&rows("add-one", &[1.0; 300]));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message).unwrap();
    let packed = gzip.finish().unwrap();
    with(shared(), async |client| {
        let answer: pb::ModelInferResponse =
            client.raw(INFER, &[("grpc-encoding", "gzip")], framed_bytes(1, &packed)).await.ok();
        assert_eq!(answer.outputs[0].shape, [100, 3]);
        // Not every message need be packed.
        client
            .raw(INFER, &[("grpc-encoding", "gzip")], framed_bytes(0, &message))
            .await
            .ok::<pb::ModelInferResponse>();
        client.raw(INFER, &[], framed_bytes(1, &packed)).await.refused(3, "invalid_input");
        client
            .raw(INFER, &[("grpc-encoding", "gzip")], framed_bytes(1, &packed[..9]))
            .await
            .refused(3, "invalid_input");
        let unknown = client.raw(INFER, &[("grpc-encoding", "br")], framed_bytes(1, &packed)).await;
        unknown.refused(3, "unsupported_media_type");
        assert_eq!(unknown.header("grpc-accept-encoding"), Some("identity,gzip,deflate"));
    });
}

#[test]
fn answers_carry_ids_traces_and_times() {
    with(shared(), async |client| {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let metadata = [("x-request-id", "mine-1"), ("traceparent", trace)];
        let answer = client.call(INFER, &metadata, &slow(1)).await;
        assert_eq!(answer.header("x-request-id"), Some("mine-1"));
        assert_eq!(&answer.header("traceresponse").unwrap()[3..35], &trace[3..35]);
        let timing = answer.header("server-timing").unwrap();
        for stage in ["preprocess;dur=", "queue;dur=", "execute;dur=", "postprocess;dur=", "total;dur="] {
            assert!(timing.contains(stage), "{timing}");
        }
        let other = client.call(&path("ServerLive"), &metadata, &pb::ServerLiveRequest {}).await;
        assert_eq!((other.header("x-request-id"), other.header("traceresponse")), (Some("mine-1"), None));
    });
}
