//! What classifiers and regressors answer, which layouts they take, and tables.

use crate::model::TensorSpec;
use crate::task::tests::{build, build_with, decode, decode_limited, singles, tensor_spec};
use crate::task::{DecodeLimits, DecodeReport, Dialect, HeaderRow, InputErrorCode, Rows, Task};
use crate::tensor::{Data, DataType, Tensor};

fn inputs() -> [TensorSpec; 1] {
    [tensor_spec("x", DataType::Fp32, &[None, Some(2)])]
}

fn classifier(manifest: &str, outputs: &[TensorSpec]) -> Task {
    build(&format!("task = \"tabular-classification\"\n{manifest}"), &inputs(), outputs).unwrap()
}

fn scores(name: &str, classes: Option<usize>) -> TensorSpec {
    tensor_spec(name, DataType::Fp32, &[None, classes])
}

fn answer(task: &Task, body: &str, outputs: &[Tensor]) -> String {
    let rows = decode(task, body).unwrap();
    let predictions = task.predictions(outputs, &rows.reply).unwrap();
    if predictions.is_bare() {
        serde_json::to_string(&predictions.bare()).unwrap()
    } else {
        serde_json::to_string(&predictions).unwrap()
    }
}

fn table(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), values.to_vec()).unwrap()
}

#[test]
fn scores_come_highest_first_and_ties_go_to_the_lowest_index() {
    let task = classifier("labels = [\"a\", \"b\", \"c\"]", &[scores("logits", None)]);
    let outputs = [table(&[2, 3], &[0.1, 0.7, 0.2, 0.5, 0.0, 0.5])];
    let list = r#"{"instances": [[1,2],[3,4]]}"#;
    assert_eq!(
        answer(&task, list, &outputs),
        r#"[{"label":"b","confidence":0.7,"scores":{"b":0.7,"c":0.2,"a":0.1}},{"label":"a","confidence":0.5,"scores":{"a":0.5,"c":0.5,"b":0.0}}]"#
    );
    let top = r#"{"instances": [[1,2]], "parameters": {"top_k": 1}}"#;
    let one = [table(&[1, 3], &[0.1, 0.7, 0.2])];
    assert_eq!(answer(&task, top, &one), r#"[{"label":"b","confidence":0.7,"scores":{"b":0.7}}]"#);
    let rows = decode(&task, list).unwrap();
    let predictions = task.predictions(&outputs, &rows.reply).unwrap();
    assert_eq!(predictions.lowest_confidence(), Some(0.5));
    let labels: Vec<_> = predictions.labels().map(|(label, _)| label.unwrap()).collect();
    assert_eq!((labels, predictions.len()), (vec!["b", "a"], 2));
}

#[test]
fn names_of_classes_come_from_the_manifest_the_graph_or_the_index() {
    let outputs = [table(&[1, 2], &[0.25, 0.75])];
    let stored = ["no".to_owned(), "yes".to_owned()];
    let spec = [scores("probabilities", Some(2))];
    let with = |manifest: &str, class_labels: &[String]| {
        let manifest = format!("task = \"tabular-classification\"\n{manifest}");
        let task = build_with(&manifest, &inputs(), &spec, true, class_labels).unwrap();
        answer(&task, "[1, 2]", &outputs).chars().skip(10).take_while(|&c| c != '"').collect::<String>()
    };
    assert_eq!(with("labels = [\"good\", \"bad\"]", &stored), "bad");
    assert_eq!(with("", &stored), "yes");
    assert_eq!(with("", &[]), "1");
}

#[test]
fn one_column_is_the_positive_class() {
    let task = classifier("labels = [\"ok\", \"fraud\"]", &[scores("p", Some(1))]);
    let of = |value: f32| answer(&task, "[1, 2]", &[table(&[1, 1], &[value])]);
    assert_eq!(of(0.75), r#"{"label":"fraud","confidence":0.75,"scores":{"fraud":0.75,"ok":0.25}}"#);
    assert_eq!(of(0.5), r#"{"label":"ok","confidence":0.5,"scores":{"ok":0.5,"fraud":0.5}}"#);
    let task = classifier("activation = \"sigmoid\"", &[scores("p", Some(1))]);
    assert_eq!(
        answer(&task, "[1, 2]", &[table(&[1, 1], &[0.0])]),
        r#"{"label":"0","confidence":0.5,"scores":{"0":0.5,"1":0.5}}"#
    );
}

#[test]
fn activations_turn_raw_outputs_into_scores() {
    let outputs = [table(&[1, 2], &[1000.0, 1000.0])];
    let soft = classifier("activation = \"softmax\"", &[scores("logits", Some(2))]);
    assert_eq!(
        answer(&soft, "[1, 2]", &outputs),
        r#"{"label":"0","confidence":0.5,"scores":{"0":0.5,"1":0.5}}"#
    );
    let sigmoid = classifier("activation = \"sigmoid\"", &[scores("logits", Some(2))]);
    assert_eq!(
        answer(&sigmoid, "[1, 2]", &outputs),
        r#"{"label":"0","confidence":1.0,"scores":{"0":1.0,"1":1.0}}"#
    );
}

#[test]
fn the_label_output_counts_only_without_scores() {
    let label = tensor_spec("label", DataType::Int64, &[None]);
    let task = classifier("labels = [\"a\", \"b\"]", std::slice::from_ref(&label));
    let of = |value: i64| answer(&task, "[1, 2]", &[Tensor::new(vec![1], vec![value]).unwrap()]);
    assert_eq!(of(1), r#"{"label":"b"}"#);
    assert_eq!(of(9_007_199_254_740_993), r#"{"label":"9007199254740993"}"#);
    let both = classifier("", &[label, scores("probabilities", Some(2))]);
    let outputs = [Tensor::new(vec![1], vec![0_i64]).unwrap(), table(&[1, 2], &[0.25, 0.75])];
    assert!(answer(&both, "[1, 2]", &outputs).starts_with(r#"{"label":"1""#));
    let words = classifier("", &[tensor_spec("label", DataType::Bytes, &[None])]);
    let outputs = [Tensor::new(vec![1], vec!["cat".to_owned()]).unwrap()];
    assert_eq!(answer(&words, "[1, 2]", &outputs), r#"{"label":"cat"}"#);
}

#[test]
fn regressors_answer_one_number() {
    for dims in [&[None][..], &[None, Some(1)]] {
        let output = tensor_spec("variable", DataType::Fp32, dims);
        let task = build("task = \"tabular-regression\"", &inputs(), &[output]).unwrap();
        let shape = if dims.len() == 1 { vec![1] } else { vec![1, 1] };
        let outputs = [Tensor::new(shape, vec![0.1_f32]).unwrap()];
        assert_eq!(answer(&task, "[1, 2]", &outputs), r#"{"value":0.1}"#);
    }
}

#[test]
fn one_input_per_feature_is_named_after_it() {
    let inputs = [
        tensor_spec("age", DataType::Int64, &[None, Some(1)]),
        tensor_spec("city", DataType::Bytes, &[None, Some(1)]),
        tensor_spec("member", DataType::Bool, &[None]),
    ];
    let task = build("task = \"tabular-regression\"", &inputs, &[tensor_spec("y", DataType::Fp32, &[None])])
        .unwrap();
    let rows = decode(
        &task,
        r#"{"instances": [{"city": "Ulm", "age": 9007199254740993, "member": true}, [1, "", false]]}"#,
    )
    .unwrap();
    assert_eq!(rows.inputs[0], Tensor::new(vec![2, 1], vec![9_007_199_254_740_993_i64, 1]).unwrap());
    assert_eq!(rows.inputs[1], Tensor::new(vec![2, 1], vec!["Ulm".to_owned(), String::new()]).unwrap());
    assert_eq!(rows.inputs[2], Tensor::new(vec![2], vec![true, false]).unwrap());
}

#[test]
fn tasks_are_recognised_from_the_graph() {
    let label = tensor_spec("label", DataType::Int64, &[None]);
    let both = [label.clone(), scores("probabilities", Some(2))];
    let kind = |outputs: &[TensorSpec]| build("", &inputs(), outputs).unwrap().kind().name();
    assert_eq!(kind(&both), "tabular-classification");
    assert_eq!(kind(&[label]), "tensors");
    assert_eq!(kind(&[scores("probabilities", Some(2))]), "tensors");
}

#[test]
fn every_mistake_in_a_description_is_told() {
    let problems = |manifest: &str| {
        let manifest = format!("task = \"tabular-classification\"\n{manifest}");
        build(&manifest, &inputs(), &[scores("probabilities", Some(2))]).unwrap_err().problems
    };
    let told = problems(
        "labels = [\"a\"]\n[outputs]\nlabel = \"nope\"\n[[features]]\nname = \"a\"\ntype = \"string\"\n\
         [[features]]\nname = \"b\"\ndefault = \"x\"\n[[features]]\nname = \"c\"\n",
    );
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told.iter().any(|problem| problem.contains("expected 2, as the inputs take, got 3")));
    assert!(told.iter().any(|problem| problem.contains("no output \"nope\"")));
    assert!(told.iter().any(|problem| problem.contains("b: default: expected a number, got a string")));
    assert!(problems("[[features]]\nname = \"a\"\n[[features]]\nname = \"a\"\n")[0].contains("twice"));
}

/// A8: a row of defaults is a few bytes of JSON, whatever it is decoded into.
#[test]
fn rows_of_defaults_are_stopped_at_the_limit_of_decoded_bytes() {
    let features = "[[features]]\nname = \"a\"\ndefault = 1\n[[features]]\nname = \"b\"\ndefault = 2\n";
    let manifest = format!("task = \"tabular-regression\"\n{features}");
    let task = build(&manifest, &inputs(), &[tensor_spec("y", DataType::Fp32, &[None])]).unwrap();
    // Two rows of two singles.
    let limits = DecodeLimits { max_bytes: 16, ..DecodeLimits::default() };
    let json = |body| decode_limited(&task, body, limits).map(|rows| rows.rows);
    let refused = |pointer: &str| Err(("payload_too_large".to_owned(), pointer.to_owned()));
    assert_eq!(json(r#"{"instances": [{}, {}]}"#), Ok(2));
    assert_eq!(json(r#"{"instances": [{}, {}, {}]}"#), refused("/instances/2"));
    let table =
        |body: &[u8]| task.decode_csv(body, HeaderRow::Present, &limits).map(|decoded| decoded.instances());
    assert_eq!(table(b"a\n1\n2\n"), Ok(2));
    let error = table(b"a\n1\n2\n3\n").unwrap_err();
    assert_eq!((error.code, error.pointer.as_deref()), (InputErrorCode::TooLarge, Some("/instances/2")));
}

#[test]
fn tables_are_read_by_their_header() {
    let task = build(
        "task = \"tabular-regression\"\n[[features]]\nname = \"amount\"\n[[features]]\nname = \"a,b\"\ndefault = 7\n",
        &inputs(),
        &[tensor_spec("y", DataType::Fp32, &[None])],
    )
    .unwrap();
    let limits = DecodeLimits { max_instances: 2, max_depth: 8, ..DecodeLimits::default() };
    let read = |body: &[u8]| {
        task.decode_csv(body, HeaderRow::Present, &limits).map(|decoded| task.encode(decoded).unwrap())
    };
    let good: &[(&[u8], &[f32])] = &[
        (b"amount,\"a,b\"\n1,2\n3.5,4\n", &[1.0, 2.0, 3.5, 4.0]),
        (b"\xef\xbb\xbf\"a,b\",amount\r\n\"2\", 1\r\n", &[1.0, 2.0]),
        (b"amount\n1e2", &[100.0, 7.0]),
        (b"amount,\"a,b\"\n1,\n", &[1.0, 7.0]),
    ];
    for (body, values) in good {
        let rows = read(body).unwrap();
        assert_eq!(singles(&rows.inputs[0]), *values);
        assert!(rows.reply.is_list());
    }
    let bad: &[(&[u8], InputErrorCode, Option<&str>)] = &[
        (b"", InputErrorCode::InvalidInput, None),
        (b"amount\n", InputErrorCode::InvalidInput, Some("/instances")),
        (b"amount\n\xff\n", InputErrorCode::InvalidInput, None),
        (b"amount,x\n1,2\n", InputErrorCode::UnknownInput, Some("/x")),
        (b"amount,amount\n1,2\n", InputErrorCode::InvalidInput, Some("/amount")),
        (b"\"a,b\"\n1\n", InputErrorCode::MissingInput, Some("/amount")),
        (b"amount,\"a,b\"\n1,2\n,2\n", InputErrorCode::MissingInput, Some("/instances/1/amount")),
        (b"amount\n1\nx\n", InputErrorCode::InvalidInput, Some("/instances/1/amount")),
        (b"amount\nnan\n", InputErrorCode::InvalidInput, Some("/instances/0/amount")),
        (b"amount\n1e39\n", InputErrorCode::NumberOutOfRange, Some("/instances/0/amount")),
        (b"amount\n1,2\n", InputErrorCode::InvalidInput, Some("/instances/0")),
        (b"amount\n1\n2\n3\n", InputErrorCode::BatchTooLarge, Some("/instances")),
    ];
    for (body, code, pointer) in bad {
        let error = read(body).map(|rows| rows.rows).unwrap_err();
        assert_eq!(
            (error.code, error.pointer.as_deref()),
            (*code, *pointer),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let long = format!("amount,\"a,b\"\n{},2\n", "0".repeat(5000));
    assert_eq!(singles(&read(long.as_bytes()).unwrap().inputs[0]), [0.0, 2.0]);
}

#[test]
fn defaults_may_have_any_type_of_their_input() {
    let inputs = [
        tensor_spec("n", DataType::Int8, &[None, Some(1)]),
        tensor_spec("s", DataType::Bytes, &[None, Some(1)]),
    ];
    let output = [tensor_spec("y", DataType::Fp32, &[None])];
    let manifest = |n: &str| {
        format!(
            "task = \"tabular-regression\"\n[[features]]\nname = \"n\"\ndefault = {n}\n\
             [[features]]\nname = \"s\"\ndefault = \"x\"\ncategories = [\"x\", \"y\"]\n"
        )
    };
    let task = build(&manifest("-3"), &inputs, &output).unwrap();
    let rows = decode(&task, r#"{"instances": [{}, {"s": "y"}]}"#).unwrap();
    let (Data::Int8(numbers), Data::Bytes(strings)) = (rows.inputs[0].data(), rows.inputs[1].data()) else {
        panic!()
    };
    assert_eq!((&numbers[..], &strings[..]), (&[-3_i8, -3][..], &["x".to_owned(), "y".to_owned()][..]));
    assert!(build(&manifest("300"), &inputs, &output).is_err());
}

#[test]
fn nan_as_a_default_is_a_missing_value() {
    let manifest = "task = \"tabular-regression\"\n[[features]]\nname = \"a\"\ndefault = nan\n\
                    [[features]]\nname = \"b\"\ndefault = nan\ncategories = [\"x\", \"y\"]\n";
    let task = build(manifest, &inputs(), &[tensor_spec("y", DataType::Fp32, &[None])]).unwrap();
    let body = r#"{"instances": [{"b": "y"}, {"a": 2, "b": null}, [null, "x"], {"a": 1, "b": "y"}]}"#;
    let rows = decode_limited(&task, body, DecodeLimits::default()).unwrap();
    let values = singles(&rows.inputs[0]);
    let missing: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
    assert_eq!(missing, [true, false, false, true, true, false, false, false]);
    assert_eq!((values[1], values[2], values[5], values[6]), (1.0, 2.0, 0.0, 1.0));
    let table = task.decode_csv(b"a,b\n,y\n3,\n", HeaderRow::Present, &DecodeLimits::default()).unwrap();
    let values = singles(&task.encode(table).unwrap().inputs[0]);
    assert!(values[0].is_nan() && values[3].is_nan() && values[1..3] == [1.0, 3.0]);
    let described = serde_json::to_value(task.describe()).unwrap();
    assert_eq!(described["inputs"]["features"][0]["default"], "nan");
    let example = serde_json::to_string(&task.example()).unwrap();
    assert_eq!(example, r#"{"a":1.0,"b":"x"}"#);
    let whole = [tensor_spec("n", DataType::Int64, &[None, Some(2)])];
    let problems =
        build(manifest, &whole, &[tensor_spec("y", DataType::Fp32, &[None])]).unwrap_err().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("a: default: nan stands for a missing value"), "{problems:?}");
}

/// Given, defaulted and missing values of a table, and how often each feature was left out.
fn counts(rows: &Rows) -> ((u64, u64, u64), &[u32]) {
    let filled = &rows.filled;
    let states = (filled.given(rows.input_length), filled.defaulted(), filled.missing());
    (states, filled.by_feature())
}

fn with_defaults() -> Task {
    let manifest = "task = \"tabular-regression\"\n[[features]]\nname = \"a\"\n\
                    [[features]]\nname = \"b\"\ndefault = 7\n[[features]]\nname = \"c\"\ndefault = nan\n";
    let inputs = [tensor_spec("x", DataType::Fp32, &[None, Some(3)])];
    build(manifest, &inputs, &[tensor_spec("y", DataType::Fp32, &[None])]).unwrap()
}

#[test]
fn what_json_leaves_out_is_counted() {
    let task = with_defaults();
    let none: &[u32] = &[];
    for (body, states, by_feature) in [
        (r#"{"a": 1, "b": 2, "c": 3}"#, (3, 0, 0), none),
        ("[1, 2, 3]", (3, 0, 0), none),
        (r#"{"a": 1, "c": 3}"#, (2, 1, 0), &[0, 1, 0]),
        (r#"{"c": null, "b": null, "a": 1}"#, (1, 1, 1), &[0, 1, 1]),
        (r#"{"instances": [{"a": 1}, [1, null, null], {"a": 1, "b": 2, "c": 3}]}"#, (5, 2, 2), &[0, 2, 2]),
        // A value that is the default is given all the same.
        (r#"{"a": 1, "b": 7, "c": 3}"#, (3, 0, 0), none),
    ] {
        assert_eq!(counts(&decode(&task, body).unwrap()), (states, by_feature), "{body}");
    }
    let plain = task.decode_plain(br#"{"a":1,"b":2,"c":3}"#).unwrap();
    assert_eq!(counts(&task.encode(plain).unwrap()), ((3, 0, 0), none));
}

#[test]
fn what_tables_leave_out_is_counted() {
    let task = with_defaults();
    let limits = DecodeLimits::default();
    let csv = |body: &[u8]| task.encode(task.decode_csv(body, HeaderRow::Either, &limits).unwrap()).unwrap();
    assert_eq!(counts(&csv(b"a,b,c\n1,2,3\n4,5,6\n")), ((6, 0, 0), &[][..]));
    assert_eq!(counts(&csv(b"c,a\n1,2\n,3\n")), ((3, 2, 1), &[0, 2, 1][..]));
    assert_eq!(counts(&csv(b"1,,3\n")), ((2, 1, 0), &[0, 1, 0][..]));
}

#[test]
fn what_other_servers_forms_leave_out_is_counted_once() {
    let task = with_defaults();
    for (body, states, by_feature) in [
        (
            r#"{"dataframe_split": {"columns": ["a", "c"], "data": [[1, 2], [1, null]]}}"#,
            (3, 2, 1),
            [0, 2, 1],
        ),
        // The columns stand behind their cells: the body is read twice.
        (
            r#"{"dataframe_split": {"data": [[1, 2], [1, null]], "columns": ["a", "c"]}}"#,
            (3, 2, 1),
            [0, 2, 1],
        ),
        (r#"{"dataframe_records": [{"a": 1}, {"a": 1, "b": null, "c": 3}]}"#, (3, 2, 1), [0, 2, 1]),
        (r#"{"inputs": {"a": [1, 2], "b": [null, 3]}}"#, (3, 1, 2), [0, 1, 2]),
        (r#"{"inputs": {"a": [[1], [2]], "b": [[null], [3]]}}"#, (3, 1, 2), [0, 1, 2]),
    ] {
        let mut report = DecodeReport::new();
        let decoded = loop {
            let mut json = serde_json::Deserializer::from_str(body);
            let decoded = task.decode_form(Dialect::Mlflow, &mut json, &DecodeLimits::default(), &mut report);
            match (decoded, report.again()) {
                (Ok(decoded), _) => break decoded,
                (Err(_), Some(next)) => report = next,
                (Err(error), None) => panic!("{error} {:?}", report.failure()),
            }
        };
        assert_eq!(counts(&task.encode(decoded).unwrap()), (states, &by_feature[..]), "{body}");
    }
}
