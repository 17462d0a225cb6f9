//! The same request by every protocol: the same numbers, the same error for the same mistake, the same
//! metrics, the same spans.

use serde_json::{Value, json};

use crate::harness::collector::Collector;
use crate::harness::{
    Connection, Request, Response, Server, assert_problem, server, settings, shared, vectors,
};

const MODEL: &str = "fraud-detector";

/// A way to ask `fraud-detector` for rows, with the predictions in its answer.
struct Way {
    name: &'static str,
    route: &'static str,
    request: fn(&[Value]) -> Request,
    predictions: fn(&Value) -> Vec<Value>,
}

fn split(rows: &[Value]) -> Value {
    json!({"dataframe_split": {"columns": vectors::fraud_features(), "index": [0], "data": rows}})
}

fn records(rows: &[Value]) -> Vec<Value> {
    let record = |row: &Value| {
        let values = row.as_array().unwrap().iter().cloned();
        Value::Object(vectors::fraud_features().into_iter().zip(values).collect())
    };
    rows.iter().map(record).collect()
}

fn columns(rows: &[Value]) -> Value {
    let names = vectors::fraud_features().into_iter().enumerate();
    let column = |index: usize| rows.iter().map(|row| row.get(index).cloned().unwrap_or_default()).collect();
    Value::Object(names.map(|(index, name)| (name, Value::Array(column(index)))).collect())
}

fn table(rows: &[Value], header: bool) -> String {
    let line =
        |row: &Value| row.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let header = header.then(|| vectors::fraud_features().join(","));
    header.into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn listed(answer: &Value) -> Vec<Value> {
    answer["predictions"].as_array().unwrap().clone()
}

/// Predictions out of columns.
fn transposed(answer: &Value) -> Vec<Value> {
    let columns = answer["outputs"].as_object().unwrap();
    let rows = columns.values().next().unwrap().as_array().unwrap().len();
    let row =
        |index: usize| columns.iter().map(|(name, values)| (name.clone(), values[index].clone())).collect();
    (0..rows).map(|index| Value::Object(row(index))).collect()
}

fn v1(body: &Value) -> Request {
    Request::json("/v1/models/fraud-detector:predict", body)
}

fn invocation(body: &Value) -> Request {
    Request::json("/invocations", body)
}

const V1: &str = "/v1/models/{model}:predict";
const INVOCATIONS: &str = "/invocations";

const WAYS: [Way; 13] = [
    Way {
        name: "predict",
        route: "/predict/{model}",
        request: |rows| Request::json("/predict/fraud-detector", &json!({ "instances": rows })),
        predictions: listed,
    },
    Way {
        name: "v1 rows",
        route: V1,
        request: |rows| v1(&json!({ "instances": rows })),
        predictions: listed,
    },
    Way {
        name: "v1 objects",
        route: V1,
        request: |rows| v1(&json!({"signature_name": "serving_default", "instances": records(rows)})),
        predictions: listed,
    },
    Way {
        name: "v1 matrix",
        route: V1,
        request: |rows| v1(&json!({ "inputs": rows })),
        predictions: transposed,
    },
    Way {
        name: "v1 columns",
        route: V1,
        request: |rows| v1(&json!({ "inputs": columns(rows) })),
        predictions: transposed,
    },
    Way {
        name: "v1 version",
        route: "/v1/models/{model}/versions/{version}:predict",
        request: |rows| {
            Request::json("/v1/models/fraud-detector/versions/1:predict", &json!({ "instances": rows }))
        },
        predictions: listed,
    },
    Way { name: "split", route: INVOCATIONS, request: |rows| invocation(&split(rows)), predictions: listed },
    Way {
        name: "split, cells first",
        route: INVOCATIONS,
        request: |rows| {
            // serde_json keeps no order of its own here: written by hand.
            let (data, columns) = (json!(rows), json!(vectors::fraud_features()));
            let body = format!(r#"{{"dataframe_split":{{"data":{data},"columns":{columns}}}}}"#);
            Request::text("/invocations", "application/json", &body)
        },
        predictions: listed,
    },
    Way {
        name: "records",
        route: INVOCATIONS,
        request: |rows| invocation(&json!({ "dataframe_records": records(rows) })),
        predictions: listed,
    },
    Way {
        name: "instances",
        route: INVOCATIONS,
        request: |rows| invocation(&json!({ "instances": rows })),
        predictions: listed,
    },
    Way {
        name: "inputs",
        route: INVOCATIONS,
        request: |rows| invocation(&json!({ "inputs": columns(rows) })),
        predictions: listed,
    },
    Way {
        name: "csv",
        route: INVOCATIONS,
        request: |rows| Request::text("/invocations", "text/csv", &table(rows, true)),
        predictions: listed,
    },
    Way {
        name: "csv without a header",
        route: INVOCATIONS,
        request: |rows| Request::text("/invocations", "text/csv", &table(rows, false)),
        predictions: listed,
    },
];

fn one_model() -> server::Builder {
    // What `/invocations` calls.
    Server::builder().models(settings::package("models/fraud-detector"))
}

fn rows() -> &'static [Value] {
    vectors::fraud()["rows"].as_array().unwrap()
}

#[test]
fn the_same_rows_give_the_same_predictions_by_every_way() {
    let mut connection = Connection::open(shared().http);
    let expected = listed(&connection.call(&(WAYS[0].request)(rows())).ok());
    for way in &WAYS {
        let came = (way.predictions)(&connection.call(&(way.request)(rows())).ok());
        assert_eq!(came, expected, "{}", way.name);
    }
    // The scores are the graph's own, as the Open Inference Protocol gives them.
    let data: Vec<&Value> = rows().iter().flat_map(|row| row.as_array().unwrap()).collect();
    let shape = [rows().len(), vectors::fraud_features().len()];
    let metadata = connection.call(&Request::get("/v2/models/fraud-detector")).ok();
    let input = &metadata["inputs"][0];
    let body = json!({"inputs": [{"name": input["name"], "datatype": "FP32", "shape": shape, "data": data}]});
    let answer = connection.call(&Request::json("/v2/models/fraud-detector/infer", &body)).ok();
    let scores =
        answer["outputs"].as_array().unwrap().iter().find(|output| output["datatype"] == "FP32").unwrap();
    for (row, prediction) in expected.iter().enumerate() {
        let of_row = [&scores["data"][2 * row], &scores["data"][2 * row + 1]];
        assert_eq!(
            [&prediction["scores"]["legitimate"], &prediction["scores"]["fraud"]],
            of_row,
            "row {row}"
        );
    }
}

/// A mistake: what is done to the rows, and the code.
type Mistake = (&'static str, fn(&mut Vec<Value>), &'static str);

const MISTAKES: [Mistake; 4] = [
    ("a text for a number", |rows| rows[1][4] = json!("secret"), "invalid_input"),
    ("beyond the type", |rows| rows[1][4] = json!(1e39), "number_out_of_range"),
    ("no value", |rows| rows[1][4] = Value::Null, "missing_input"),
    ("too many", |rows| *rows = vec![rows[0].clone(); 1025], "batch_too_large"),
];

#[test]
fn the_same_mistake_has_the_same_code_by_every_way() {
    let mut connection = Connection::open(shared().http);
    for (name, spoil, code) in MISTAKES {
        let mut wrong = rows()[..2].to_vec();
        spoil(&mut wrong);
        for way in &WAYS {
            let is_table = way.name.starts_with("csv");
            if is_table && name == "no value" {
                continue;
            }
            let answer = connection.call(&(way.request)(&wrong));
            let problem = assert_problem(&answer, 400, code);
            assert!(!answer.text().contains("secret"), "{}: {name}", way.name);
            assert!(problem["pointer"].is_string(), "{}: {name}: {problem}", way.name);
        }
    }
}

#[test]
fn who_asks_in_time_is_answered_and_who_has_no_time_is_not() {
    let mut connection = Connection::open(shared().http);
    for way in &WAYS {
        let request = (way.request)(&rows()[..1]);
        let answer = connection.call(&request.clone().header("x-request-timeout-ms", "0"));
        assert_problem(&answer, 504, "deadline_exceeded");
        assert_problem(
            &connection.call(&request.clone().header("x-request-timeout-ms", "x")),
            400,
            "invalid_input",
        );
        let answer = connection.call(&request.header("x-request-id", "mine"));
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("mine")), "{}", way.name);
        let timing = answer.header("server-timing").unwrap();
        for stage in ["preprocess;dur=", "execute;dur=", "postprocess;dur=", "total;dur="] {
            assert!(timing.contains(stage), "{}: {timing}", way.name);
        }
        assert!(answer.header("traceresponse").is_some(), "{}", way.name);
    }
}

#[test]
fn each_way_counts_alike() {
    let server = one_model().start();
    let counted = |route: &str| {
        let metrics = server.metrics();
        let of_model = [("model", MODEL)];
        let outcome =
            |outcome| metrics.sum("inference_requests_total", &[("model", MODEL), ("outcome", outcome)]);
        let stages = metrics.sum("inference_stage_duration_seconds_count", &of_model);
        let requests = |status| metrics.sum("http_requests_total", &[("route", route), ("status", status)]);
        [
            outcome("ok"),
            outcome("client_error"),
            metrics.sum("inference_predictions_total", &of_model),
            stages,
            requests("200"),
            requests("400"),
        ]
    };
    let mut connection = Connection::open(server.http);
    let mut first = None;
    for way in &WAYS {
        let before = counted(way.route);
        connection.call(&(way.request)(&rows()[..3])).ok();
        let mut wrong = rows()[..2].to_vec();
        wrong[1][4] = json!("x");
        assert_eq!(connection.call(&(way.request)(&wrong)).status, 400, "{}", way.name);
        server.wait_for_no_request_in_flight();
        let after = counted(way.route);
        let delta: Vec<f64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        assert_eq!(delta[..3], [1.0, 1.0, 3.0], "{}", way.name);
        assert_eq!(delta[4..], [1.0, 1.0], "{}", way.name);
        let expected = first.get_or_insert(delta.clone());
        assert_eq!(&delta, expected, "{}", way.name);
    }
}

#[test]
fn each_way_has_the_same_spans() {
    let collector = Collector::start();
    let server = collector.by_grpc(one_model()).start();
    for way in &WAYS {
        let answer = server.call(&(way.request)(&rows()[..1]));
        assert_eq!(answer.status, 200, "{}: {}", way.name, answer.text());
        let spans = collector.trace(&trace_of(&answer), 6);
        let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        let server_span = format!("POST {}", way.route);
        let mut expected = vec![
            &*server_span,
            "inference.execute",
            "inference.queue",
            "model-inference",
            "postprocess",
            "preprocess",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected, "{}", way.name);
        let inner = spans.iter().find(|span| span.name == "model-inference").unwrap();
        assert_eq!(inner.attributes["input.length"], json!(30), "{}", way.name);
        let outer = spans.iter().find(|span| span.name == server_span).unwrap();
        assert!(!outer.attributes["url.path"].as_str().unwrap().contains('%'), "{}", way.name);
    }
}

fn trace_of(answer: &Response) -> String {
    answer.header("traceresponse").unwrap().split('-').nth(1).unwrap().to_owned()
}
