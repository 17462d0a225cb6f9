//! `text/csv`: a header row, then one instance a line.

use serde_json::json;

use crate::harness::vectors::assert_close;
use crate::harness::{Request, Response, assert_problem, shared};

fn send(model: &str, text: &str) -> Response {
    shared().call(&Request::text(&format!("/predict/{model}"), "text/csv; charset=utf-8", text))
}

#[test]
fn columns_may_stand_in_any_order_with_quotes_and_defaults() {
    let text = "city,visits,age,income\r\n\"Berlin\",2,30,\r\nOslo,2,30,1000\r\n";
    let answer = send("columns", text).ok();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 2);
    assert_close(&predictions[0]["scores"]["leaves"], &json!(0.7685), 1e-4);
    assert_close(&predictions[1]["scores"]["leaves"], &json!(0.4256), 1e-4);
}

#[test]
fn quoted_fields_may_hold_commas_quotes_and_line_breaks() {
    let answer = send("columns", "age,income,city,visits\n30,1000,\"a \"\"b\"\", c\nd\",2\n").ok();
    assert_close(&answer["predictions"][0]["scores"]["leaves"], &json!(0.1419), 1e-4);
}

#[test]
fn mistakes_name_the_row_and_the_column() {
    let body = assert_problem(
        &send("columns", "age,income,city,visits\n30,1000,Oslo,2\nold,1000,Oslo,2\n"),
        400,
        "invalid_input",
    );
    assert_eq!(body["pointer"], "/instances/1/age", "{body}");
    assert_problem(&send("columns", "age,income,town,visits\n30,1000,Oslo,2\n"), 400, "unknown_input");
    assert_problem(&send("columns", "age,income,visits\n30,1000,2\n"), 400, "missing_input");
    assert_eq!(send("columns", "age,income,city,visits\n30,1000,Oslo\n").status, 400);
    assert_eq!(send("columns", "age,income,city,visits\n").status, 400, "no rows");
    assert_eq!(send("columns", "").status, 400);
    assert_problem(&send("columns", "age,income,city,visits\n30,1e39,Oslo,2\n"), 400, "number_out_of_range");
}

#[test]
fn only_tabular_models_take_it() {
    let answer = send("add-one", "x\n1\n");
    assert_problem(&answer, 415, "unsupported_media_type");
}
