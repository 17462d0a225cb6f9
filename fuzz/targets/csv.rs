//! `/predict` with `text/csv`: tables.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ml_inference_api::task::HeaderRow;
use ml_inference_api_fuzz::checks::MARK;
use ml_inference_api_fuzz::models::{self, Prediction};
use ml_inference_api_fuzz::{LIMITS, prediction};

static MODELS: LazyLock<Vec<Prediction>> = LazyLock::new(models::tables);

fuzz_target!(init: { LazyLock::force(&MODELS); }, |body: &[u8]| {
    // A quoted name may hold line ends: where there are quotes, nobody can tell names cheaply.
    let header = body.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.is_empty());
    let tells_names = body.contains(&b'"') || header.is_some_and(|it| String::from_utf8_lossy(it).contains(MARK));
    for header in [HeaderRow::Present, HeaderRow::Absent, HeaderRow::Either] {
        let decode = |body: &[u8], model: &Prediction| Ok(model.task.decode_csv(body, header, &LIMITS)?);
        prediction::run(&MODELS, body, tells_names, decode);
    }
});
