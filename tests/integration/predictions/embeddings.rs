//! `sentence-embedder` against an independent FP64 computation, and what text models do with text.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Request, assert_problem, shared};

const MODEL: &str = "/predict/sentence-embedder";
const BOUND: f64 = 1e-4;

fn sentences() -> &'static [Value] {
    vectors::sentences()["sentences"].as_array().unwrap()
}

#[track_caller]
fn assert_embedding(prediction: &Value, index: usize) {
    assert_close(&prediction["embedding"], &vectors::sentences()["embeddings"][index], BOUND);
    assert_eq!(prediction["tokens"], vectors::sentences()["tokens"][index]);
}

#[test]
fn every_sentence_alone() {
    let mut connection = Connection::open(shared().http);
    for (index, sentence) in sentences().iter().enumerate() {
        let answer = connection.call(&Request::json(MODEL, &json!({ "text": sentence }))).ok();
        assert_embedding(&answer, index);
        assert_eq!(answer["model"]["name"], "sentence-embedder");
    }
}

#[test]
fn all_sentences_in_one_list_as_text_and_as_objects() {
    let objects: Vec<Value> = sentences().iter().map(|sentence| json!({ "text": sentence })).collect();
    for instances in [json!(sentences()), json!(objects)] {
        let answer = shared().post(MODEL, &json!({ "instances": instances })).ok();
        let predictions = answer["predictions"].as_array().unwrap();
        assert_eq!(predictions.len(), sentences().len());
        predictions.iter().enumerate().for_each(|(index, prediction)| assert_embedding(prediction, index));
    }
}

#[test]
fn embeddings_have_length_one() {
    let answer = shared().post(MODEL, &json!({"text": "One word."})).ok();
    let vector = answer["embedding"].as_array().unwrap();
    let length: f64 = vector.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
    assert_eq!(vector.len(), 384);
    assert!((length - 1.0).abs() < 1e-4, "{length}");
}

#[test]
fn long_texts_are_refused_unless_truncation_is_asked_for() {
    let server = shared();
    let long = "word ".repeat(400);
    let body = assert_problem(&server.post(MODEL, &json!({ "text": long })), 400, "input_too_long");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("256") && detail.contains("402"), "the limit and the length: {detail}");
    let refused = server.post(MODEL, &json!({ "instances": ["short", long] }));
    let body = assert_problem(&refused, 400, "input_too_long");
    assert!(body["pointer"].as_str().unwrap().starts_with("/instances/1"), "{body}");
    for asked in [
        json!({ "text": long, "parameters": { "truncate": true } }),
        json!({ "instances": [long], "parameters": { "truncate": true } }),
    ] {
        let answer = server.post(MODEL, &asked).ok();
        let prediction = answer.get("predictions").map_or(&answer, |list| &list[0]);
        assert_eq!(prediction["tokens"], 256);
    }
}

#[test]
fn text_of_any_script_is_taken_and_broken_text_is_refused() {
    let server = shared();
    for text in ["\u{202e}rtl", "👩‍👩‍👧‍👦", "\u{0}nul", "a\u{300}\u{301}", ""] {
        assert_eq!(server.post(MODEL, &json!({ "text": text })).status, 200, "{text:?}");
    }
    for body in [&b"{\"text\": \"\xff\xfe\"}"[..], b"{\"text\": \"\\ud800\"}", b"{\"text\": \"\\ud800x\"}"] {
        let request = Request::new("POST", MODEL).header("content-type", "application/json").body(body);
        assert_problem(&server.call(&request), 400, "invalid_json");
    }
}

#[test]
fn other_forms_are_refused_with_a_hint() {
    let server = shared();
    assert_problem(&server.post(MODEL, &json!(["a", "b"])), 400, "invalid_input");
    assert_problem(&server.post(MODEL, &json!("text")), 400, "invalid_input");
    assert_problem_at(&server.post(MODEL, &json!({"text": 5})), 400, "invalid_input", "/text");
    assert_problem_at(&server.post(MODEL, &json!({"txt": "a"})), 400, "unknown_input", "/txt");
    assert_problem(&server.post(MODEL, &json!({"text_pair": "a"})), 400, "missing_input");
    let bad = json!({"instances": ["a", 5]});
    assert_problem_at(&server.post(MODEL, &bad), 400, "invalid_input", "/instances/1");
}
