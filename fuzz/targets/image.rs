//! `/predict` with `image/png` and `image/jpeg`: pictures.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_inference_api_fuzz::models::{self, Prediction};
use ml_inference_api_fuzz::prediction;

static MODELS: LazyLock<Vec<Prediction>> = LazyLock::new(models::pictures);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| prediction::picture(&MODELS, body));
