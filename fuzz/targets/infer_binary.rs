//! Open Inference Protocol: a request with raw tensors behind its JSON, or one raw tensor. The first two
//! bytes are the length of the JSON, little-endian, as the header would tell it; 0 = the raw form.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ml_inference_api_fuzz::inference;
use ml_inference_api_fuzz::models::{self, Inference};

static MODELS: LazyLock<Vec<Inference>> = LazyLock::new(models::inferences);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |input: &[u8]| {
    let Some((length, body)) = input.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    inference::run(&MODELS, &Bytes::copy_from_slice(body), Some(length));
});
