//! Texts to token ids and token vectors to one vector, with a vocabulary small enough to count by hand.

use std::path::Path;

use crate::model::{Manifest, Signature, TensorSpec};
use crate::task::report::DecodeReport;
use crate::task::tests::tensor_spec;
use crate::task::{DecodeLimits, InputError, InputErrorCode, OutputError, Rows, Task, TaskError, TaskSpec};
use crate::tensor::{Data, DataType, Tensor};

/// `[CLS] … [SEP]`, lower case, split at spaces; asks for truncation and padding, which don't count.
const TOKENIZER: &str = r#"{
  "version": "1.0",
  "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
  "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
              "pad_id": 5, "pad_type_id": 0, "pad_token": "[PAD]"},
  "added_tokens": [], "normalizer": {"type": "Lowercase"},
  "pre_tokenizer": {"type": "WhitespaceSplit"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                       "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}},
  "decoder": null,
  "model": {"type": "WordLevel", "unk_token": "[UNK]",
            "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "red": 3, "blue": 4, "[PAD]": 5}}
}"#;

fn ids(name: &str, data_type: DataType) -> TensorSpec {
    tensor_spec(name, data_type, &[None, None])
}

fn model(manifest: &str, outputs: &[TensorSpec]) -> Result<Task, TaskError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    let inputs = [
        ids("input_ids", DataType::Int64),
        ids("attention_mask", DataType::Int32),
        ids("token_type_ids", DataType::Int64),
    ];
    in_folder(folder.path(), manifest, &inputs, outputs)
}

fn in_folder(
    folder: &Path,
    manifest: &str,
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
) -> Result<Task, TaskError> {
    let manifest = Manifest::parse(&format!("task = \"text-embedding\"\n{manifest}"), "m").unwrap();
    let signature = Signature { inputs: inputs.to_vec(), optional: vec![], outputs: outputs.to_vec() };
    Task::build(&TaskSpec {
        manifest: &manifest,
        signature: &signature,
        batchable: true,
        root: folder,
        folder,
        class_labels: &[],
    })
}

fn hidden() -> TensorSpec {
    tensor_spec("last_hidden_state", DataType::Fp32, &[None, None, Some(2)])
}

fn embedder(manifest: &str) -> Task {
    model(manifest, &[hidden()]).unwrap()
}

fn encode(task: &Task, body: &str) -> Result<Rows, InputError> {
    let mut report = DecodeReport::new();
    let mut json = serde_json::Deserializer::from_str(body);
    match task.decode(&mut json, &DecodeLimits::default(), &mut report) {
        Ok(decoded) => task.encode(decoded),
        Err(_) => Err(report.failure().unwrap()),
    }
}

fn row(rows: &Rows, input: usize) -> Vec<i64> {
    match rows.inputs[input].data() {
        Data::Int64(values) => values.to_vec(),
        Data::Int32(values) => values.iter().map(|&value| value.into()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn padding_takes_no_more_memory_than_a_body_may() {
    let task = embedder("");
    let body = r#"{"instances": ["red", "red", "red blue red green red blue red green"]}"#;
    let with = |max_bytes| {
        let mut report = DecodeReport::new();
        let limits = DecodeLimits { max_bytes, ..DecodeLimits::default() };
        let decoded =
            task.decode(&mut serde_json::Deserializer::from_str(body), &limits, &mut report).unwrap();
        task.encode(decoded)
    };
    let rows = with(u64::MAX).unwrap();
    let bytes: usize = rows.inputs.iter().map(|input| input.data().raw_len()).sum();
    assert!(with(bytes as u64).is_ok());
    assert_eq!(with(bytes as u64 - 1).unwrap_err().code, crate::task::InputErrorCode::TooLarge);
}

#[test]
fn texts_become_padded_ids_without_the_files_own_truncation_and_padding() {
    let task = embedder("");
    let rows = encode(&task, r#"{"instances": ["Red blue", {"text": "red blue red green"}]}"#).unwrap();
    assert_eq!(row(&rows, 0), [1, 3, 4, 2, 5, 5, 1, 3, 4, 3, 0, 2]);
    assert_eq!(row(&rows, 1), [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!((rows.inputs[0].shape(), rows.inputs[1].data_type()), (&[2, 6][..], DataType::Int32));
    assert_eq!((rows.tokens, rows.row_tokens.as_deref()), (Some(10), Some(&[4, 6][..])));
    assert_eq!((rows.input_length, rows.truncated), (26, 0));
    let pair = encode(&task, r#"{"text": "red", "text_pair": "blue"}"#).unwrap();
    assert_eq!((row(&pair, 0), row(&pair, 2)), (vec![1, 3, 2, 4, 2], vec![0, 0, 0, 1, 1]));
    let odd = encode(&task, "{\"text\": \"\\u0000 \u{202e}\u{5d0}\u{200d}\"}").unwrap();
    assert_eq!(odd.input_length, 5);
}

#[test]
fn long_texts_are_refused_or_cut_as_asked() {
    let task = embedder("max_length = 4");
    let error = encode(&task, r#"{"instances": ["red", "red red red"]}"#).unwrap_err();
    assert_eq!((error.code, error.pointer.as_deref()), (InputErrorCode::InputTooLong, Some("/instances/1")));
    assert!(error.detail.contains("at most 4") && error.detail.contains("got 5"), "{}", error.detail);
    for body in [
        r#"{"text": "red blue red blue", "parameters": {"truncate": true}}"#,
        r#"{"parameters": {"truncate": true}, "text": "red blue red blue"}"#,
    ] {
        let rows = encode(&task, body).unwrap();
        assert_eq!((row(&rows, 0), rows.truncated), (vec![1, 3, 4, 2], 1));
    }
    let pair = r#"{"text": "red red red red", "text_pair": "blue blue", "parameters": {"truncate": true}}"#;
    let cut = encode(&embedder("max_length = 7"), pair).unwrap();
    assert_eq!((row(&cut, 0), row(&cut, 2)), (vec![1, 3, 3, 2, 4, 4, 2], vec![0, 0, 0, 0, 1, 1, 1]));
    let always = embedder("max_length = 4\ntruncate = true");
    let some = r#"{"instances": ["red red red", "red", "red blue red blue"]}"#;
    assert_eq!(encode(&always, some).unwrap().truncated, 2);
    let never = r#"{"text": "red red red", "parameters": {"truncate": false}}"#;
    assert_eq!(encode(&always, never).unwrap_err().code, InputErrorCode::InputTooLong);
}

#[test]
fn mistakes_in_text_bodies_have_a_code_and_a_pointer() {
    let task = embedder("");
    let cases = [
        ("{}", "invalid_input", None),
        ("\"red\"", "invalid_input", None),
        ("[\"red\"]", "invalid_input", None),
        (r#"{"text": 3}"#, "invalid_input", Some("/text")),
        (r#"{"text": null}"#, "invalid_input", Some("/text")),
        (r#"{"text": ["red"]}"#, "invalid_input", Some("/text")),
        (r#"{"text_pair": "red"}"#, "missing_input", Some("/text")),
        (r#"{"texts": "red"}"#, "unknown_input", Some("/texts")),
        (r#"{"instances": [3]}"#, "invalid_input", Some("/instances/0")),
        (r#"{"instances": ["red", ["red"]]}"#, "invalid_input", Some("/instances/1")),
        (r#"{"text": "red", "instances": []}"#, "unknown_input", Some("/text")),
        (r#"{"text": "red", "parameters": {"top_k": 1}}"#, "unknown_input", Some("/parameters/top_k")),
        (r#"{"text": "red", "parameters": {"truncate": 1}}"#, "invalid_input", Some("/parameters/truncate")),
        (r#"{"parameters": {}, "text": "red", "parameters": {}}"#, "invalid_input", Some("/parameters")),
        (r#"{"parameters": {}}"#, "missing_input", Some("/text")),
    ];
    for (body, code, pointer) in cases {
        let error = encode(&task, body).map(|rows| rows.rows).unwrap_err();
        assert_eq!((error.code.name(), error.pointer.as_deref()), (code, pointer), "{body}");
    }
}

#[test]
fn pooling_counts_real_tokens_only() {
    // Rows of 3 and 4 tokens; what stands behind the third token of the first must not count.
    let body = r#"{"instances": ["red", "red blue"]}"#;
    let values = vec![3.0_f32, 0.0, 0.0, 4.0, 3.0, -1.0, 99.0, 99.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 5.0];
    let outputs = [Tensor::new(vec![2, 4, 2], values).unwrap()];
    for (manifest, expected) in [
        ("", r#"[{"embedding":[2.0,1.0],"tokens":3},{"embedding":[1.0,2.0],"tokens":4}]"#),
        ("pooling = \"cls\"", r#"[{"embedding":[3.0,0.0],"tokens":3},{"embedding":[1.0,1.0],"tokens":4}]"#),
        ("pooling = \"max\"", r#"[{"embedding":[3.0,4.0],"tokens":3},{"embedding":[1.0,5.0],"tokens":4}]"#),
        // As sentence-transformers has them: sum by the root of the count, weights that grow, the last.
        (
            "pooling = \"mean_sqrt_len\"",
            r#"[{"embedding":[3.4641016,1.7320508],"tokens":3},{"embedding":[2.0,4.0],"tokens":4}]"#,
        ),
        (
            "pooling = \"weightedmean\"",
            r#"[{"embedding":[2.0,0.8333333],"tokens":3},{"embedding":[1.0,2.6],"tokens":4}]"#,
        ),
        (
            "pooling = \"lasttoken\"",
            r#"[{"embedding":[3.0,-1.0],"tokens":3},{"embedding":[1.0,5.0],"tokens":4}]"#,
        ),
        (
            "pooling = \"max\"\nnormalize = true",
            r#"[{"embedding":[0.6,0.8],"tokens":3},{"embedding":[0.19611613,0.9805807],"tokens":4}]"#,
        ),
    ] {
        let task = embedder(manifest);
        let rows = encode(&task, body).unwrap();
        let predictions = task.predictions(&outputs, &rows.reply).unwrap();
        assert_eq!(serde_json::to_string(&predictions).unwrap(), expected, "{manifest}");
    }
    let task =
        model("", &[tensor_spec("sentence_embedding", DataType::Fp32, &[None, Some(2)]), hidden()]).unwrap();
    let rows = encode(&task, r#"{"text": "red"}"#).unwrap();
    let pooled = |values: Vec<f32>| {
        let hidden = Tensor::new(vec![1, 3, 2], vec![0.0_f32; 6]).unwrap();
        [Tensor::new(vec![1, 2], values).unwrap(), hidden]
    };
    let outputs = pooled(vec![0.5, 0.25]);
    let predictions = task.predictions(&outputs, &rows.reply).unwrap();
    assert_eq!(serde_json::to_string(&predictions.bare()).unwrap(), r#"{"embedding":[0.5,0.25],"tokens":3}"#);
    let outputs = pooled(vec![f32::NAN, 0.0]);
    let error = task.predictions(&outputs, &rows.reply).err();
    assert_eq!(error, Some(OutputError::NonFinite { output: "sentence_embedding".into() }));
}

#[test]
fn golden_texts_may_be_plain_strings() {
    let manifest = Manifest::parse("[[golden]]\nexpected = {}\ninput = \"red\"\n", "m").unwrap();
    let mut report = DecodeReport::new();
    let task = embedder("");
    let decoded = task
        .decode_instance(manifest.golden[0].input.clone(), &DecodeLimits::default(), &mut report)
        .unwrap();
    assert_eq!(task.encode(decoded).unwrap().tokens, Some(3));
}

#[test]
fn warm_up_has_one_and_two_different_rows() {
    let task = embedder("max_length = 4");
    let examples = task.example_rows().unwrap();
    assert_eq!(examples.iter().map(|rows| rows.rows).collect::<Vec<_>>(), [1, 2]);
    let example = serde_json::to_string(&embedder("").example()).unwrap();
    assert!(encode(&embedder(""), &example).is_ok());
}

#[test]
fn the_longest_row_is_as_long_as_a_text_may_be() {
    let width = |manifest: &str, most: usize| {
        let row = embedder(manifest).longest_row(most).unwrap();
        let widths: Vec<_> = row.inputs.iter().map(|input| input.shape().to_vec()).collect();
        assert!(widths.iter().all(|shape| shape == &widths[0]), "{widths:?}");
        assert_eq!(row.row_tokens.unwrap().as_slice(), [u32::try_from(widths[0][1]).unwrap()]);
        widths[0][1]
    };
    assert_eq!(width("max_length = 7", 100), 7);
    assert_eq!(width("max_length = 7", 5), 5, "bounded");
    assert_eq!(width("", 100), 100, "texts of any length");
    assert!(embedder("").has_tokens());
}

#[test]
fn what_a_text_model_lacks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [ids("pixels", DataType::Fp32)];
    let error = in_folder(folder.path(), "pooling = \"none\"", &inputs, &[hidden()]).unwrap_err();
    assert_eq!(error.problems.len(), 4, "{error:?}");
    let outside = in_folder(folder.path(), "tokenizer = \"../x.json\"", &inputs, &[hidden()]).unwrap_err();
    assert!(outside.to_string().contains("../x.json: no such file"));
    assert!(model("max_length = 2", &[hidden()]).is_err());
}
