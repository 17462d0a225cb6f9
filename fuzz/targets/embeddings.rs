//! `/v1/embeddings`: texts and token ids as OpenAI's clients send them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_inference_api::http::decode_embeddings;
use ml_inference_api_fuzz::models::{self, Prediction};
use ml_inference_api_fuzz::{LIMITS, prediction};

static MODELS: LazyLock<Vec<Prediction>> = LazyLock::new(models::predictions);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| {
    prediction::run(&MODELS, body, false, |body, model| decode_embeddings(body, &model.task, &LIMITS));
});
