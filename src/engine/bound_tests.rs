//! Bound runs, with the host in the place of a device: the same calls of the runtime, in the same order. What only
//! a device does (the copies, the capture itself) `make gpu-check` shows.

use std::sync::Arc;

use super::bound::{Capture, Capturing, Place};
use super::core::Shared;
use super::tests::{fixture, load_with, one_session, runtime};
use super::{LoadedGraph, Run, RunError, Session, made_inputs};
use crate::tensor::{Data, Tensor};

/// A session of the fixture that is bound, and the fixture loaded as ever.
fn pair(name: &str, capture: Capture) -> (Session, LoadedGraph) {
    let plain = load_with(name, &one_session()).unwrap();
    let builder = ort::session::Session::builder(runtime().environment()).unwrap();
    let session = builder.with_intra_threads(1).unwrap().commit_from_file(fixture(name)).unwrap();
    let optional = plain.signature.optional.iter().map(|spec| Arc::clone(&spec.name)).collect();
    let shared = Shared { class_labels: plain.class_labels.as_slice().into(), optional };
    let mut session = Session::new((session, None), &shared, Some((Place::Host, capture))).unwrap();
    session.capture_new_shapes(Capturing::On);
    (session, plain)
}

/// Made inputs of `rows` rows, with other numbers for every `salt`.
fn inputs(graph: &LoadedGraph, rows: usize, salt: u8) -> Vec<Tensor> {
    let salted = |tensor: Tensor| match tensor.data() {
        Data::Fp32(values) => {
            let values = values.iter().zip(0_u8..).map(|(value, i)| value + f32::from(salt ^ (i % 7)));
            Tensor::new(tensor.shape().to_vec(), values.collect::<Vec<f32>>()).unwrap()
        }
        _ => tensor,
    };
    made_inputs(&graph.signature, rows).unwrap().into_iter().map(salted).collect()
}

const FIXTURES: [&str; 8] =
    ["add-one", "columns", "encoder", "passthrough", "regressor", "strings", "two-inputs", "zipmap"];

#[test]
fn a_bound_session_says_what_a_plain_one_says_and_keeps_what_it_said() {
    for capture in [Capture::Off, Capture::Shapes] {
        for name in FIXTURES {
            let (mut bound, mut plain) = pair(name, capture);
            let mut said = Vec::new();
            // Every shape comes again, with other numbers: the second time it is a replay.
            for (rows, salt) in [(1, 0), (4, 1), (1, 2), (4, 3), (2, 4), (1, 5)] {
                let given = inputs(&plain, rows, salt);
                let expected = plain.sessions[0].run(&given).unwrap();
                let outputs = bound.run(&given).unwrap();
                assert_eq!(outputs, expected, "{name} {capture:?}, {rows} rows");
                said.push((outputs, expected));
            }
            for (outputs, expected) in said {
                assert_eq!(outputs, expected, "{name} {capture:?}: a later run changed an answer");
            }
        }
    }
}

#[test]
fn large_outputs_stay_as_they_are_while_later_runs_go_on() {
    for capture in [Capture::Off, Capture::Shapes] {
        let (mut bound, plain) = pair("add-one", capture);
        let rows = 64 << 10;
        let answers: Vec<_> =
            (0..4).map(|salt| (salt, bound.run(&inputs(&plain, rows, salt)).unwrap())).collect();
        for (salt, outputs) in answers {
            let given = inputs(&plain, rows, salt);
            let (Data::Fp32(found), Data::Fp32(given)) = (outputs[0].data(), given[0].data()) else {
                panic!("not FP32")
            };
            let is_next = |(found, given): (&f32, &f32)| (found - given - 1.0).abs() < 1e-6;
            assert!(found.iter().zip(given.iter()).all(is_next), "{capture:?}, run {salt}");
        }
    }
}

#[test]
fn a_bound_session_refuses_what_a_plain_one_refuses_and_works_on() {
    for capture in [Capture::Off, Capture::Shapes] {
        let (mut bound, plain) = pair("two-inputs", capture);
        let good = inputs(&plain, 2, 0);
        let expected = bound.run(&good).unwrap();
        let wrong = vec![good[0].clone(), Tensor::new(vec![2, 9, 9], vec![0_i64; 162]).unwrap()];
        assert!(matches!(bound.run(&wrong), Err(RunError::InvalidInput(_))), "{:?}", bound.run(&wrong));
        assert!(matches!(bound.run(&good[..1]), Err(RunError::InvalidInput(_))));
        assert_eq!(bound.run(&good).unwrap(), expected);
    }
}

#[test]
fn every_node_is_told_with_its_provider() {
    for name in FIXTURES {
        let graph = load_with(name, &one_session()).unwrap();
        assert_eq!(graph.placement.keys().collect::<Vec<_>>(), ["cpu"], "{name}: {:?}", graph.placement);
        assert!(graph.placement["cpu"] > 0);
    }
}
