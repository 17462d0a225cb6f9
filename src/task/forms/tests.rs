//! The same rows in every form, in every order: the same tensors, or a refusal of the same kind.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Dialect;
use crate::task::tests::{build, build_with, tensor_spec};
use crate::task::{DecodeLimits, DecodeReport, InputError, Rows, Task};
use crate::tensor::DataType;

const NAMES: [&str; 4] = ["a", "b/~", "größe", "city"];

/// Three numbers, of which one has a default, and a category.
fn table() -> Task {
    let manifest = "task = \"tabular-classification\"\n[[features]]\nname = \"a\"\n[[features]]\nname = \"b/~\"\ntype = \"int64\"\n\
         [[features]]\nname = \"größe\"\ndefault = 7.5\n[[features]]\nname = \"city\"\ncategories = [\"Oslo\", \"Rome\"]\n";
    let inputs = [tensor_spec("x", DataType::Fp32, &[None, Some(4)])];
    build(manifest, &inputs, &[tensor_spec("scores", DataType::Fp32, &[None, Some(2)])]).unwrap()
}

/// Rows, or code and pointer; and how many passes it took.
fn read(task: &Task, dialect: Dialect, body: &str) -> (Result<Rows, (String, String)>, usize) {
    let limits = DecodeLimits { max_instances: 20, ..DecodeLimits::default() };
    let told = |error: InputError| {
        assert!(error.detail.chars().count() <= 256 && !error.detail.is_empty(), "{error:?}");
        Err((error.code.name().to_owned(), error.pointer.unwrap_or_default()))
    };
    let mut report = DecodeReport::new();
    for passes in 1..=4 {
        let mut json = serde_json::Deserializer::from_str(body);
        match task.decode_form(dialect, &mut json, &limits, &mut report) {
            Ok(decoded) => return (task.encode(decoded).or_else(told), passes),
            Err(error) => {
                let Some(next) = report.again() else {
                    let pointer = report.pointer().to_owned();
                    let Some(failure) = report.failure() else {
                        // The deserializer's own refusal, for which the protocols have a code.
                        assert!(error.to_string().starts_with("number out of range"), "{error}: {body}");
                        return (Err(("number_out_of_range".to_owned(), pointer)), passes);
                    };
                    return (told(failure), passes);
                };
                report = next;
            }
        }
    }
    panic!("more passes than there are ways: {body}");
}

fn bits(rows: &Rows) -> Vec<(Vec<usize>, Vec<u8>)> {
    rows.inputs.iter().map(|tensor| (tensor.shape().to_vec(), tensor.data().to_raw().to_vec())).collect()
}

fn object(names: &[&str], row: &[Value]) -> Value {
    Value::Object(names.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned()).collect::<Map<_, _>>())
}

/// Every form of `rows` whose columns are `names`, with the way there in pointers.
fn forms(names: &[&str], rows: &[Vec<Value>]) -> Vec<(Dialect, String)> {
    let objects: Vec<Value> = rows.iter().map(|row| object(names, row)).collect();
    let column = |index: usize| rows.iter().map(|row| row[index].clone()).collect::<Vec<_>>();
    let columns = |wrap: fn(Value) -> Value| {
        let all = names.iter().enumerate().map(|(index, name)| {
            let values: Vec<Value> = column(index).into_iter().map(wrap).collect();
            ((*name).to_owned(), json!(values))
        });
        Value::Object(all.collect())
    };
    let (names, data) = (json!(names), json!(rows));
    vec![
        (Dialect::KServe, json!({ "instances": objects }).to_string()),
        (Dialect::KServe, json!({ "inputs": objects, "signature_name": "x" }).to_string()),
        (Dialect::KServe, json!({ "inputs": columns(|value| value) }).to_string()),
        (Dialect::KServe, json!({ "inputs": columns(|value| json!([value])) }).to_string()),
        (Dialect::Mlflow, json!({ "dataframe_records": objects, "params": {"top_k": 1} }).to_string()),
        (Dialect::Mlflow, format!(r#"{{"dataframe_split": {{"columns": {names}, "data": {data}}}}}"#)),
        (
            Dialect::Mlflow,
            format!(r#"{{"dataframe_split": {{"data": {data}, "index": [1], "columns": {names}}}}}"#),
        ),
    ]
}

fn cell(column: usize) -> BoxedStrategy<Value> {
    match column {
        0 => any::<f32>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| json!(value))
            .boxed(),
        1 => (-1000_i64..1000).prop_map(|value| json!(value)).boxed(),
        2 => prop_oneof![Just(Value::Null), (-9_i8..9).prop_map(|value| json!(value))].boxed(),
        _ => prop_oneof![Just(json!("Oslo")), Just(json!("Rome"))].boxed(),
    }
}

/// What may be wrong with a cell.
fn wrong() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("secret")),
        Just(json!(true)),
        Just(json!(1e300)),
        Just(Value::Null),
        Just(json!({"a": 1})),
        Just(json!(0.25)),
    ]
}

proptest! {
    #[test]
    fn every_form_in_every_order_gives_the_rows_of_the_plain_one(
        rows in prop::collection::vec((cell(0), cell(1), cell(2), cell(3)), 1..5),
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        is_left_out in any::<bool>(),
        spoiled in prop::option::of((0_usize..5, 0_usize..4, wrong())),
    ) {
        let task = table();
        // Only the default may be left out.
        let kept: Vec<usize> = order.into_iter().filter(|column| *column != 2 || !is_left_out).collect();
        let names: Vec<&str> = kept.iter().map(|column| NAMES[*column]).collect();
        let mut rows: Vec<Vec<Value>> = rows
            .into_iter()
            .map(|(a, b, c, d)| {
                let row = [a, b, c, d];
                kept.iter().map(|column| row[*column].clone()).collect()
            })
            .collect();
        if let Some((row, column, value)) = spoiled {
            let (row, column) = (row % rows.len(), column % kept.len());
            rows[row][column] = value;
        }
        let forms = forms(&names, &rows);
        let (expected, _) = read(&task, forms[0].0, &forms[0].1);
        for (dialect, body) in &forms {
            let (came, _) = read(&task, *dialect, body);
            match (&expected, came) {
                (Ok(expected), Ok(came)) => {
                    prop_assert_eq!(bits(expected), bits(&came), "{}", body);
                    prop_assert_eq!(expected.rows, came.rows);
                }
                // Which of several places is told first depends on the form; and an object in the place
                // of a value may be taken for a wrapped one.
                (Err(_), Err((code, pointer))) => {
                    prop_assert!(!pointer.is_empty() && !pointer.contains("secret"), "{code} {pointer}: {body}");
                }
                (expected, came) => prop_assert!(false, "{expected:?} {came:?}: {body}"),
            }
        }
    }

    #[test]
    fn any_json_is_read_or_refused_in_our_words(
        body in prop::collection::vec(prop_oneof![
            Just("\"instances\""), Just("\"inputs\""), Just("\"dataframe_split\""), Just("\"columns\""), Just("\"data\""),
            Just("\"a\""), Just("\"city\""), Just("\"Oslo\""), Just("1"), Just("1.5"), Just("null"), Just("true"),
            Just("["), Just("]"), Just("{"), Just("}"), Just(":"), Just(","),
        ], 0..40),
    ) {
        let text = body.concat();
        if serde_json::from_str::<Value>(&text).is_ok() {
            for task in [table(), values()] {
                for dialect in [Dialect::KServe, Dialect::Mlflow] {
                    let (_, passes) = read(&task, dialect, &text);
                    prop_assert!(passes <= 3);
                }
            }
        }
    }
}

/// One input without a dimension but the batch.
fn values() -> Task {
    let inputs = [tensor_spec("x", DataType::Fp32, &[None])];
    build("task = \"tensors\"", &inputs, &[tensor_spec("y", DataType::Fp32, &[None])]).unwrap()
}

#[test]
fn values_are_read_as_exactly_as_in_objects() {
    let task = values();
    // A decimal that a double would round to the wrong single.
    for number in
        ["0.1", "1.00000017881393421514957253748434595763683319091796875001", "16777217", "-0", "3e-46"]
    {
        let (plain, passes) = read(&task, Dialect::KServe, &format!("{{\"instances\": [{number}]}}"));
        assert_eq!(passes, 1);
        let (named, passes) =
            read(&task, Dialect::KServe, &format!("{{\"instances\": [{{\"x\": {number}}}]}}"));
        assert_eq!(passes, 2);
        let (whole, _) = read(&task, Dialect::KServe, &format!("{{\"inputs\": [{number}]}}"));
        let single: f32 = number.parse().unwrap();
        let expected = vec![(vec![1], single.to_le_bytes().to_vec())];
        for came in [plain, named, whole] {
            assert_eq!(bits(&came.unwrap()), expected, "{number}");
        }
    }
}

#[test]
fn whole_tensors_of_a_model_without_batches_are_one_instance() {
    let inputs = [tensor_spec("x", DataType::Int64, &[Some(2), None])];
    let outputs = [tensor_spec("y", DataType::Int64, &[None])];
    let task = build_with("task = \"tensors\"", &inputs, &outputs, false, &[]).unwrap();
    for body in [
        "{\"inputs\": [[1, 2], [3, 4]]}",
        "{\"inputs\": {\"x\": [[1, 2], [3, 4]]}}",
        "{\"instances\": [[[1, 2], [3, 4]]]}",
    ] {
        let rows = read(&task, Dialect::KServe, body).0.unwrap();
        assert_eq!((rows.rows, rows.inputs[0].shape()), (1, &[2, 2][..]), "{body}");
    }
    let refused = |body: &str| read(&task, Dialect::KServe, body).0.unwrap_err();
    assert_eq!(refused("{\"inputs\": [[1, 2]]}"), ("shape_mismatch".to_owned(), "/inputs".to_owned()));
    assert_eq!(
        refused("{\"inputs\": {\"x\": [[1], [2, 3]]}}"),
        ("shape_mismatch".to_owned(), "/inputs/x/1".to_owned())
    );
}

#[test]
fn limits_hold_in_every_form() {
    let task = table();
    let rows: Vec<Vec<Value>> = (0..21).map(|_| vec![json!(1), json!(1), json!("Oslo")]).collect();
    for (dialect, body) in forms(&["a", "b/~", "city"], &rows) {
        assert_eq!(read(&task, dialect, &body).0.unwrap_err().0, "batch_too_large", "{body}");
    }
    assert!(read(&task, Dialect::KServe, &forms(&["a", "b/~", "city"], &rows[..20])[2].1).0.is_ok());
}
