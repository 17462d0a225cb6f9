//! `ticket-topic` against an independent FP64 computation, and what text classifiers do with text.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Request, assert_problem, shared};

const MODEL: &str = "/predict/ticket-topic";
const BOUND: f64 = 1e-4;

fn vectors_of(key: &str) -> &'static [Value] {
    vectors::topics()[key].as_array().unwrap()
}

#[track_caller]
fn assert_topic(prediction: &Value, index: usize) {
    let scores = vectors_of("scores")[index].as_array().unwrap();
    for (label, score) in vectors_of("labels").iter().zip(scores) {
        assert_close(&prediction["scores"][label.as_str().unwrap()], score, BOUND);
    }
    let best = scores.iter().map(|score| score.as_f64().unwrap()).fold(0.0, f64::max);
    assert_close(&prediction["confidence"], &json!(best), BOUND);
}

#[test]
fn every_ticket_alone_and_all_in_one_list() {
    let mut connection = Connection::open(shared().http);
    for (index, text) in vectors_of("texts").iter().enumerate() {
        assert_topic(&connection.call(&Request::json(MODEL, &json!({ "text": text }))).ok(), index);
    }
    let answer = shared().post(MODEL, &json!({ "instances": vectors_of("texts") })).ok();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), vectors_of("texts").len());
    predictions.iter().enumerate().for_each(|(index, prediction)| assert_topic(prediction, index));
}

#[test]
fn long_tickets_are_refused_unless_truncation_is_asked_for() {
    let long = "money ".repeat(400);
    let body = assert_problem(&shared().post(MODEL, &json!({ "text": long })), 400, "input_too_long");
    assert!(body["detail"].as_str().unwrap().contains("at most 256"), "{body}");
    let listed = shared().post(MODEL, &json!({ "instances": ["short", { "text": long }] }));
    assert_problem_at(&listed, 400, "input_too_long", "/instances/1");
    let cut =
        shared().post(MODEL, &json!({ "text": long, "parameters": { "truncate": true, "top_k": 1 } })).ok();
    let fits = shared().post(MODEL, &json!({ "text": "money ".repeat(254) })).ok();
    assert_eq!(cut["label"], fits["label"]);
    assert_close(&cut["confidence"], &fits["confidence"], 1e-6);
    assert_eq!(cut["scores"].as_object().unwrap().len(), 1);
}

#[test]
fn a_text_is_an_object_or_a_string_in_a_list() {
    let server = shared();
    assert_problem(&server.post(MODEL, &json!(["a ticket"])), 400, "invalid_input");
    assert_problem(&server.post(MODEL, &json!("a ticket")), 400, "invalid_input");
    assert_problem_at(&server.post(MODEL, &json!({ "text": 3 })), 400, "invalid_input", "/text");
    assert_problem_at(&server.post(MODEL, &json!({ "subject": "x" })), 400, "unknown_input", "/subject");
    let pair = server.post(MODEL, &json!({ "text": "Where is it?", "text_pair": "My parcel, I mean." })).ok();
    let alone = server.post(MODEL, &json!({ "text": "Where is it?" })).ok();
    assert_ne!(pair["scores"], alone["scores"], "the second text counts");
}

#[test]
fn the_description_says_what_to_send() {
    let answer = shared().get(MODEL).ok();
    assert_eq!(answer["inputs"]["text"]["max_length"], 256);
    assert_eq!(answer["parameters"], json!(["truncate", "top_k"]));
    assert_eq!(answer["labels"], json!(vectors_of("labels")));
    assert_eq!(shared().post(MODEL, &answer["example"]).status, 200);
}
