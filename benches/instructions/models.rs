//! The demo models as tasks: signature and manifest, no graph and no session. What is read of them is in
//! the repository.

use std::path::Path;

use ml_inference_api::model::{Dim, Manifest, Signature, TensorSpec};
use ml_inference_api::task::{Task, TaskSpec};
use ml_inference_api::tensor::DataType;

use super::Fault;

fn spec(name: &str, data_type: DataType, inner: &[Dim]) -> TensorSpec {
    let dims = std::iter::once(Dim::Free(Some("batch".into()))).chain(inner.iter().cloned()).collect();
    TensorSpec { name: name.into(), data_type, dims }
}

fn task(
    folder: &str,
    manifest: &str,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
) -> Result<Task, Fault> {
    let signature = Signature { inputs, optional: vec![], outputs };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(folder).canonicalize()?;
    let manifest = Manifest::parse(manifest, "counted").map_err(|problem| problem.to_string())?;
    let spec = TaskSpec {
        manifest: &manifest,
        signature: &signature,
        batchable: true,
        root: &folder,
        folder: &folder,
        class_labels: &[],
    };
    Ok(Task::build(&spec)?)
}

/// Thirty numbers in, label and two scores out.
pub(crate) fn fraud_detector() -> Result<Task, Fault> {
    task(
        "fraud-detector",
        include_str!("../../models/fraud-detector/model.toml"),
        vec![spec("features", DataType::Fp32, &[Dim::Fixed(30)])],
        vec![spec("label", DataType::Int64, &[]), spec("probabilities", DataType::Fp32, &[Dim::Fixed(2)])],
    )
}

/// A picture in, ten scores out.
pub(crate) fn digits() -> Result<Task, Fault> {
    task(
        "digits",
        include_str!("../../models/digits/model.toml"),
        vec![spec("image", DataType::Fp32, &[Dim::Fixed(1), Dim::Fixed(8), Dim::Fixed(8)])],
        vec![spec("logits", DataType::Fp32, &[Dim::Fixed(10)])],
    )
}

/// A text in, eight scores out.
pub(crate) fn ticket_topic() -> Result<Task, Fault> {
    let manifest = "task = \"text-classification\"\nmax_length = 128\n\
        labels = [\"billing\", \"refund\", \"login\", \"bug\", \"outage\", \"shipping\", \"cancellation\", \"feature-request\"]\n";
    task("ticket-topic", manifest, tokens(), vec![spec("logits", DataType::Fp32, &[Dim::Fixed(8)])])
}

/// A text in, a vector of 384 out.
pub(crate) fn sentence_embedder() -> Result<Task, Fault> {
    let manifest = "task = \"text-embedding\"\nmax_length = 128\n";
    let width = [Dim::Free(Some("sequence".into())), Dim::Fixed(384)];
    task("sentence-embedder", manifest, tokens(), vec![spec("last_hidden_state", DataType::Fp32, &width)])
}

fn tokens() -> Vec<TensorSpec> {
    let sequence = [Dim::Free(Some("sequence".into()))];
    ["input_ids", "attention_mask", "token_type_ids"]
        .map(|name| spec(name, DataType::Int64, &sequence))
        .into()
}

/// `values` numbers between 0 and 1, always the same, with all their digits.
pub(crate) fn numbers(values: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (state >> 32) as u32;
        f32::from_bits(0x3f80_0000 | bits >> 9) - 1.0
    };
    (0..values).map(next).collect()
}
