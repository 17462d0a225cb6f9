//! A whole measurement, in process, with the real runtime.

use super::arguments::tests::parse;
use super::measure;

#[test]
fn a_hundred_requests_in_process_are_a_hundred_good_answers() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/add-one.onnx");
    let line = format!("{model} --requests 100 --connections 1,4 --warmup 1ms --duration 60s");
    let report = measure(&parse(&line)).unwrap();
    assert!(report.is_good());
    for run in &report.runs {
        assert_eq!((run.requests, run.ok, run.errors.len()), (100, 100, 0), "{run:?}");
        assert!(run.served_to_bare.is_some_and(|ratio| ratio > 0.0));
    }
    assert!(report.bare.iter().all(|bare| bare.runs == 100 && bare.errors.is_empty()));
}
