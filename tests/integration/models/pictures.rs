//! `digits` against Pillow and scikit-learn, and what image models do with what is no picture.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Request, Response, Server, assert_problem, shared};

const MODEL: &str = "/predict/digits";

fn images() -> &'static [Value] {
    vectors::digits()["images"].as_array().unwrap()
}

fn file(image: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(image["b64"].as_str().unwrap()).unwrap()
}

fn post(content_type: &str, bytes: &[u8]) -> Response {
    shared().call(&Request::new("POST", MODEL).header("content-type", content_type).body(bytes))
}

#[track_caller]
fn assert_digit(prediction: &Value, image: &Value) {
    assert_eq!(prediction["label"], image["label"], "{}", image["name"]);
    let bound = image["tolerance"].as_f64().unwrap();
    for (label, score) in image["scores"].as_array().unwrap().iter().enumerate() {
        assert_close(&prediction["scores"][label.to_string()], score, bound);
    }
    let winner = image["label"].as_str().unwrap();
    assert_eq!(prediction["confidence"], prediction["scores"][winner]);
}

#[test]
fn every_picture_in_base64_and_as_it_is() {
    let mut connection = Connection::open(shared().http);
    for image in images() {
        let answer = connection.call(&Request::json(MODEL, &json!({ "b64": image["b64"] }))).ok();
        assert_digit(&answer, image);
        assert_eq!(answer["model"], json!({ "name": "digits", "version": "1" }));
        let content_type = image["media_type"].as_str().unwrap();
        let raw = Request::new("POST", MODEL).header("content-type", content_type).body(file(image));
        assert_digit(&connection.call(&raw).ok(), image);
    }
}

#[test]
fn all_pictures_in_one_list() {
    let instances: Vec<Value> = images().iter().map(|image| json!({ "b64": image["b64"] })).collect();
    let body = json!({ "instances": instances, "parameters": { "top_k": 2 } });
    let answer = shared().post(MODEL, &body).ok();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), images().len());
    for (prediction, image) in predictions.iter().zip(images()) {
        assert_eq!(prediction["label"], image["label"]);
        assert_eq!(prediction["scores"].as_object().unwrap().len(), 2);
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    let good = images()[0]["b64"].as_str().unwrap();
    for (content_type, body) in
        [("image/png", &b"no picture"[..]), ("image/jpeg", b""), ("image/png", b"GIF89a....")]
    {
        assert_problem(&post(content_type, body), 400, "invalid_input");
    }
    let cut = &file(&images()[0])[..60];
    assert_problem(&post("image/png", cut), 400, "invalid_input");
    // The type that is declared is no promise that one format is the other: both are read.
    assert_eq!(post("image/jpeg", &file(&images()[0])).status, 200);
    let server = shared();
    let at = |body: Value, code: &str, pointer: &str| {
        assert_problem_at(&server.post(MODEL, &body), 400, code, pointer);
    };
    at(json!({ "b64": "?" }), "invalid_input", "/b64");
    at(json!({ "instances": [{ "b64": good }, { "b64": "aGVsbG8" }] }), "invalid_input", "/instances/1/b64");
    at(json!({ "b64": good, "size": 8 }), "unknown_input", "/size");
    assert_problem(&server.post(MODEL, &json!([good])), 400, "invalid_input");
}

#[test]
fn other_types_are_told_what_to_send() {
    for content_type in
        ["image/webp", "image/gif", "application/octet-stream", "text/csv", "multipart/form-data"]
    {
        let body = assert_problem(&post(content_type, b"x"), 415, "unsupported_media_type");
        assert!(body["detail"].as_str().unwrap().contains("image/png"), "{body}");
    }
    let to_others =
        Request::new("POST", "/predict/fraud-detector").header("content-type", "image/png").body(b"x");
    let body = assert_problem(&shared().call(&to_others), 415, "unsupported_media_type");
    assert!(!body["detail"].as_str().unwrap().contains("image"), "{body}");
}

#[test]
fn pixels_are_limited_before_they_are_unpacked() {
    let digits = crate::harness::settings::package("models/digits");
    let server = Server::builder().models(digits).env("ML_INFERENCE_LIMITS__MAX_IMAGE_PIXELS", "64").start();
    let by_size =
        |wide: bool| images().iter().find(|image| image["name"].as_str().unwrap().contains("8x8") != wide);
    let (small, large) = (by_size(false).unwrap(), by_size(true).unwrap());
    let answer = server.post(MODEL, &json!({ "b64": small["b64"] })).ok();
    assert_eq!(answer["label"], small["label"]);
    let refused =
        server.post(MODEL, &json!({ "instances": [{ "b64": small["b64"] }, { "b64": large["b64"] }] }));
    let body = assert_problem_at(&refused, 413, "payload_too_large", "/instances/1/b64");
    assert!(body["detail"].as_str().unwrap().contains("at most 64 pixels"), "{body}");
}

#[test]
fn the_description_says_what_to_send() {
    let answer = shared().get(MODEL).ok();
    assert_eq!(answer["inputs"]["image"]["media_types"], json!(["image/png", "image/jpeg"]));
    assert_eq!(answer["inputs"]["image"]["height"], 8);
    assert_eq!(answer["labels"].as_array().unwrap().len(), 10);
    let example = &answer["example"];
    assert_eq!(shared().post(MODEL, example).status, 200, "{example}");
}
