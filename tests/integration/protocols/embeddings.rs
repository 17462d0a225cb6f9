//! `/v1/embeddings` as OpenAI defines it and text-embeddings-inference serves it.

use serde_json::{Value, json};

use crate::harness::models::copy_folder;
use crate::harness::problem::assert_problem_at;
use crate::harness::{Request, Response, Server, assert_problem, settings, shared, vectors};

const MODEL: &str = "sentence-embedder";

fn call(body: &Value) -> Response {
    shared().post("/v1/embeddings", body)
}

fn with(member: &str, value: Value) -> Value {
    let mut body = json!({"model": MODEL, "input": "a"});
    body[member] = value;
    body
}

fn sentences() -> Vec<Value> {
    vectors::sentences()["sentences"].as_array().unwrap().clone()
}

#[test]
fn vectors_are_those_of_predict_and_tokens_are_counted() {
    let plain = shared().post("/predict/sentence-embedder", &json!({ "instances": sentences() })).ok();
    let predictions = plain["predictions"].as_array().unwrap();
    let answer = call(&json!({"model": MODEL, "input": sentences()})).ok();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(MODEL)));
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), predictions.len());
    for (index, (entry, prediction)) in data.iter().zip(predictions).enumerate() {
        assert_eq!((&entry["object"], &entry["index"]), (&json!("embedding"), &json!(index)));
        assert_eq!(entry["embedding"], prediction["embedding"]);
    }
    let tokens: u64 = predictions.iter().map(|prediction| prediction["tokens"].as_u64().unwrap()).sum();
    assert_eq!(answer["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    let one = call(&json!({"model": MODEL, "input": sentences()[0], "user": "somebody"})).ok();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    assert_eq!(one["usage"]["total_tokens"], predictions[0]["tokens"]);
}

#[test]
fn base64_holds_the_same_singles() {
    let body = |encoding: &str| json!({"model": MODEL, "input": ["a", "b"], "encoding_format": encoding});
    let (float, base64) = (call(&body("float")).ok(), call(&body("base64")).ok());
    for row in 0..2 {
        let packed = decoded(base64["data"][row]["embedding"].as_str().unwrap());
        let singles: Vec<f32> =
            packed.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        let numbers: Vec<f32> = float["data"][row]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.to_string().parse().unwrap())
            .collect();
        assert_eq!(singles, numbers);
    }
}

/// Base64 by its definition (RFC 4648).
fn decoded(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values: Vec<usize> = text.trim_end_matches('=').chars().map(|c| alphabet.find(c).unwrap()).collect();
    let bits = values.iter().flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1 == 1));
    let bits: Vec<bool> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}

#[test]
fn token_ids_stand_for_their_text() {
    // [CLS] hello world [SEP] in the vocabulary of BERT.
    let ids = json!([101, 7592, 2088, 102]);
    let text = call(&with("input", json!("hello world"))).ok();
    let one = call(&with("input", ids.clone())).ok();
    assert_eq!(one["data"], text["data"]);
    assert_eq!(one["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    let several = call(&with("input", json!([ids, ids]))).ok();
    assert_eq!(several["data"].as_array().unwrap().len(), 2);
    assert_eq!(several["data"][1]["embedding"].as_array().unwrap().len(), 384);
    for (input, code, pointer) in [
        (json!([101, 99_999_999]), "invalid_input", "/input"),
        (json!([[101], [99_999_999]]), "invalid_input", "/input/1"),
        (json!([101, 5_000_000_000_u64]), "invalid_input", "/input/1"),
        (json!([101, -1]), "invalid_input", "/input/1"),
        (json!([101, 1.5]), "invalid_input", "/input/1"),
        (json!([101, "a"]), "invalid_input", "/input/1"),
        (json!(["a", 101]), "invalid_input", "/input/1"),
        (json!([[101], 101]), "invalid_input", "/input/1"),
        (json!([[101, "a"]]), "invalid_input", "/input/0/1"),
        (json!([[]]), "invalid_input", "/input/0"),
        (json!([]), "invalid_input", "/input"),
        (json!([null]), "invalid_input", "/input/0"),
        (json!(null), "invalid_input", "/input"),
        (json!({"text": "a"}), "invalid_input", "/input"),
        (json!(vec!["a"; 1025]), "batch_too_large", "/input"),
        (json!(vec![101; 600]), "input_too_long", "/input"),
        (json!(["a", "word ".repeat(600)]), "input_too_long", "/input/1"),
    ] {
        assert_problem_at(&call(&with("input", input)), 400, code, pointer);
    }
    assert_eq!(call(&json!({"model": MODEL, "input": vec![101; 600], "truncate": true})).status, 200);
    assert_eq!(call(&json!({"model": MODEL, "input": "word ".repeat(600), "truncate": true})).status, 200);
}

#[test]
fn what_openai_would_refuse_is_refused() {
    assert_problem_at(&call(&with("model", json!("gpt"))), 404, "model_not_found", "/model");
    assert_problem_at(&call(&with("model", json!("add-one"))), 400, "invalid_input", "/model");
    // Nobody named: the default model, which is none that embeds.
    assert_problem_at(&call(&json!({"input": "a"})), 400, "invalid_input", "/model");
    assert_problem_at(
        &call(&with("encoding_format", json!("int8"))),
        400,
        "invalid_input",
        "/encoding_format",
    );
    assert_problem_at(&call(&with("dimensions", json!(100))), 400, "invalid_input", "/dimensions");
    assert_problem_at(&call(&with("dimensions", json!(0))), 400, "invalid_input", "/dimensions");
    assert_problem(&call(&with("inputs", json!("a"))), 400, "unknown_input");
    assert_problem(&call(&json!({"model": MODEL})), 400, "missing_input");
    assert_problem(&call(&json!([])), 400, "invalid_input");
    let text = |body: &str| shared().call(&Request::text("/v1/embeddings", "application/json", body));
    assert_problem(&text(""), 400, "invalid_json");
    assert_problem(&text("{\"input\": \"a\""), 400, "invalid_json");
    assert_eq!(
        call(&with("dimensions", json!(384))).ok()["data"][0]["embedding"].as_array().unwrap().len(),
        384
    );
}

#[test]
fn vectors_are_cut_where_the_model_was_trained_for_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let model = folder.path().join("matryoshka");
    let source = settings::package("models/sentence-embedder");
    copy_folder(&source, &model);
    let manifest = std::fs::read_to_string(model.join("model.toml")).unwrap_or_default();
    let own = manifest.lines().filter(|line| !line.starts_with("name") && !line.starts_with("dimensions"));
    let text = format!("dimensions = [64, 128]\n{}\n", own.collect::<Vec<_>>().join("\n"));
    std::fs::write(model.join("model.toml"), text).unwrap();
    let server = Server::builder().models(&model).start();
    let ask = |dimensions: u64| {
        server.post("/v1/embeddings", &json!({"input": "a text", "dimensions": dimensions}))
    };
    let whole = ask(384).ok()["data"][0]["embedding"].clone();
    let cut = ask(64).ok()["data"][0]["embedding"].clone();
    let number = |value: &Value| value.as_f64().unwrap();
    let cut: Vec<f64> = cut.as_array().unwrap().iter().map(number).collect();
    assert_eq!(cut.len(), 64);
    let kept: Vec<f64> = whole.as_array().unwrap()[..64].iter().map(number).collect();
    let length = kept.iter().map(|value| value * value).sum::<f64>().sqrt();
    for (came, expected) in cut.iter().zip(kept.iter().map(|value| value / length)) {
        assert!((came - expected).abs() < 1e-6, "{came} is not {expected}");
    }
    let problem = assert_problem_at(&ask(65), 400, "invalid_input", "/dimensions");
    assert!(problem["detail"].as_str().unwrap().contains("64, 128, 384"), "{problem}");
}
