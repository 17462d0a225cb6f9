//! From a body to rows: the JSON decoded, then features laid out, a picture unpacked, a text tokenised.

use ml_inference_api::http::decode_prediction;
use ml_inference_api::task::{DecodeLimits, Decoded, Task};

use super::{Bench, Fault, count, models};

pub(crate) const BENCHES: [Bench; 8] = [
    ("decode/fraud-detector", || decode(&models::fraud_detector()?, &body(&models::fraud_detector()?, 1)?)),
    ("decode/fraud-detector-32", || {
        decode(&models::fraud_detector()?, &body(&models::fraud_detector()?, 32)?)
    }),
    ("decode/digits", || decode(&models::digits()?, &picture())),
    ("decode/ticket-topic", || decode(&models::ticket_topic()?, SENTENCE)),
    ("rows/fraud-detector", || rows(&models::fraud_detector()?, &body(&models::fraud_detector()?, 1)?)),
    ("rows/digits-64x64", || rows(&models::digits()?, &picture())),
    ("rows/ticket-topic", || rows(&models::ticket_topic()?, SENTENCE)),
    ("rows/ticket-topic-8", || rows(&models::ticket_topic()?, SENTENCES)),
];

const SENTENCE: &[u8] = br#"{"text": "The invoice for May lists a seat that we gave up in February."}"#;
const SENTENCES: &[u8] = br#"{"instances": [
    "The invoice for May lists a seat that we gave up in February.",
    "Please send the money for the returned kettle to my new account.",
    "The code for signing in never reaches my phone.",
    "Whenever I sort the table by price, the app shuts down.",
    "Nothing of yours answers any more, for none of our offices.",
    "My parcel has been lying in the same depot for a week.",
    "I'd like to end my contract at the next possible date.",
    "It would be lovely if the map could be printed."]}"#;

/// The model's own example, alone or as a list.
fn body(task: &Task, instances: usize) -> Result<Vec<u8>, Fault> {
    let example = serde_json::to_string(&task.example())?;
    if instances == 1 {
        return Ok(example.into_bytes());
    }
    Ok(format!("{{\"instances\": [{}]}}", vec![example; instances].join(",")).into_bytes())
}

/// The second golden sample of the model: a PNG of 64 x 64 grey pixels.
fn picture() -> Vec<u8> {
    let manifest = include_str!("../../models/digits/model.toml");
    let samples = manifest.split("input = { b64 = \"").skip(1);
    let encoded = samples.filter_map(|rest| rest.split('"').next()).max_by_key(|encoded| encoded.len());
    format!("{{\"b64\": \"{}\"}}", encoded.unwrap_or_default()).into_bytes()
}

fn decode(task: &Task, body: &[u8]) -> Result<(), Fault> {
    let limits = DecodeLimits::default();
    count(|| Ok(()), |()| decoded(task, body, &limits))
}

fn rows(task: &Task, body: &[u8]) -> Result<(), Fault> {
    let limits = DecodeLimits::default();
    count(
        || decoded(task, body, &limits),
        |decoded| task.encode(decoded).map_err(|error| format!("{error:?}").into()),
    )
}

pub(crate) fn decoded(task: &Task, body: &[u8], limits: &DecodeLimits) -> Result<Decoded, Fault> {
    decode_prediction(body, task, limits).map_err(|error| error.detail.into())
}
