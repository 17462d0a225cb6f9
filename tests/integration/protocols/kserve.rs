//! `:predict` in the forms of TensorFlow Serving's REST API and of KServe v1.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::{Repository, Request, Server, assert_problem, shared, vectors};

#[track_caller]
fn predict(model: &str, body: &Value) -> Value {
    shared().post(&format!("/v1/models/{model}:predict"), body).ok()
}

#[test]
fn tensors_go_without_the_name_of_an_only_input_or_output() {
    let rows = json!([[1, 2, 3], [4, 5, 6.5]]);
    let more = json!([[2.0, 3.0, 4.0], [5.0, 6.0, 7.5]]);
    assert_eq!(predict("add-one", &json!({ "instances": rows })), json!({ "predictions": more }));
    assert_eq!(
        predict("add-one", &json!({"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6.5]}]})),
        json!({ "predictions": more })
    );
    assert_eq!(predict("add-one", &json!({ "inputs": rows })), json!({ "outputs": more }));
    assert_eq!(predict("add-one", &json!({"inputs": { "x": rows }})), json!({ "outputs": more }));
}

#[test]
fn several_inputs_and_outputs_keep_their_names() {
    let instances = json!([{"a": [1, 2], "b": [3, 4]}, {"a": [5, 6], "b": [7, 8]}]);
    let answer = predict("two-inputs", &json!({ "instances": instances }));
    assert_eq!(answer["predictions"][1]["rows"], json!([7, 8]));
    assert_eq!(answer["predictions"][0]["sum"], json!([4.0, 6.0]));
    let answer = predict("two-inputs", &json!({"inputs": {"b": [[3, 4], [7, 8]], "a": [[1, 2], [5, 6]]}}));
    assert_eq!(answer["outputs"], json!({"sum": [[4.0, 6.0], [12.0, 14.0]], "rows": [[3, 4], [7, 8]]}));
}

#[test]
fn single_values_are_instances_of_an_input_without_further_dimensions() {
    // The input is `[N]`: an instance of it is a plain value.
    let answer = predict("strings", &json!({"instances": ["a", "é"]}));
    assert_eq!(answer, json!({"predictions": ["a", "é"]}));
    assert_eq!(predict("strings", &json!({"instances": [{"x": "a"}]})), json!({"predictions": ["a"]}));
    assert_eq!(predict("strings", &json!({"inputs": ["a", "b"]})), json!({"outputs": ["a", "b"]}));
    let refused = |body: Value| shared().post("/v1/models/strings:predict", &body);
    assert_problem_at(&refused(json!({"instances": ["a", 1]})), 400, "invalid_input", "/instances/1");
    assert_problem_at(&refused(json!({"instances": [{"x": 1}]})), 400, "invalid_input", "/instances/0/x");
    assert_problem_at(&refused(json!({"inputs": []})), 400, "invalid_input", "/inputs");
}

#[test]
fn a_model_that_takes_no_batches_takes_whole_tensors() {
    let metadata = shared().get("/v2/models/fixed-sum").ok();
    let shape: Vec<u64> = metadata["inputs"][0]["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|size| size.as_u64().unwrap())
        .collect();
    let whole = shape
        .iter()
        .rev()
        .fold(json!(1.0), |inner, size| json!(vec![inner; usize::try_from(*size).unwrap()]));
    let plain = shared().post("/predict/fixed-sum", &whole).ok();
    let name = metadata["outputs"][0]["name"].as_str().unwrap();
    assert_eq!(predict("fixed-sum", &json!({ "inputs": whole }))["outputs"], plain[name]);
    assert_eq!(predict("fixed-sum", &json!({ "instances": [whole] }))["predictions"], json!([plain[name]]));
    let two = shared().post("/v1/models/fixed-sum:predict", &json!({ "instances": [whole, whole] }));
    assert_problem(&two, 400, "batch_too_large");
}

#[test]
fn columns_are_held_against_each_other() {
    let post = |body: &Value| shared().post("/v1/models/columns:predict", body);
    // Plain and wrapped values side by side.
    let mixed = json!({"inputs": {"age": [30, 40], "city": [["a"], ["b"]], "visits": [1, 2]}});
    assert_problem_at(&post(&mixed), 400, "invalid_input", "/inputs/age/0");
    let good =
        json!({"inputs": {"city": ["a", "b"], "age": [30, 40], "visits": [1, 2], "income": [null, 7]}});
    let answer = post(&good).ok();
    let nested = json!({"inputs": {"city": [["a"], ["b"]], "age": [[30], [40]], "visits": [[1], [2]], "income": [[null], [7]]}});
    assert_eq!(post(&nested).ok(), answer);
    let rows = json!({"instances": [{"age": 30, "city": "a", "visits": 1}, {"age": 40, "city": "b", "visits": 2, "income": 7}]});
    let predictions = post(&rows).ok();
    for (row, prediction) in predictions["predictions"].as_array().unwrap().iter().enumerate() {
        assert_eq!(answer["outputs"]["label"][row], prediction["label"]);
        assert_eq!(answer["outputs"]["scores"][row], prediction["scores"]);
    }
    for (inputs, code, pointer) in [
        (json!({"age": [1, 2], "city": ["a"], "visits": [1, 2]}), "shape_mismatch", "/inputs/city"),
        (json!({"age": [1], "city": ["a", "b"], "visits": [1]}), "shape_mismatch", "/inputs/city"),
        (json!({"age": [1, null], "city": ["a", "b"], "visits": [1, 2]}), "missing_input", "/inputs/age/1"),
        (json!({"age": [1], "city": ["a"]}), "missing_input", "/inputs/visits"),
        (json!({"age": [1], "citi": ["a"], "visits": [1]}), "unknown_input", "/inputs/citi"),
        (json!({"age": [1], "city": ["a"], "visits": [1.5]}), "invalid_input", "/inputs/visits/0"),
        (json!({"age": [], "city": ["a"], "visits": [1]}), "invalid_input", "/inputs/age"),
        (json!({"age": 1, "city": ["a"], "visits": [1]}), "invalid_input", "/inputs/age"),
        (json!({"age": [[1, 2]], "city": [["a"]], "visits": [[1]]}), "shape_mismatch", "/inputs/age/0"),
        (json!({"age": [[]], "city": [["a"]], "visits": [[1]]}), "shape_mismatch", "/inputs/age/0"),
    ] {
        assert_problem_at(&post(&json!({ "inputs": inputs })), 400, code, pointer);
    }
    let twice = r#"{"inputs": {"age": [1], "age": [1]}}"#;
    let answer = shared().call(&Request::text("/v1/models/columns:predict", "application/json", twice));
    assert_problem_at(&answer, 400, "invalid_input", "/inputs/age");
    assert_problem(&post(&json!({"inputs": {}})), 400, "invalid_input");
}

#[test]
fn one_value_goes_without_its_name() {
    let metadata = shared().get("/predict/regressor").ok();
    let example = &metadata["example"];
    let value = &shared().post("/predict/regressor", example).ok()["value"];
    assert_eq!(predict("regressor", &json!({ "instances": [example] })), json!({ "predictions": [value] }));
}

#[test]
fn texts_and_pictures_are_taken_as_predict_takes_them() {
    let text = json!("where is my parcel?");
    let plain = shared()
        .post("/predict/ticket-topic", &json!({"instances": [text], "parameters": {"top_k": 2}}))
        .ok();
    for body in [
        json!({"instances": [text], "parameters": {"top_k": 2}}),
        json!({"instances": [{ "text": text }], "parameters": {"top_k": 2}}),
    ] {
        assert_eq!(predict("ticket-topic", &body)["predictions"], plain["predictions"]);
    }
    let answer = predict("ticket-topic", &json!({ "inputs": text }));
    assert_eq!(answer["outputs"]["label"], json!([plain["predictions"][0]["label"]]));
    let answer =
        predict("ticket-topic", &json!({"inputs": {"text": [text, text], "text_pair": ["a", null]}}));
    assert_eq!(answer["outputs"]["label"].as_array().unwrap().len(), 2);
    let long = "word ".repeat(2000);
    let refused = |body: Value| shared().post("/v1/models/sentence-embedder:predict", &body);
    assert_problem_at(&refused(json!({"instances": ["a", long]})), 400, "input_too_long", "/instances/1");
    assert_problem_at(
        &refused(json!({"inputs": {"text": ["a", long]}})),
        400,
        "input_too_long",
        "/inputs/text/1",
    );
    assert_problem_at(&refused(json!({ "inputs": long })), 400, "input_too_long", "/inputs");
    assert_eq!(refused(json!({"inputs": long, "parameters": {"truncate": true}})).status, 200);

    let b64 = &vectors::digits()["images"][0]["b64"];
    let plain = shared().post("/predict/digits", &json!({"instances": [{ "b64": b64 }]})).ok();
    assert_eq!(
        predict("digits", &json!({"instances": [{ "b64": b64 }]}))["predictions"],
        plain["predictions"]
    );
    let answer = predict("digits", &json!({"inputs": {"b64": [b64, b64]}}));
    assert_eq!(answer["outputs"]["label"][1], plain["predictions"][0]["label"]);
}

#[test]
fn bodies_that_are_no_request_are_told_so() {
    let post =
        |text: &str| shared().call(&Request::text("/v1/models/add-one:predict", "application/json", text));
    for (body, code) in [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("{\"instances\": [[1,2,3]]} x", "invalid_json"),
        ("{}", "invalid_input"),
        ("[[1,2,3]]", "invalid_input"),
        ("\"x\"", "invalid_input"),
        ("null", "invalid_input"),
        ("{\"signature_name\": \"x\"}", "missing_input"),
        ("{\"instances\": []}", "invalid_input"),
        ("{\"instances\": {}}", "invalid_input"),
        ("{\"instances\": [[1,2,3]], \"inputs\": [[1,2,3]]}", "invalid_input"),
        ("{\"instances\": [[1,2,3]], \"instances\": [[1,2,3]]}", "invalid_input"),
        ("{\"instances\": [[1,2,3]], \"signature_name\": 1}", "invalid_input"),
        ("{\"instances\": [[1,2,3]], \"parameters\": 1}", "invalid_input"),
        ("{\"instances\": [[1,2,3]], \"parameters\": {\"top_k\": 1}}", "unknown_input"),
        ("{\"instances\": [[1,2]]}", "shape_mismatch"),
        ("{\"inputs\": [[1,2]]}", "shape_mismatch"),
        ("{\"inputs\": 1}", "invalid_input"),
        ("{\"instances\": [[1,2,1e39]]}", "number_out_of_range"),
    ] {
        assert_problem(&post(body), 400, code);
    }
    let near = assert_problem_at(&post("{\"instance\": [[1,2,3]]}"), 400, "unknown_input", "/instance");
    assert!(near["detail"].as_str().unwrap().contains("did you mean \"instances\"?"), "{near}");
    assert_eq!(
        post("{\"parameters\": null, \"instances\": [[1,2,3]], \"signature_name\": \"serving_default\"}")
            .status,
        200
    );
    assert_eq!(post("{\"parameters\": {}, \"instances\": [[1,2,3]]}").status, 200);
    let declared = Request::text(
        "/v1/models/add-one:predict",
        "application/x-www-form-urlencoded",
        "{\"instances\": [[1,2,3]]}",
    );
    assert_eq!(shared().call(&declared).status, 200);
    let form = Request::text("/v1/models/add-one:predict", "application/x-www-form-urlencoded", "a=b");
    assert_problem(&shared().call(&form), 415, "unsupported_media_type");
    let table = Request::text("/v1/models/fraud-detector:predict", "text/csv", "a");
    assert_problem(&shared().call(&table), 415, "unsupported_media_type");
}

#[test]
fn a_verb_is_part_of_the_route() {
    let post = |path: &str| shared().post(path, &json!({"instances": [[1, 2, 3]]}));
    for path in [
        "/v1/models/add-one:explain",
        "/v1/models/add-one:classify",
        "/v1/models/nobody:regress",
        "/v1/models/add-one:",
        "/v1/models/add-one/:predict",
        "/v1/models/add-one/%3Apredict",
        "/v1/models/add-one:predict/",
    ] {
        assert_problem(&post(path), 404, "not_found");
    }
    let refused = post("/v1/models/add-one:explain");
    assert!(refused.text().contains(":predict"), "{}", refused.text());
    assert_problem(&shared().get("/v1/models/add-one:predict"), 405, "method_not_allowed");
    assert_eq!(shared().get("/v1/models/add-one:predict").header("allow"), Some("POST"));
    assert_problem(&post("/v1/models/add-one"), 405, "method_not_allowed");
    assert_problem(&post("/v1/models/nobody:predict"), 404, "model_not_found");
    assert_problem(&post("/v1/models/add-one/versions/7:predict"), 404, "version_not_found");
    assert_eq!(post("/v1/models/add-one%3Apredict").status, 200);
    assert_eq!(post("/v1/models/versions/versions/9:predict").status, 200);
}

#[test]
fn refusals_have_the_order_of_predict() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "64B")
        .start();
    let large = "x".repeat(100);
    for (path, status, code) in [
        ("/v1/models/nobody:predict", 404, "model_not_found"),
        ("/v1/models/add-one/versions/9:predict", 404, "version_not_found"),
        ("/v1/models/add-one:predict", 413, "payload_too_large"),
        ("/invocations", 413, "payload_too_large"),
        ("/v1/embeddings", 413, "payload_too_large"),
    ] {
        assert_problem(&server.call(&Request::text(path, "text/plain", &large)), status, code);
    }
    for path in ["/v1/models/add-one:predict", "/invocations", "/v1/embeddings"] {
        assert_problem(&server.call(&Request::text(path, "text/plain", "x")), 415, "unsupported_media_type");
        assert_problem(&server.get(path), 405, "method_not_allowed");
    }
}
