//! `/predict`: JSON for tables, tensors and texts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_inference_api::http::decode_prediction;
use ml_inference_api_fuzz::models::{self, Prediction};
use ml_inference_api_fuzz::{LIMITS, prediction};

static MODELS: LazyLock<Vec<Prediction>> = LazyLock::new(models::predictions);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| {
    let tells_names = prediction::names_hold_the_mark(body);
    prediction::run(&MODELS, body, tells_names, |body, model| decode_prediction(body, &model.task, &LIMITS));
});
