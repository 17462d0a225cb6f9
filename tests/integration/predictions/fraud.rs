//! `fraud-detector` against scikit-learn: 200 rows in every form that a body may have.

use serde_json::{Value, json};

use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Request, shared};

const BOUND: f64 = 1e-5;

/// The prediction is the one that scikit-learn gives for row `index`.
#[track_caller]
fn assert_row(prediction: &Value, index: usize) {
    let expected = &vectors::fraud()["scores"][index];
    assert_close(
        &json!([prediction["scores"]["legitimate"], prediction["scores"]["fraud"]]),
        expected,
        BOUND,
    );
    let scores: Vec<f64> = expected.as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
    let (label, confidence) =
        if scores[0] >= scores[1] { ("legitimate", scores[0]) } else { ("fraud", scores[1]) };
    // Where both are alike, rounding may choose either.
    if (scores[0] - scores[1]).abs() > 1e-6 {
        assert_eq!(prediction["label"], label, "row {index}: {prediction}");
    }
    assert_close(&prediction["confidence"], &json!(confidence), BOUND);
}

fn rows() -> &'static [Value] {
    vectors::fraud()["rows"].as_array().unwrap()
}

#[test]
fn bare_objects() {
    let mut connection = Connection::open(shared().http);
    for index in 0..rows().len() {
        let request = Request::json("/predict/fraud-detector", &vectors::fraud_instance(index));
        let answer = connection.call(&request).ok();
        assert_row(&answer, index);
        assert_eq!(answer["model"], json!({"name": "fraud-detector", "version": "1"}));
    }
}

#[test]
fn bare_arrays_to_the_default_model() {
    let mut connection = Connection::open(shared().http);
    for (index, row) in rows().iter().enumerate() {
        assert_row(&connection.call(&Request::json("/predict", row)).ok(), index);
    }
}

#[test]
fn lists_keep_their_order() {
    let server = shared();
    let by_name: Vec<Value> = (0..rows().len()).map(vectors::fraud_instance).collect();
    for instances in [json!(by_name), json!(rows())] {
        let answer = server.post("/predict", &json!({ "instances": instances })).ok();
        let predictions = answer["predictions"].as_array().unwrap();
        assert_eq!(predictions.len(), rows().len());
        predictions.iter().enumerate().for_each(|(index, prediction)| assert_row(prediction, index));
        assert_eq!(answer["model"], json!({"name": "fraud-detector", "version": "1"}));
    }
}

#[test]
fn csv_with_a_header_row() {
    let mut text = vectors::fraud_features().join(",");
    for row in rows() {
        let fields: Vec<String> = row.as_array().unwrap().iter().map(Value::to_string).collect();
        text.push('\n');
        text.push_str(&fields.join(","));
    }
    let answer = shared().call(&Request::text("/predict/fraud-detector", "text/csv", &text)).ok();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), rows().len());
    predictions.iter().enumerate().for_each(|(index, prediction)| assert_row(prediction, index));
}

#[test]
fn a_version_in_the_path() {
    let answer = shared().post("/predict/fraud-detector/versions/1", &rows()[3]).ok();
    assert_row(&answer, 3);
}

#[test]
fn scores_stand_highest_first_and_top_k_limits_them() {
    let body = json!({ "instances": [rows()[0]], "parameters": { "top_k": 1 } });
    let answer = shared().post("/predict/fraud-detector", &body).ok();
    let scores = answer["predictions"][0]["scores"].as_object().unwrap();
    assert_eq!(scores.len(), 1, "{answer}");
    let whole = shared().post("/predict/fraud-detector", &rows()[0]);
    let text = whole.text();
    let (first, second) = (text.find("\"legitimate\":"), text.rfind("\"fraud\":"));
    assert!(first < second, "row 0 is legitimate, which must stand first: {text}");
}
