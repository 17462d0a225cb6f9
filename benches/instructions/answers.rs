//! From outputs to a body: read as predictions, then written as JSON.

use ml_inference_api::task::{DecodeLimits, Task};
use ml_inference_api::tensor::Tensor;

use super::{Bench, Fault, count, models, requests};

pub(crate) const BENCHES: [Bench; 4] = [
    ("answer/fraud-detector", || tabular(1)),
    ("answer/fraud-detector-32", || tabular(32)),
    ("answer/ticket-topic", || {
        let outputs = [Tensor::new(vec![1, 8], models::numbers(8))?];
        answer(&models::ticket_topic()?, br#"{"text": "a"}"#, &outputs)
    }),
    ("answer/sentence-embedder", || {
        // Start, one word, end.
        let outputs = [Tensor::new(vec![1, 3, 384], models::numbers(3 * 384))?];
        answer(&models::sentence_embedder()?, br#"{"text": "a"}"#, &outputs)
    }),
];

fn tabular(instances: usize) -> Result<(), Fault> {
    let task = models::fraud_detector()?;
    let instance = format!("[{}]", vec!["1"; 30].join(","));
    let body = if instances == 1 {
        instance
    } else {
        format!("{{\"instances\": [{}]}}", vec![instance; instances].join(","))
    };
    let scores: Vec<f32> =
        models::numbers(instances).into_iter().flat_map(|score| [1.0 - score, score]).collect();
    let labels = Tensor::new(vec![instances], vec![0_i64; instances])?;
    answer(&task, body.as_bytes(), &[labels, Tensor::new(vec![instances, 2], scores)?])
}

/// What `POST /predict` answers, but for the name of the model.
fn answer(task: &Task, body: &[u8], outputs: &[Tensor]) -> Result<(), Fault> {
    let decoded = requests::decoded(task, body, &DecodeLimits::default())?;
    let rows = task.encode(decoded).map_err(|error| format!("{error:?}"))?;
    let write = || -> Result<Vec<u8>, Fault> {
        let predictions = task.predictions(outputs, &rows.reply)?;
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, &predictions)?;
        Ok(body)
    };
    count(|| Ok(()), |()| write())
}
