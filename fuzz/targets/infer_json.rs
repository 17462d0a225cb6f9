//! Open Inference Protocol: a request in JSON.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ml_inference_api_fuzz::inference;
use ml_inference_api_fuzz::models::{self, Inference};

static MODELS: LazyLock<Vec<Inference>> = LazyLock::new(models::inferences);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| {
    inference::run(&MODELS, &Bytes::copy_from_slice(body), None);
});
