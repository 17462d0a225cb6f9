//! `/invocations` in MLflow's forms and SageMaker's.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::{Repository, Request, Response, Server, assert_problem, shared, vectors};

const PATH: &str = "/invocations";

fn post(server: &Server, body: &str) -> Response {
    server.call(&Request::text(PATH, "application/json", body))
}

#[test]
fn a_split_table_may_have_its_columns_in_any_order_and_leave_out_defaults() {
    let repository = crate::harness::models::all_fixtures();
    let server = Server::builder().models(repository.path().join("columns")).start();
    let rows =
        json!({"instances": [{"age": 30, "city": "a", "visits": 1}, {"age": 40, "city": "b", "visits": 2}]});
    let expected = server.post("/predict", &rows).ok()["predictions"].clone();
    for table in [
        r#"{"columns": ["age", "city", "visits"], "data": [[30, "a", 1], [40, "b", 2]]}"#,
        r#"{"data": [[1, 30, "a"], [2, 40, "b"]], "index": [7, 8], "columns": ["visits", "age", "city"]}"#,
        r#"{"index": [], "columns": ["city", "income", "visits", "age"], "data": [["a", null, 1, 30], ["b", null, 2, 40]]}"#,
        r#"{"data": [[30, null, "a", 1], [40, null, "b", 2]]}"#,
        r#"{"columns": [0, 1, 2, 3], "data": [[30, null, "a", 1], [40, null, "b", 2]]}"#,
        r#"{"data": [["a", 30, 1], ["b", 40, 2]], "columns": [2, 0, 3]}"#,
    ] {
        let answer = post(&server, &format!(r#"{{"dataframe_split": {table}}}"#)).ok();
        assert_eq!(answer, json!({ "predictions": expected }), "{table}");
    }
    for (table, code, pointer) in [
        (r#"{"columns": ["age", "citi", "visits"], "data": [[1, "a", 1]]}"#, "unknown_input", "/columns/1"),
        (r#"{"columns": ["age", "age"], "data": [[1, 1]]}"#, "invalid_input", "/columns/1"),
        (r#"{"columns": ["age", "city"], "data": [[1, "a"]]}"#, "missing_input", "/columns"),
        (r#"{"columns": [], "data": [[]]}"#, "invalid_input", "/columns"),
        (r#"{"columns": [4], "data": [[1]]}"#, "unknown_input", "/columns/0"),
        (r#"{"columns": [null], "data": [[1]]}"#, "invalid_input", "/columns/0"),
        (r#"{"columns": "age", "data": [[1]]}"#, "invalid_input", "/columns"),
        (
            r#"{"columns": ["age", "city", "visits"], "data": [[1, "a", 1], [1, "a"]]}"#,
            "shape_mismatch",
            "/data/1",
        ),
        (r#"{"columns": ["age", "city", "visits"], "data": [[1, "a", 1, 1]]}"#, "shape_mismatch", "/data/0"),
        (r#"{"columns": ["age", "city", "visits"], "data": [[1, "a", 1.5]]}"#, "invalid_input", "/data/0/2"),
        (r#"{"columns": ["age", "city", "visits"], "data": [[1, "a", null]]}"#, "missing_input", "/data/0/2"),
        (r#"{"columns": ["age", "city", "visits"], "data": [{"age": 1}]}"#, "invalid_input", "/data/0"),
        (r#"{"columns": ["age", "city", "visits"], "data": []}"#, "invalid_input", "/data"),
        (r#"{"columns": ["age", "city", "visits"], "data": 1}"#, "invalid_input", "/data"),
        (r#"{"columns": ["age", "city", "visits"]}"#, "missing_input", "/data"),
        (r#"{"columns": ["age"], "dtypes": [], "data": [[1]]}"#, "unknown_input", "/dtypes"),
        (r#"{"columns": ["age"], "columns": ["age"], "data": [[1]]}"#, "invalid_input", "/columns"),
        (r#"{"data": [["a"]], "columns": ["nothing"]}"#, "unknown_input", "/columns/0"),
    ] {
        let answer = post(&server, &format!(r#"{{"dataframe_split": {table}}}"#));
        assert_problem_at(&answer, 400, code, &format!("/dataframe_split{pointer}"));
    }
    let near = post(&server, r#"{"dataframe_split": {"columns": ["agee"], "data": [[1]]}}"#);
    assert!(near.text().contains("did you mean"), "{}", near.text());
    let batch = format!(
        r#"{{"dataframe_split": {{"columns": ["age", "city", "visits"], "data": [{}[1, "a", 1]]}}}}"#,
        "[1, \"a\", 1],".repeat(1024)
    );
    assert_problem_at(&post(&server, &batch), 400, "batch_too_large", "/dataframe_split/data");
}

#[test]
fn one_form_at_a_time() {
    let server = shared();
    for (body, code) in [
        ("", "invalid_json"),
        ("{}", "invalid_input"),
        ("[[1]]", "invalid_input"),
        ("{\"params\": {}}", "missing_input"),
        ("{\"instances\": [], \"inputs\": []}", "invalid_input"),
        ("{\"dataframe_records\": []}", "invalid_input"),
        ("{\"dataframe_split\": []}", "invalid_input"),
        ("{\"dataframe_split\": {}}", "missing_input"),
        ("{\"dataframe_records\": [{}]}", "missing_input"),
        ("{\"dataframe_spilt\": {}}", "unknown_input"),
        ("{\"params\": {}, \"parameters\": {}}", "invalid_input"),
    ] {
        assert_problem(&post(server, body), 400, code);
    }
    let near = post(server, "{\"dataframe_spilt\": {}}");
    assert!(near.text().contains("dataframe_split"), "{}", near.text());
    let row = vectors::fraud_instance(0);
    let top = post(server, &json!({"params": {"top_k": 1}, "dataframe_records": [row]}).to_string()).ok();
    assert_eq!(top["predictions"][0]["scores"].as_object().unwrap().len(), 1);
}

#[test]
fn tables_come_with_and_without_names() {
    let row = |index: usize| {
        let values = vectors::fraud()["rows"][index].as_array().unwrap();
        values.iter().map(Value::to_string).collect::<Vec<_>>().join(",")
    };
    let names = vectors::fraud_features();
    let (header, rows) = (names.join(","), [row(0), row(1)].join("\r\n"));
    let call = |content_type: &str, body: &str| shared().call(&Request::text(PATH, content_type, body));
    let expected = call("text/csv", &format!("{header}\n{rows}")).ok();
    assert_eq!(expected["predictions"].as_array().unwrap().len(), 2);
    assert_eq!(call("text/csv", &rows).ok(), expected);
    assert_eq!(call("text/csv; charset=utf-8; header=absent", &rows).ok(), expected);
    assert_eq!(call("text/csv; header=present", &format!("{header}\n{rows}\n")).ok(), expected);
    // A first row that is neither is a header with a mistake.
    let mut wrong = names.clone();
    wrong[2] = "houre_of_day".to_owned();
    assert_problem(&call("text/csv", &format!("{}\n{rows}", wrong.join(","))), 400, "unknown_input");
    assert_problem(&call("text/csv; header=present", &rows), 400, "unknown_input");
    assert_problem(&call("text/csv", "1,2,3\n"), 400, "unknown_input");
    let short = call("text/csv; header=absent", "1,2,3\n");
    assert_problem_at(&short, 400, "invalid_input", "/instances/0");
    assert_problem(&call("text/csv; header=absent", ""), 400, "invalid_input");
    assert_problem(&call("text/csv; header=maybe", &rows), 415, "unsupported_media_type");
    assert_problem(&call("application/x-npy", "x"), 415, "unsupported_media_type");
    let before_mlflow_2 = call("application/json; format=pandas-split", r#"{"columns": [], "data": []}"#);
    assert_problem(&before_mlflow_2, 415, "unsupported_media_type");
    assert!(before_mlflow_2.text().contains("dataframe_split"), "{}", before_mlflow_2.text());
}

#[test]
fn answers_come_as_they_are_asked_for() {
    let body = json!({"instances": [vectors::fraud_instance(0), vectors::fraud_instance(1)]});
    let call = |accept: &str| {
        let answer = shared().call(&Request::json(PATH, &body).header("accept", accept));
        assert_eq!(answer.status, 200, "{accept}: {}", answer.text());
        (answer.header("content-type").unwrap().to_owned(), answer.text())
    };
    let (kind, json) = call("application/json");
    assert_eq!(kind, "application/json");
    let predictions = serde_json::from_str::<Value>(&json).unwrap()["predictions"].clone();
    let (kind, lines) = call("application/jsonlines");
    assert_eq!(kind, "application/jsonlines");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), predictions);
    let (kind, table) = call("text/csv");
    assert_eq!(kind, "text/csv; charset=utf-8");
    let line = |prediction: &Value| {
        format!("{},{}\n", prediction["label"].as_str().unwrap(), prediction["confidence"])
    };
    assert_eq!(table, predictions.as_array().unwrap().iter().map(line).collect::<String>());
    for other in ["*/*", "application/x-npy", "text/csv;q=0"] {
        assert_eq!(call(other), ("application/json".to_owned(), json.clone()), "{other}");
    }
}

#[test]
fn tensors_given_whole_are_answered_whole() {
    let server = Server::builder().repository(Repository::new().fixture("two-inputs")).start();
    let whole = json!({"inputs": {"a": [[1, 2], [5, 6]], "b": [[3, 4], [7, 8]]}});
    let answer = server.post(PATH, &whole).ok();
    assert_eq!(answer["predictions"], json!({"sum": [[4.0, 6.0], [12.0, 14.0]], "rows": [[3, 4], [7, 8]]}));
    let rows = json!({"instances": [{"a": [1, 2], "b": [3, 4]}]});
    assert_eq!(
        server.post(PATH, &rows).ok()["predictions"],
        server.post("/predict", &rows).ok()["predictions"]
    );
    for (inputs, code, pointer) in [
        (json!({"a": [[1, 2]]}), "missing_input", "/inputs/b"),
        (json!({"a": [[1, 2]], "b": [[3, 4], [5, 6]]}), "shape_mismatch", "/inputs/b"),
        (json!({"a": [], "b": []}), "invalid_input", "/inputs/a"),
        (json!({"a": [[1, 2]], "c": [[3, 4]]}), "unknown_input", "/inputs/c"),
        (json!({"a": [[1, 2], [3]], "b": [[3, 4], [5, 6]]}), "shape_mismatch", "/inputs/a/1"),
    ] {
        assert_problem_at(&server.post(PATH, &json!({ "inputs": inputs })), 400, code, pointer);
    }
    assert_problem(&server.post(PATH, &json!({"inputs": [[1, 2]]})), 400, "invalid_input");
    let table = server.call(&Request::json(PATH, &whole).header("accept", "text/csv"));
    assert_eq!(table.text(), "4,6,3,4\n12,14,7,8\n");
    let many = json!({"inputs": {"a": vec![[1, 2]; 1025], "b": vec![[1, 2]; 1025]}});
    assert_problem_at(&server.post(PATH, &many), 400, "batch_too_large", "/inputs/a");
}

#[test]
fn several_models_without_a_default_are_a_clear_refusal() {
    let server =
        Server::builder().repository(Repository::new().fixture("add-one").fixture("strings")).start();
    let problem = assert_problem(&server.post(PATH, &json!({"instances": []})), 404, "model_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("add-one"), "{problem}");
}
