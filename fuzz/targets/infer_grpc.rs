//! Open Inference Protocol by gRPC: a `ModelInferRequest` as it stands behind its prefix.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ml_inference_api_fuzz::inference;
use ml_inference_api_fuzz::models::{self, Inference};

static MODELS: LazyLock<Vec<Inference>> = LazyLock::new(models::inferences);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |input: &[u8]| {
    inference::run_message(&MODELS, &Bytes::copy_from_slice(input));
});
