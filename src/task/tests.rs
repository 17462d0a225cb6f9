//! Bodies of every form, through a JSON deserializer as `http/` brings it.

use half::{bf16, f16};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::model::{Dim, TensorSpec};
use crate::tensor::{Data, DataType};

pub(super) fn tensor_spec(name: &str, data_type: DataType, dims: &[Option<usize>]) -> TensorSpec {
    let dim = |size: &Option<usize>| size.map_or(Dim::Free(None), Dim::Fixed);
    TensorSpec { name: name.into(), data_type, dims: dims.iter().map(dim).collect() }
}

pub(super) fn build(
    manifest: &str,
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
) -> Result<Task, TaskError> {
    build_with(manifest, inputs, outputs, true, &[])
}

pub(super) fn build_with(
    manifest: &str,
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
    batchable: bool,
    class_labels: &[String],
) -> Result<Task, TaskError> {
    let manifest = Manifest::parse(manifest, "m").unwrap();
    let signature = Signature { inputs: inputs.to_vec(), optional: vec![], outputs: outputs.to_vec() };
    let folder = Path::new(".");
    Task::build(&TaskSpec {
        manifest: &manifest,
        signature: &signature,
        batchable,
        root: folder,
        folder,
        class_labels,
    })
}

pub(super) fn decode(task: &Task, body: &str) -> Result<Rows, (String, String)> {
    decode_limited(task, body, DecodeLimits { max_instances: 3, ..DecodeLimits::default() })
}

/// Rows, or code and pointer; `json` for what the deserializer itself refused.
pub(super) fn decode_limited(
    task: &Task,
    body: &str,
    limits: DecodeLimits,
) -> Result<Rows, (String, String)> {
    let mut report = DecodeReport::new();
    let mut json = serde_json::Deserializer::from_str(body);
    let told = |error: InputError| {
        assert!(error.detail.chars().count() <= 256 && !error.detail.is_empty(), "{error:?}");
        (error.code.name().to_owned(), error.pointer.unwrap_or_default())
    };
    let Ok(decoded) = task.decode(&mut json, &limits, &mut report) else {
        let pointer = report.pointer().to_owned();
        return Err(report.failure().map_or_else(|| ("json".to_owned(), pointer), told));
    };
    json.end().map_err(|_| ("json".to_owned(), String::new()))?;
    task.encode(decoded).map_err(told)
}

fn detail(task: &Task, body: &str) -> String {
    let mut report = DecodeReport::new();
    let mut json = serde_json::Deserializer::from_str(body);
    task.decode(&mut json, &DecodeLimits::default(), &mut report).unwrap_err();
    report.failure().unwrap().detail
}

fn refused(task: &Task, cases: &[(&str, &str, &str)]) {
    for (body, code, pointer) in cases {
        let came = decode(task, body).map(|rows| rows.inputs);
        assert_eq!(came, Err(((*code).to_owned(), (*pointer).to_owned())), "{body}");
    }
}

pub(super) fn singles(tensor: &Tensor) -> Vec<f32> {
    let Data::Fp32(values) = tensor.data() else { panic!("not FP32: {tensor:?}") };
    values.to_vec()
}

fn fraud() -> Task {
    build(
        "task = \"tabular-classification\"\nlabels = [\"ok\", \"fraud\"]\n[[features]]\nname = \"amount\"\n\
         [[features]]\nname = \"age/h~\"\ntype = \"int64\"\n[[features]]\nname = \"country\"\ndefault = \"de\"\n\
         categories = [\"at\", \"de\"]\n",
        &[tensor_spec("x", DataType::Fp32, &[None, Some(3)])],
        &[
            tensor_spec("label", DataType::Int64, &[None]),
            tensor_spec("probabilities", DataType::Fp32, &[None, Some(2)]),
        ],
    )
    .unwrap()
}

fn one_input(data_type: DataType, dims: &[Option<usize>]) -> Task {
    let output = tensor_spec("y", DataType::Fp32, &[None]);
    build("task = \"tensors\"", &[tensor_spec("x", data_type, dims)], &[output]).unwrap()
}

#[test]
fn every_form_of_a_tabular_body_gives_the_same_row() {
    let task = fraud();
    let row = [0.1_f32, 7.0, 0.0];
    for body in [
        r#"{"amount": 0.1, "age/h~": 7, "country": "at"}"#,
        r#"{"country": "at", "age/h~": 7, "amount": 0.1}"#,
        r#"[0.1, 7, "at"]"#,
    ] {
        let rows = decode(&task, body).unwrap();
        assert!(!rows.reply.is_list());
        assert_eq!((singles(&rows.inputs[0]), rows.inputs[0].shape()), (row.to_vec(), &[1, 3][..]), "{body}");
        for list in [
            format!(r#"{{"instances": [{body}, {body}]}}"#),
            format!(r#"{{"parameters": {{"top_k": 1}}, "instances": [{body}, {body}]}}"#),
            format!(r#"{{"instances": [{body}, {body}], "parameters": {{}}}}"#),
        ] {
            let rows = decode(&task, &list).unwrap();
            assert!(rows.reply.is_list());
            assert_eq!(
                (singles(&rows.inputs[0]), rows.inputs[0].shape()),
                ([row, row].concat(), &[2, 3][..])
            );
            assert_eq!((rows.rows, rows.input_length), (2, 6));
        }
    }
    for body in
        [r#"{"amount": 1, "age/h~": 2}"#, r#"{"amount": 1, "age/h~": 2, "country": null}"#, "[1, 2, null]"]
    {
        assert_eq!(singles(&decode(&task, body).unwrap().inputs[0]), [1.0, 2.0, 1.0], "{body}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn mistakes_in_tabular_bodies_have_a_code_and_a_pointer() {
    refused(
        &fraud(),
        &[
            ("{}", "invalid_input", ""),
            ("[]", "invalid_input", ""),
            ("null", "invalid_input", ""),
            ("true", "invalid_input", ""),
            ("3", "invalid_input", ""),
            ("\"text\"", "invalid_input", ""),
            ("", "json", ""),
            ("{\"amount\": ", "json", "/amount"),
            ("{\"amount\": 1e39}", "json", "/amount"),
            (r#"{"instances": []}"#, "invalid_input", "/instances"),
            (r#"{"instances": {}}"#, "invalid_input", "/instances"),
            (r#"{"instances": [3]}"#, "invalid_input", "/instances/0"),
            (r#"{"instances": [{}]}"#, "missing_input", "/instances/0/amount"),
            (r#"{"instances": [[1,2,"at"]], "instances": []}"#, "invalid_input", "/instances"),
            (r#"{"instances": [[1,2,"at"]], "amount": 1}"#, "unknown_input", "/amount"),
            (r#"{"amount": 1, "instances": [[1,2,"at"]]}"#, "unknown_input", "/amount"),
            (r#"{"foo/~": 1, "instances": [[1,2,"at"]]}"#, "unknown_input", "/foo~1~0"),
            (r#"{"instances": [[1,2,"at"],[1,2],[1,2]]}"#, "shape_mismatch", "/instances/1"),
            (r#"{"instances": [[1,2,"at",4]]}"#, "shape_mismatch", "/instances/0"),
            (r#"{"instances": [[1,2],[1,2],[1,2],[1,2]]}"#, "shape_mismatch", "/instances/0"),
            (
                r#"{"instances": [[1,2,null],[1,2,null],[1,2,null],"never read"]}"#,
                "batch_too_large",
                "/instances",
            ),
            (r#"{"parameters": {"top_k": 0}, "instances": []}"#, "invalid_input", "/parameters/top_k"),
            (r#"{"parameters": {"top_k": 1.5}, "instances": []}"#, "invalid_input", "/parameters/top_k"),
            (
                r#"{"parameters": {"truncate": true}, "instances": []}"#,
                "unknown_input",
                "/parameters/truncate",
            ),
            (r#"{"parameters": {"x": true}, "instances": []}"#, "unknown_input", "/parameters/x"),
            (r#"{"parameters": {"top_k": 1}, "amount": 1}"#, "unknown_input", "/parameters"),
            (r#"{"parameters": {}}"#, "unknown_input", "/parameters"),
            (r#"{"amount": 1, "parameters": {}}"#, "unknown_input", "/parameters"),
            (r#"{"instances": [{"parameters": {}}]}"#, "unknown_input", "/instances/0/parameters"),
            (r#"{"amount": "1"}"#, "invalid_input", "/amount"),
            (r#"{"amount": true}"#, "invalid_input", "/amount"),
            (r#"{"amount": [1]}"#, "invalid_input", "/amount"),
            (r#"{"amount": {"a": 1}}"#, "invalid_input", "/amount"),
            (r#"{"amount": null, "age/h~": 1}"#, "missing_input", "/amount"),
            (r#"{"amount": 1, "amount": 1}"#, "invalid_input", "/amount"),
            (r#"{"amount": null, "amount": 1}"#, "invalid_input", "/amount"),
            (r#"{"amount": 1}"#, "missing_input", "/age~1h~0"),
            (r#"{"age/h~": 1.5}"#, "invalid_input", "/age~1h~0"),
            (r#"{"age/h~": 1.0}"#, "invalid_input", "/age~1h~0"),
            (r#"{"age/h~": 18446744073709551616}"#, "number_out_of_range", "/age~1h~0"),
            (r#"{"age/h~": 9223372036854775808}"#, "number_out_of_range", "/age~1h~0"),
            (r#"{"age/h~": "7"}"#, "invalid_input", "/age~1h~0"),
            (r#"{"country": "fr"}"#, "invalid_input", "/country"),
            (r#"{"country": 1}"#, "invalid_input", "/country"),
            (r#"{"amuont": 1}"#, "unknown_input", "/amuont"),
            ("[[1,2,3]]", "invalid_input", ""),
            (r#"[{"amount": 1}]"#, "invalid_input", ""),
            (r#"[1, "2", "at"]"#, "invalid_input", "/1"),
            ("[null, 2, \"at\"]", "missing_input", "/0"),
            (r#"{"instances": [[[1]]]}"#, "invalid_input", "/instances/0/0"),
        ],
    );
}

#[test]
fn details_say_what_was_expected_and_never_the_value() {
    let task = fraud();
    assert_eq!(detail(&task, r#"{"amount": "secret"}"#), "expected a number, got a string");
    assert_eq!(detail(&task, r#"{"amount": false}"#), "expected a number, got a boolean");
    assert_eq!(detail(&task, r#"{"amount": {}}"#), "expected a number, got an object");
    assert_eq!(
        detail(&task, r#"{"age/h~": null, "country": "secret"}"#),
        "expected one of 2 categories, got another string"
    );
    assert!(detail(&task, r#"{"Amount": 1}"#).contains("did you mean \"amount\"?"));
    assert!(detail(&task, "[[1]]").contains("instances"));
    let long = format!(r#"{{"{}\u0000": 1}}"#, "x/".repeat(1000));
    assert!(detail(&task, &long).len() < 300);
}

#[test]
fn tensors_are_held_against_the_signature() {
    let task = one_input(DataType::Fp32, &[None, Some(2), None]);
    let rows = decode(&task, r#"{"x": [[1,2,3],[4,5,6]]}"#).unwrap();
    assert_eq!(rows.inputs[0].shape(), [1, 2, 3]);
    assert_eq!(decode(&task, "[[1,2,3],[4,5,6]]").unwrap().inputs, rows.inputs);
    let list = r#"{"instances": [{"x": [[1,2,3],[4,5,6]]}, [[1,2,3],[4,5,6]]]}"#;
    assert_eq!(decode(&task, list).unwrap().inputs[0].shape(), [2, 2, 3]);
    assert_eq!(decode(&task, r#"{"x": [[],[]]}"#).unwrap().inputs[0].shape(), [1, 2, 0]);
    refused(
        &task,
        &[
            (r#"{"x": 1}"#, "shape_mismatch", "/x"),
            (r#"{"x": [1, 2]}"#, "shape_mismatch", "/x/0"),
            (r#"{"x": [[1],[2],[3]]}"#, "shape_mismatch", "/x"),
            (r#"{"x": [[1]]}"#, "shape_mismatch", "/x"),
            (r#"{"x": [[1,2],[3]]}"#, "shape_mismatch", "/x/1"),
            (r#"{"x": [[1],[3,4]]}"#, "shape_mismatch", "/x/1"),
            (r#"{"x": [[1],[[3]]]}"#, "shape_mismatch", "/x/1/0"),
            (r#"{"x": [[1],["3"]]}"#, "invalid_input", "/x/1/0"),
            (r#"{"x": [[1],[null]]}"#, "invalid_input", "/x/1/0"),
            (r#"{"x": [[1],[1e39]]}"#, "json", "/x/1/0"),
            (r#"{"x": null}"#, "invalid_input", "/x"),
            (r#"{"z": 1}"#, "unknown_input", "/z"),
            (r#"{"instances": [[[1],[2]],[[1,2],[3,4]]]}"#, "shape_mismatch", "/instances/1/0"),
            (r#"{"instances": [{}]}"#, "missing_input", "/instances/0/x"),
        ],
    );
    let whole = build_with(
        "task = \"tensors\"",
        &[tensor_spec("x", DataType::Fp32, &[Some(2)]), tensor_spec("s", DataType::Int64, &[])],
        &[tensor_spec("y", DataType::Fp32, &[])],
        false,
        &[],
    )
    .unwrap();
    let rows = decode(&whole, r#"{"instances": [{"x": [1, 2], "s": 3}]}"#).unwrap();
    assert_eq!((rows.inputs[0].shape(), rows.inputs[1].shape()), (&[2][..], &[][..]));
    refused(
        &whole,
        &[
            (r#"{"instances": [{"x": [1, 2], "s": 3},{}]}"#, "batch_too_large", "/instances/1"),
            ("[1, 2]", "invalid_input", ""),
            (r#"{"x": [1,2]}"#, "missing_input", "/s"),
            (r#"{"x": [1,2], "s": [3]}"#, "shape_mismatch", "/s"),
        ],
    );
    let shallow = DecodeLimits { max_instances: 1, max_depth: 2, ..DecodeLimits::default() };
    let came = decode_limited(&task, r#"{"x": [[1],[2]]}"#, shallow).map(|rows| rows.rows);
    assert_eq!(came, Err(("invalid_input".into(), "/x/0".into())));
}

/// A8: what a body stands for is bounded like the body itself.
#[test]
fn a_short_body_of_large_tensors_is_stopped_at_the_limit() {
    let wide = tensor_spec("x", DataType::Fp64, &[None, None]);
    let words = tensor_spec("s", DataType::Bytes, &[None, None]);
    let output = tensor_spec("y", DataType::Fp32, &[None]);
    let task = build("task = \"tensors\"", &[wide, words], &[output]).unwrap();
    let limited = |max_bytes: u64, body: &str| {
        let limits = DecodeLimits { max_bytes, ..DecodeLimits::default() };
        decode_limited(&task, body, limits).map(|rows| rows.rows)
    };
    let refused = |pointer: &str| Err(("payload_too_large".to_owned(), pointer.to_owned()));
    let numbers = r#"{"x": [1,2,3,4], "s": []}"#;
    assert_eq!(limited(32, numbers), Ok(1));
    assert_eq!(limited(31, numbers), refused("/x/3"));
    // Strings count as what each takes in memory, and all inputs of all instances together.
    let both = r#"{"instances": [{"x": [1,2], "s": ["",""]}, {"x": [1,2], "s": ["",""]}]}"#;
    let all = 4 * 8 + 4 * size_of::<String>() as u64;
    assert_eq!(limited(all, both), Ok(2));
    assert_eq!(limited(all - 1, both), refused("/instances/1/s/1"));
}

#[test]
fn dimensions_of_one_name_have_one_size_across_inputs() {
    let named = |name: &str| TensorSpec {
        name: name.into(),
        data_type: DataType::Int64,
        dims: vec![Dim::Free(Some("batch".into())), Dim::Free(Some("n".into()))],
    };
    let output = tensor_spec("y", DataType::Fp32, &[None]);
    let task = build("task = \"tensors\"", &[named("a"), named("b")], &[output]).unwrap();
    assert!(decode(&task, r#"{"b": [1,2], "a": [3,4]}"#).is_ok());
    refused(
        &task,
        &[
            (r#"{"a": [1], "b": [1,2]}"#, "shape_mismatch", "/b"),
            (r#"{"instances": [{"a": [1], "b": [1,2]}]}"#, "shape_mismatch", "/instances/0/b"),
        ],
    );
}

/// A type, what it takes, and what it refuses with which code.
type TypeCase<'a> = (DataType, &'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn every_type_takes_its_own_values_only() {
    use DataType::{Bf16, Bool, Bytes, Fp16, Fp32, Fp64, Int8, Int64, Uint8, Uint64};
    let cases: &[TypeCase] = &[
        (Bool, &["true", "false"], &[("1", "invalid_input"), ("\"true\"", "invalid_input")]),
        (
            Uint8,
            &["0", "255"],
            &[("256", "number_out_of_range"), ("-1", "number_out_of_range"), ("1.5", "invalid_input")],
        ),
        (Int8, &["-128", "127"], &[("128", "number_out_of_range"), ("1e2", "invalid_input")]),
        (
            Int64,
            &["-9223372036854775808", "9223372036854775807"],
            &[("9223372036854775808", "number_out_of_range"), ("1e300", "number_out_of_range")],
        ),
        (
            Uint64,
            &["18446744073709551615", "9007199254740993"],
            &[("18446744073709551616", "number_out_of_range"), ("-1", "number_out_of_range")],
        ),
        (Fp16, &["65504.0"], &[("65520", "number_out_of_range"), ("-1e9", "number_out_of_range")]),
        (Bf16, &["1.0"], &[("3.4e38", "number_out_of_range")]),
        (Fp32, &["0.1", "3.4028235e+38"], &[("true", "invalid_input")]),
        (Fp64, &["0.1", "1.7976931348623157e+308"], &[("null", "invalid_input")]),
        (
            Bytes,
            &["\"\\u0000 \u{202e}\u{5d0} \u{1f469}\u{200d}\u{1f4bb}\""],
            &[("1", "invalid_input"), ("true", "invalid_input")],
        ),
    ];
    for (data_type, good, bad) in cases {
        let input = tensor_spec("x", *data_type, &[None, None]);
        let task =
            build("task = \"tensors\"", std::slice::from_ref(&input), std::slice::from_ref(&input)).unwrap();
        for text in *good {
            let body = format!(r#"{{"x": [{text}]}}"#);
            let rows = decode(&task, &body).unwrap();
            let predictions = task.predictions(&rows.inputs, &rows.reply).unwrap();
            // Through text: a single as a JSON value would show the digits of a double.
            let written: Json =
                serde_json::from_str(&serde_json::to_string(&predictions.bare()).unwrap()).unwrap();
            assert_eq!(written, serde_json::from_str::<Json>(&body).unwrap(), "{data_type} {text}");
        }
        for (text, code) in *bad {
            let came = decode(&task, &format!(r#"{{"x": [{text}]}}"#)).map(|rows| rows.inputs);
            assert_eq!(came, Err(((*code).to_owned(), "/x/0".to_owned())), "{data_type} {text}");
        }
    }
}

#[test]
fn half_types_are_rounded_once() {
    let value = |data_type, text: &str| {
        let task = one_input(data_type, &[None, None]);
        let rows = decode(&task, &format!("[{text}]")).unwrap();
        rows.inputs[0].data().float_at(0).unwrap()
    };
    // Just above the middle between two halves: through a nearest single it would round to even.
    assert_eq!(value(DataType::Fp16, "1.00048828125000001e0").to_bits(), 1.0_f64.to_bits());
    assert_eq!(
        value(DataType::Fp16, "1.0004882812500003").to_bits(),
        f16::from_bits(0x3c01).to_f64().to_bits()
    );
    assert_eq!(
        value(DataType::Bf16, "1.0039062500000003").to_bits(),
        bf16::from_bits(0x3f81).to_f64().to_bits()
    );
    // 2^56 + 2^48 + 1 lies just above the middle between two bfloat16.
    let integer = (1_u64 << 56) + (1 << 48) + 1;
    assert_eq!(value(DataType::Bf16, &integer.to_string()).to_bits(), 72_620_543_991_349_250.0_f64.to_bits());
}

#[test]
fn golden_instances_come_from_toml() {
    let task = fraud();
    let manifest = Manifest::parse(
        "[[golden]]\nexpected = {}\ninput = { amount = 1, \"age/h~\" = 2, country = \"at\" }\n\
         [[golden]]\nexpected = {}\ninput = [1.5, 2, \"de\"]\n[[golden]]\nexpected = {}\ninput = { amount = \"x\" }\n\
         [[golden]]\nexpected = {}\ninput = [nan, 2, \"de\"]\n",
        "m",
    )
    .unwrap();
    let decode = |index: usize| {
        let mut report = DecodeReport::new();
        let golden = manifest.golden[index].input.clone();
        let decoded = task.decode_instance(golden, &DecodeLimits::default(), &mut report);
        decoded
            .map(|decoded| singles(&task.encode(decoded).unwrap().inputs[0]))
            .map_err(|_| report.failure().unwrap())
    };
    assert_eq!(decode(0).unwrap(), [1.0, 2.0, 0.0]);
    assert_eq!(decode(1).unwrap(), [1.5, 2.0, 1.0]);
    assert_eq!(decode(2).unwrap_err().pointer.as_deref(), Some("/amount"));
    assert_eq!(decode(3).unwrap_err().code, InputErrorCode::NumberOutOfRange);
}

#[test]
fn examples_work_when_pasted_into_a_post() {
    let tensors = build(
        "task = \"tensors\"",
        &[
            tensor_spec("x", DataType::Int8, &[None, Some(2), None]),
            tensor_spec("s", DataType::Bytes, &[None]),
        ],
        &[tensor_spec("y", DataType::Fp32, &[None, Some(4)])],
    )
    .unwrap();
    for task in [fraud(), tensors] {
        let example = serde_json::to_string(&task.example()).unwrap();
        assert!(decode(&task, &example).is_ok(), "{example}");
    }
    let described = serde_json::to_value(fraud().describe()).unwrap();
    assert_eq!(described["inputs"]["features"][2]["default"], "de");
    assert_eq!(described["inputs"]["features"][1]["type"], "int64");
    assert_eq!(described["parameters"], json!(["top_k"]));
}

#[test]
fn outputs_that_json_cannot_carry_are_refused() {
    let task = one_input(DataType::Fp32, &[None, None]);
    let rows = decode(&task, "[1]").unwrap();
    let bad = [Tensor::new(vec![1], vec![f32::NAN]).unwrap()];
    let error = task.predictions(&bad, &rows.reply).err().unwrap();
    assert_eq!(error, OutputError::NonFinite { output: "y".into() });
    let long = [Tensor::new(vec![2], vec![1.0_f32; 2]).unwrap()];
    assert!(matches!(task.predictions(&long, &rows.reply).err(), Some(OutputError::Shape(_))));
}

proptest! {
    #[test]
    fn singles_are_the_nearest_to_the_decimal(digits in "-?[1-9][0-9]{0,24}(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?") {
        let task = one_input(DataType::Fp32, &[None, None]);
        let exact: f32 = digits.parse().unwrap();
        match decode(&task, &format!("[{digits}]")) {
            Ok(rows) => prop_assert_eq!(singles(&rows.inputs[0])[0].to_bits(), exact.to_bits()),
            Err((code, _)) => prop_assert!(exact.is_infinite() && code == "json", "{} {}", digits, code),
        }
    }

    #[test]
    fn singles_and_doubles_come_back_bit_for_bit(single in any::<f32>(), double in any::<f64>()) {
        prop_assume!(single.is_finite() && double.is_finite());
        let input = [tensor_spec("a", DataType::Fp32, &[None]), tensor_spec("b", DataType::Fp64, &[None])];
        let task = build("task = \"tensors\"", &input, &input).unwrap();
        let rows = decode(&task, &json!({"a": single, "b": double}).to_string()).unwrap();
        let written = serde_json::to_string(&task.predictions(&rows.inputs, &rows.reply).unwrap().bare()).unwrap();
        prop_assert_eq!(&decode(&task, &written).unwrap().inputs, &rows.inputs);
        prop_assert_eq!(rows.inputs[0].data().float_at(0).unwrap().to_bits(), f64::from(single).to_bits());
        prop_assert_eq!(rows.inputs[1].data().float_at(0).unwrap().to_bits(), double.to_bits());
    }

    #[test]
    fn half_types_round_to_the_nearest(value in -70_000.0_f64..70_000.0) {
        let rounded = <f16 as element::Element>::from_f64(value);
        let Ok(half) = rounded else { return Ok(()) };
        let miss = (half.to_f64() - value).abs();
        for bits in [half.to_bits().wrapping_add(1), half.to_bits().wrapping_sub(1)] {
            let neighbour = f16::from_bits(bits);
            prop_assert!(!neighbour.is_finite() || miss <= (neighbour.to_f64() - value).abs());
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(order in Just((0..70_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let inputs = [tensor_spec("x", DataType::Fp32, &[None, Some(70)])];
        let task = build("task = \"tabular-regression\"", &inputs, &[tensor_spec("y", DataType::Fp32, &[None, Some(1)])]).unwrap();
        let members: Vec<String> = order.iter().map(|index| format!("\"f{index}\":{index}")).collect();
        let rows = decode(&task, &format!("{{{}}}", members.join(","))).unwrap();
        let Data::Fp32(values) = rows.inputs[0].data() else { panic!() };
        let expected: Vec<f32> = (0_u8..).map(f32::from).take(values.len()).collect();
        prop_assert_eq!(&**values, expected.as_slice());
    }

    #[test]
    fn nested_arrays_come_back(shape in prop::collection::vec(0_usize..4, 1..4), seed in any::<i64>()) {
        let dims: Vec<_> = shape.iter().map(|_| None).collect();
        let inputs = [tensor_spec("x", DataType::Int64, &[vec![None], dims].concat())];
        let task = build("task = \"tensors\"", &inputs, &inputs).unwrap();
        let count: usize = shape.iter().product();
        let values: Vec<i64> = (0_i64..).take(count).map(|index| seed.wrapping_mul(index + 1)).collect();
        let source = [Tensor::new([vec![1], shape.clone()].concat(), values).unwrap()];
        let reply = decode(&task, &serde_json::to_string(&task.example()).unwrap()).unwrap().reply;
        let written = serde_json::to_string(&task.predictions(&source, &reply).unwrap().bare()).unwrap();
        let back = decode(&task, &written).unwrap();
        prop_assert_eq!(back.inputs[0].data(), source[0].data());
        if count > 0 {
            prop_assert_eq!(&back.inputs[0], &source[0]);
        }
    }

    #[test]
    fn no_text_panics_the_decoder(body in "[\\[\\]{}\",:0-9a-z.\\-]{0,40}") {
        drop(decode(&fraud(), &body));
        drop(decode(&one_input(DataType::Fp32, &[None, None, None]), &body));
    }
}

#[test]
fn inputs_named_like_the_forms_own_words_stay_reachable() {
    let output = [tensor_spec("y", DataType::Fp32, &[None])];
    let of = |name: &str| {
        build("task = \"tensors\"", &[tensor_spec(name, DataType::Fp32, &[None])], &output).unwrap()
    };
    assert_eq!(singles(&decode(&of("parameters"), r#"{"parameters": 2}"#).unwrap().inputs[0]), [2.0]);
    let list = r#"{"instances": [{"instances": 1}, {"instances": 2}], "parameters": {}}"#;
    assert_eq!(singles(&decode(&of("instances"), list).unwrap().inputs[0]), [1.0, 2.0]);
}
