//! `:predict` and `/invocations`: the forms of KServe v1, TensorFlow Serving and MLflow.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_inference_api::http::decode_form;
use ml_inference_api::task::Dialect;
use ml_inference_api_fuzz::models::{self, Prediction};
use ml_inference_api_fuzz::{LIMITS, prediction};

static MODELS: LazyLock<Vec<Prediction>> = LazyLock::new(models::predictions);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| {
    let tells_names = prediction::names_hold_the_mark(body);
    for dialect in [Dialect::KServe, Dialect::Mlflow] {
        let decode = |body: &[u8], model: &Prediction| decode_form(body, dialect, &model.task, &LIMITS);
        prediction::run(&MODELS, body, tells_names, decode);
    }
});
