//! Models as the decoders see them: a signature, and what a manifest says. No graph, no session.

use std::path::Path;

use ml_inference_api::model::{Dim, Manifest, Signature, TensorSpec};
use ml_inference_api::task::{Task, TaskSpec};
use ml_inference_api::tensor::DataType;

/// A signature and how the inference protocol's inputs are held against it.
pub struct Inference {
    pub signature: Signature,
    pub batchable: bool,
    pub finite: bool,
}

/// A task with its signature.
pub struct Prediction {
    pub task: Task,
    pub signature: Signature,
}

fn spec(name: &str, data_type: DataType, dims: &[Dim]) -> TensorSpec {
    TensorSpec { name: name.into(), data_type, dims: dims.to_vec() }
}

fn batch() -> Dim {
    Dim::Free(Some("batch".into()))
}

fn signature(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Signature {
    Signature { inputs: inputs.to_vec(), optional: vec![], outputs: outputs.to_vec() }
}

/// The lower-case name of a type is that of its input.
fn named_after(data_type: DataType, dims: &[Dim]) -> TensorSpec {
    spec(&data_type.name().to_lowercase(), data_type, dims)
}

/// Models for the inference protocol: every type, every kind of dimension, with and without a batch.
pub fn inferences() -> Vec<Inference> {
    use DataType::{Bool, Bytes, Fp16, Fp32, Int64, Uint16};
    let score = || spec("y", Fp32, &[batch(), Dim::Fixed(2)]);
    let label = || spec("label", Bytes, &[batch()]);
    let plain = |inputs: &[TensorSpec], batchable| Inference {
        signature: signature(inputs, &[score(), label()]),
        batchable,
        finite: false,
    };
    // Any subset of these will do, so that each type is reached by a request of its own.
    let optional = DataType::ALL.iter().enumerate().map(|(index, &data_type)| match index % 3 {
        0 => named_after(data_type, &[Dim::AnyRank]),
        1 => named_after(data_type, &[Dim::Free(Some("n".into())), Dim::Free(None)]),
        _ => named_after(data_type, &[Dim::Free(Some("n".into()))]),
    });
    let every_type = Signature { optional: optional.collect(), ..signature(&[], &[score()]) };
    let row = spec("x", Fp32, &[batch(), Dim::Fixed(3)]);
    let two = [row.clone(), spec("text", Bytes, &[batch(), Dim::Fixed(1)])];
    vec![
        Inference { signature: every_type, batchable: false, finite: false },
        Inference { finite: true, ..plain(&two, true) },
        plain(&[row], true),
        plain(&[spec("text", Bytes, &[batch()])], true),
        plain(&[spec("x", Uint16, &[Dim::Fixed(2), Dim::Free(None)])], false),
        plain(&[spec("x", Fp16, &[Dim::Free(None), Dim::Free(None)])], false),
        plain(&[spec("x", Int64, &[])], false),
        plain(&[spec("x", Bool, &[Dim::AnyRank])], false),
    ]
}

/// The tables: the fixture `columns`, one vector of features with categories, and every type.
pub fn tables() -> Vec<Prediction> {
    use DataType::{Bytes, Fp32, Int64};
    let column = |name: &str, data_type| spec(name, data_type, &[batch(), Dim::Fixed(1)]);
    let scores = [spec("probabilities", Fp32, &[batch(), Dim::Fixed(2)])];
    let columns =
        [column("age", Fp32), column("income", Fp32), column("city", Bytes), column("visits", Int64)];
    let vector = [spec("x", Fp32, &[batch(), Dim::Fixed(3)])];
    let every = DataType::ALL.map(|data_type| named_after(data_type, &[batch(), Dim::Fixed(1)]));
    let value = [spec("y", Fp32, &[batch(), Dim::Fixed(1)])];
    vec![
        prediction(COLUMNS, signature(&columns, &scores), true),
        prediction(CATEGORIES, signature(&vector, &scores), true),
        prediction("task = \"tabular-regression\"\n", signature(&every, &value), true),
    ]
}

const COLUMNS: &str = r#"task = "tabular-classification"
labels = ["stays", "leaves"]
features = [
  { name = "age", type = "float32" },
  { name = "income", type = "float32", default = 1000.0 },
  { name = "city", type = "string" },
  { name = "visits", type = "int64" },
]
"#;

const CATEGORIES: &str = r#"task = "tabular-classification"
labels = ["ok", "fraud"]
features = [
  { name = "amount" },
  { name = "age/h~", type = "int64" },
  { name = "country", default = "de", categories = ["at", "de"] },
]
"#;

/// Models that take pictures: colour and grey, small and of any size, resized, cut or refused.
pub fn pictures() -> Vec<Prediction> {
    use DataType::{Fp32, Uint8};
    let scores = [spec("logits", Fp32, &[batch(), Dim::Fixed(2)])];
    let model = |settings: &str, data_type, [second, third, fourth]: [usize; 3]| {
        let dims = [batch(), Dim::Fixed(second), Dim::Fixed(third), Dim::Fixed(fourth)];
        let manifest = format!("task = \"image-classification\"\n{settings}");
        prediction(&manifest, signature(&[spec("pixels", data_type, &dims)], &scores), true)
    };
    vec![
        model("", Fp32, [1, 8, 8]),
        model("[image]\nresize = \"lanczos\"\nresize_to = 12\ncolor = \"bgr\"\n", Fp32, [3, 8, 8]),
        model("[image]\nresize = \"bicubic\"\nmean = [0.5]\nstd = [0.5]\n", Uint8, [9, 7, 3]),
        model("[image]\nresize = \"none\"\n", Fp32, [3, 5, 7]),
    ]
}

/// Everything that takes a `/predict` body: tables, tensors, texts, pictures.
pub fn predictions() -> Vec<Prediction> {
    use DataType::{Bytes, Fp16, Fp32, Int64, Uint8};
    let score = [spec("y", Fp32, &[batch()])];
    let batched = [
        spec("a", Fp32, &[batch(), Dim::Fixed(2)]),
        spec("b", Bytes, &[batch(), Dim::Free(None)]),
        spec("c", Int64, &[batch()]),
    ];
    let whole = [spec("x", Fp16, &[Dim::Free(Some("n".into())), Dim::Fixed(2)]), spec("scale", Uint8, &[])];
    let single = [spec("x", Fp32, &[batch(), Dim::Free(None), Dim::Free(None)])];
    let ids = ["input_ids", "attention_mask", "token_type_ids"]
        .map(|name| spec(name, Int64, &[batch(), Dim::Free(Some("sequence".into()))]));
    let vectors =
        [spec("last_hidden_state", Fp32, &[batch(), Dim::Free(Some("sequence".into())), Dim::Fixed(384)])];
    let classes = [spec("logits", Fp32, &[batch(), Dim::Fixed(3)])];
    let tensors = "task = \"tensors\"\n";
    let mut all = tables();
    all.extend([
        prediction(tensors, signature(&batched, &score), true),
        prediction(tensors, signature(&whole, &[spec("y", Fp32, &[])]), false),
        prediction(tensors, signature(&single, &score), true),
        prediction("task = \"text-embedding\"\nmax_length = 16\n", signature(&ids, &vectors), true),
        prediction("task = \"text-classification\"\nmax_length = 16\n", signature(&ids, &classes), true),
    ]);
    all.extend(pictures());
    all
}

fn prediction(manifest: &str, signature: Signature, batchable: bool) -> Prediction {
    // Where the tokenizer is; nothing else is read.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sentence-embedder");
    let folder = folder.canonicalize().expect("the demo model is there");
    let manifest = Manifest::parse(manifest, "fuzzed").expect("the manifest is right");
    let task = Task::build(&TaskSpec {
        manifest: &manifest,
        signature: &signature,
        batchable,
        root: &folder,
        folder: &folder,
        class_labels: &[],
    });
    Prediction { task: task.expect("the task can be built"), signature }
}
