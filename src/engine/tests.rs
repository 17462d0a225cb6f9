//! The room against the real runtime and the fixture models.
//!
//! The library is looked for where `make build` puts it, or at `ORT_DYLIB_PATH`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use half::{bf16, f16};

use super::*;
use crate::cores::Cores;
use crate::model::{Dim, Execution, GraphOptimization, Precision, ProviderKind, Tolerance};
use crate::tensor::{Data, DataType, Tensor};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models");

#[expect(clippy::disallowed_methods, reason = "tests stand where `config` stands in the program")]
pub(super) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

pub(crate) fn runtime() -> &'static Runtime {
    let executable = std::env::current_exe().unwrap();
    let beside = executable.parent().and_then(Path::parent).unwrap().join("libonnxruntime.so");
    let options = RuntimeOptions {
        dylib_path: Some(variable("ORT_DYLIB_PATH").unwrap_or(beside)),
        telemetry_disabled: variable("ORT_DISABLE_TELEMETRY").as_deref() == Some(Path::new("1")),
    };
    Runtime::load(&options).unwrap()
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(format!("{name}.onnx"))
}

pub(super) fn load_with(name: &str, execution: &Execution) -> Result<LoadedGraph, LoadError> {
    load_file(&fixture(name), execution)
}

fn load_file(graph: &Path, execution: &Execution) -> Result<LoadedGraph, LoadError> {
    let folder = graph.parent().unwrap();
    load(
        runtime(),
        &SessionOptions {
            graph,
            folder,
            execution,
            name: "test",
            engines: None,
            largest: LargestShape { rows: 32, tokens: None },
        },
    )
}

pub(super) fn one_session() -> Execution {
    Execution { instances: NonZeroUsize::new(1), ..Execution::default() }
}

fn loaded(name: &str) -> LoadedGraph {
    load_with(name, &one_session()).unwrap()
}

fn run(graph: &mut LoadedGraph, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    graph.sessions[0].run(inputs)
}

fn tensor<T>(shape: &[usize], elements: Vec<T>) -> Tensor
where
    Data: From<Vec<T>>,
{
    Tensor::new(shape.to_vec(), elements).unwrap()
}

fn refused(name: &str) -> String {
    let error = load_with(name, &one_session()).unwrap_err().to_string();
    assert!(!error.contains(FIXTURES) && !error.contains(".cc:"), "{error}");
    error
}

fn refused_bytes(bytes: &[u8]) -> LoadError {
    let folder = tempfile::tempdir().unwrap();
    let graph = folder.path().join("model.onnx");
    std::fs::write(&graph, bytes).unwrap();
    let error = load_file(&graph, &one_session()).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains(folder.path().to_str().unwrap()) && !text.contains(".cc:"), "{text}");
    error
}

fn batch_check(graph: &mut LoadedGraph) -> BatchCheck {
    let rows = different_rows(&graph.signature).unwrap();
    rows_are_independent(&mut graph.sessions[0], &rows, &Tolerance::default(), graph.provider).unwrap()
}

#[test]
fn the_runtime_is_loaded_once_and_knows_its_version() {
    let runtime = runtime();
    let minor: u32 = runtime.version().split('.').nth(1).unwrap().parse().unwrap();
    assert!(minor >= 24, "{}", runtime.version());
    assert!(runtime.path().is_absolute());
    assert!(runtime.available_providers().contains(&ProviderKind::Cpu));
    let elsewhere = RuntimeOptions { dylib_path: Some("/nowhere".into()), telemetry_disabled: true };
    assert!(std::ptr::eq(Runtime::load(&elsewhere).unwrap(), runtime));
    assert_eq!(Runtime::load(&RuntimeOptions::default()).unwrap_err(), RuntimeError::TelemetryEnabled);
}

/// The library that [`a_library_that_is_no_runtime_is_one_clear_error`] asks its child to load.
const CHILD_LIBRARY: &str = "ENGINE_TEST_LIBRARY";

/// Does nothing but in the child process of the test below: this process has loaded the runtime.
#[test]
fn child_loads_a_library() {
    let Some(library) = variable(CHILD_LIBRARY) else { return };
    let options = RuntimeOptions { dylib_path: Some(library), telemetry_disabled: true };
    assert_eq!(Runtime::load(&options).map(|_| ()).unwrap_err().to_string(), "told");
}

#[test]
fn a_library_that_is_no_runtime_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library, though its name says so").unwrap();
    let pretender = folder.path().join("pretender.so");
    let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    bytes.extend(b"OrtGetApiBase\0VERS_1.31.1\0");
    std::fs::write(&pretender, &bytes).unwrap();
    let half = folder.path().join("half.so");
    std::fs::write(&half, &bytes[..1 << 20]).unwrap();
    for (library, expected) in [
        (&text, "no ELF header"),
        (&pretender, "can't be used"),
        (&half, "cut short"),
        (&folder.path().join("none"), "was not found"),
    ] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::tests::child_loads_a_library"])
            .env(CHILD_LIBRARY, library)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(
            told.contains("1 failed") && told.contains(expected) && told.contains("make build"),
            "{told}"
        );
    }
}

#[test]
fn a_graph_runs_and_its_signature_keeps_names() {
    let mut graph = loaded("add-one");
    assert_eq!(graph.signature.inputs[0].shape_text(), "[batch,3]");
    assert_eq!(&*graph.signature.outputs[0].name, "y");
    assert!(graph.signature.batchable_by_shape());
    assert_eq!((graph.provider, graph.device.as_str()), (ProviderKind::Cpu, "cpu"));
    assert_eq!(graph.metadata.version.filter(|version| *version == i64::MAX), None);
    let x = tensor(&[2, 3], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let y = tensor(&[2, 3], vec![2.0_f32, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(run(&mut graph, &[x]).unwrap(), [y]);
}

#[test]
fn inputs_may_be_slices_of_a_shared_buffer_and_have_no_rows() {
    let mut graph = loaded("add-one");
    let whole = tensor(&[3, 3], (0_u8..9).map(f32::from).collect());
    let parts = crate::tensor::split(&whole, &[1, 2]).unwrap();
    let y = tensor(&[2, 3], vec![4.0_f32, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_eq!(run(&mut graph, &parts[1..]).unwrap(), [y]);
    let none = tensor(&[0, 3], Vec::<f32>::new());
    assert_eq!(run(&mut graph, std::slice::from_ref(&none)).unwrap(), [none]);
}

#[test]
fn every_data_type_comes_back_as_it_went_in() {
    let mut graph = loaded("dtypes");
    let inputs: Vec<Tensor> = graph
        .signature
        .inputs
        .iter()
        .map(|spec| {
            let shape = &[2, 2];
            match spec.data_type {
                DataType::Bool => tensor(shape, vec![true, false, false, true]),
                DataType::Uint8 => tensor(shape, vec![0, 1, 2, u8::MAX]),
                DataType::Uint16 => tensor(shape, vec![0, 1, 2, u16::MAX]),
                DataType::Uint32 => tensor(shape, vec![0, 1, 2, u32::MAX]),
                DataType::Uint64 => tensor(shape, vec![0, 1, 2, u64::MAX]),
                DataType::Int8 => tensor(shape, vec![0, -1, i8::MIN, i8::MAX]),
                DataType::Int16 => tensor(shape, vec![0, -1, i16::MIN, i16::MAX]),
                DataType::Int32 => tensor(shape, vec![0, -1, i32::MIN, i32::MAX]),
                DataType::Int64 => tensor(shape, vec![0, -1, i64::MIN, i64::MAX]),
                DataType::Fp16 => tensor(shape, vec![f16::ZERO, f16::ONE, f16::MIN, f16::INFINITY]),
                DataType::Bf16 => tensor(shape, vec![bf16::ZERO, bf16::ONE, bf16::MIN, bf16::INFINITY]),
                DataType::Fp32 => tensor(shape, vec![0.0, -0.5, f32::MIN, f32::MAX]),
                DataType::Fp64 => tensor(shape, vec![0.0, -0.5, f64::MIN, f64::MAX]),
                DataType::Bytes => panic!("strings have their own model"),
            }
        })
        .collect();
    let types: std::collections::HashSet<DataType> = inputs.iter().map(Tensor::data_type).collect();
    assert!(types.len() >= 12, "{types:?}");
    assert_eq!(run(&mut graph, &inputs).unwrap(), inputs);
    assert_eq!(batch_check(&mut graph), BatchCheck::Independent);
}

#[test]
fn strings_come_back_whole_and_without_rows_too() {
    let mut graph = loaded("strings");
    let texts = ["", "a", "Grüße 你好 🦀"].map(str::to_owned).to_vec();
    let given = tensor(&[3], texts);
    assert_eq!(run(&mut graph, std::slice::from_ref(&given)).unwrap(), [given]);
    let none = tensor(&[0], Vec::<String>::new());
    assert_eq!(run(&mut graph, std::slice::from_ref(&none)).unwrap(), [none]);
    let nul = tensor(&[1], vec!["a\0b".to_owned()]);
    assert!(matches!(run(&mut graph, &[nul]), Err(RunError::InvalidInput(_))));
}

#[test]
fn scalars_and_several_inputs_keep_their_places() {
    let mut graph = loaded("no-batch");
    assert!(!graph.signature.batchable_by_shape());
    let outputs = run(&mut graph, &[tensor(&[], vec![1.5_f32])]).unwrap();
    assert_eq!(outputs, [tensor(&[], vec![2.5_f32])]);
    let mut graph = loaded("two-inputs");
    let a = tensor(&[1, 2], vec![0.5_f32, 1.5]);
    let b = tensor(&[1, 2], vec![1_i64, 2]);
    let outputs = run(&mut graph, &[a, b.clone()]).unwrap();
    assert_eq!(outputs, [tensor(&[1, 2], vec![1.5_f32, 3.5]), b]);
}

#[test]
fn initializers_that_may_be_overridden_are_optional_inputs() {
    let mut graph = loaded("optional-input");
    let names = |specs: &[crate::model::TensorSpec]| -> Vec<String> {
        specs.iter().map(|spec| format!("{} {}{}", spec.name, spec.data_type, spec.shape_text())).collect()
    };
    assert_eq!(names(&graph.signature.inputs), ["x FP32[batch,2]"]);
    assert_eq!(names(&graph.signature.optional), ["scale FP32[]", "shift INT64[2]"]);
    assert!(graph.signature.batchable_by_shape());
    assert_eq!(batch_check(&mut graph), BatchCheck::Independent);
    let x = [tensor(&[1, 2], vec![1.0_f32, 2.0])];
    let mut given = |optional: &[(usize, Tensor)]| graph.sessions[0].run_with(&x, optional);
    let y = |values: [f32; 2]| Ok(vec![tensor(&[1, 2], values.to_vec())]);
    let scale = (0, tensor(&[], vec![3.0_f32]));
    let shift = (1, tensor(&[2], vec![10_i64, 20]));
    assert_eq!(given(&[]), y([2.0, 5.0]));
    assert_eq!(given(std::slice::from_ref(&scale)), y([3.0, 7.0]));
    assert_eq!(given(&[shift, scale.clone()]), y([13.0, 26.0]));
    // What one caller overrides, the next one does not see.
    assert_eq!(given(&[]), y([2.0, 5.0]));
    assert!(matches!(given(&[(2, scale.1)]), Err(RunError::InvalidInput(_))));
    assert!(loaded("add-one").signature.optional.is_empty());
}

#[test]
fn large_outputs_outlive_their_session_and_later_runs() {
    let mut graph = loaded("passthrough");
    let large = |start: u16| tensor(&[2, 5000], (0..10_000).map(|i| f32::from(start + i)).collect());
    let negative = |start: u16| tensor(&[2, 5000], (0..10_000).map(|i| -f32::from(start + i)).collect());
    let first = run(&mut graph, &[large(0)]).unwrap();
    assert!(super::kept_outputs() > 0);
    let second = run(&mut graph, &[large(7)]).unwrap();
    drop(graph);
    assert_eq!(first, [large(0), negative(0)]);
    assert_eq!(second, [large(7), negative(7)]);
}

#[test]
fn an_input_handed_through_is_shared_and_outlives_the_session() {
    let mut graph = loaded("passthrough");
    let x = tensor(&[1, 10_000], vec![1.5_f32; 10_000]);
    let outputs = run(&mut graph, std::slice::from_ref(&x)).unwrap();
    assert_eq!(outputs[0].data().to_raw().as_ptr(), x.data().to_raw().as_ptr());
    let expected = x.clone();
    drop((graph, x));
    assert_eq!(outputs[0], expected);
}

#[test]
fn not_a_number_passes_through() {
    let mut graph = loaded("nan");
    let outputs = run(&mut graph, &[tensor(&[2, 1], vec![-1.0_f32, 0.0])]).unwrap();
    assert!(outputs[0].data().float_at(0).unwrap().is_nan());
    assert_eq!(outputs[0].data().float_at(1), Some(f64::NEG_INFINITY));
}

#[test]
fn made_inputs_run_on_every_fixture_that_can_be_loaded() {
    for name in ["add-one", "fixed-sum", "two-inputs", "strings", "dtypes", "regressor", "columns", "gather"]
    {
        let mut graph = loaded(name);
        let inputs = made_inputs(&graph.signature, 1).unwrap();
        assert_eq!(graph.signature.check(&inputs), Ok(()), "{name}");
        run(&mut graph, &inputs).unwrap();
        if graph.signature.batchable_by_shape() {
            let inputs = made_inputs(&graph.signature, 5).unwrap();
            assert_eq!(run(&mut graph, &inputs).unwrap()[0].rows(), 5, "{name}");
            assert_eq!(batch_check(&mut graph), BatchCheck::Independent, "{name}");
        }
    }
}

#[test]
fn a_graph_that_mixes_rows_is_found_out() {
    let mut graph = loaded("mixes-rows");
    assert!(graph.signature.batchable_by_shape());
    assert!(matches!(batch_check(&mut graph), BatchCheck::Dependent { output: Some(0), .. }));
    let scalar = loaded("batch-scalar-output");
    assert!(!scalar.signature.batchable_by_shape());
}

#[test]
fn inputs_that_the_runtime_refuses_are_told_apart_and_harm_nothing() {
    let mut graph = loaded("gather");
    let ids = |ids: Vec<i64>| tensor(&[1, 2], ids);
    assert!(matches!(run(&mut graph, &[ids(vec![0, 9])]), Err(RunError::InvalidInput(_))));
    assert!(matches!(run(&mut graph, &[]), Err(RunError::InvalidInput(_))));
    let floats = tensor(&[1, 2], vec![0.0_f32, 1.0]);
    assert!(matches!(run(&mut graph, &[floats]), Err(RunError::InvalidInput(_))));
    assert!(matches!(run(&mut graph, &[tensor(&[2], vec![0_i64, 1])]), Err(RunError::InvalidInput(_))));
    assert_eq!(run(&mut graph, &[ids(vec![0, 3])]).unwrap()[0].shape(), [1, 2, 3]);
}

#[test]
fn a_long_run_is_interrupted_and_the_session_goes_on() {
    let mut session = loaded("slow").sessions.remove(0);
    let interrupt = session.interrupt();
    let inputs = |iterations: i64| [tensor(&[1, 1], vec![1.0_f32]), tensor(&[1, 1], vec![iterations])];
    let (sender, receiver) = channel();
    let long = inputs(1 << 50);
    let worker = std::thread::spawn(move || {
        sender.send(session.run(&long)).unwrap();
        session
    });
    assert_eq!(receiver.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
    let raised = Instant::now();
    interrupt.raise();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(Err(RunError::Interrupted)));
    assert!(raised.elapsed() < Duration::from_secs(5), "{:?}", raised.elapsed());
    let mut session = worker.join().unwrap();
    assert_eq!(session.run(&inputs(1)), Err(RunError::Interrupted));
    interrupt.clear();
    assert_eq!(session.run(&inputs(1)).unwrap()[0], tensor(&[1, 1], vec![1.0_f32]));
}

#[test]
fn instances_and_threads_are_as_asked() {
    let execution = Execution {
        instances: NonZeroUsize::new(3),
        intra_threads: NonZeroUsize::new(2),
        graph_optimization: Some(GraphOptimization::Disabled),
        ..Execution::default()
    };
    let mut graph = load_with("add-one", &execution).unwrap();
    assert_eq!((graph.sessions.len(), graph.intra_threads), (3, 2));
    let x = tensor(&[1, 3], vec![0.0_f32; 3]);
    for session in &mut graph.sessions {
        assert_eq!(session.run(std::slice::from_ref(&x)).unwrap(), [tensor(&[1, 3], vec![1.0_f32; 3])]);
    }
    assert_eq!(load_with("add-one", &Execution::default()).unwrap().sessions.len(), Cores::read().threads());
}

#[test]
fn a_provider_that_cannot_be_had_is_an_error_that_says_why() {
    if runtime().has_provider(ProviderKind::Cuda) {
        return;
    }
    let strict = Execution { providers: Some(vec![ProviderKind::Cuda]), ..one_session() };
    let error = load_with("add-one", &strict).unwrap_err().to_string();
    assert!(error.starts_with("provider cuda can't be had") && error.contains("onnxruntime-gpu"), "{error}");
    let strict =
        Execution { providers: Some(vec![ProviderKind::Cpu, ProviderKind::Openvino]), ..one_session() };
    let error = load_with("add-one", &strict).unwrap_err().to_string();
    assert!(error.contains("openvino") && error.contains("onnxruntime-openvino"), "{error}");
}

#[test]
fn a_fallback_is_taken_where_allowed_and_noted() {
    let mut wanted = Execution {
        providers: Some(vec![ProviderKind::Openvino]),
        precision: Some(Precision::Int8),
        allow_fallback: Some(true),
        ..one_session()
    };
    let graph = load_with("add-one", &wanted).unwrap();
    assert_eq!(graph.provider, ProviderKind::Cpu);
    assert_eq!(graph.providers_note.len(), 2, "{:?}", graph.providers_note);
    assert!(graph.providers_note[0].contains("provider openvino can't be had"));
    assert!(graph.providers_note[1].contains("provider cpu has no precision int8"));
    wanted.providers = Some(vec![ProviderKind::Cpu]);
    let graph = load_with("add-one", &wanted).unwrap();
    assert!(graph.providers_note[0].contains("no precision int8"));
    assert_eq!(graph.providers_note.len(), 1);
    wanted.allow_fallback = None;
    assert!(matches!(load_with("add-one", &wanted), Err(LoadError::Precision { .. })));
}

#[test]
fn what_cannot_be_served_is_refused_with_a_reason() {
    assert!(refused("sequence-output").contains("\"parts\" is a sequence"));
    assert!(refused("external-escape").contains("../outside.bin"));
    assert!(refused("none").contains("there is no such file"));
}

#[test]
fn broken_files_are_refused_in_clear_words() {
    let good = std::fs::read(fixture("add-one")).unwrap();
    assert!(refused_bytes(b"").to_string().contains("it is empty"));
    assert!(matches!(refused_bytes(b"<html>not a model</html>"), LoadError::Graph { .. }));
    assert!(matches!(refused_bytes(&good[..good.len() / 2]), LoadError::Graph { .. }));
    assert!(matches!(refused_bytes(&[0; 64]), LoadError::Graph { .. }));
    assert!(matches!(refused_bytes(&[0x08, 0x09]), LoadError::Graph { .. }));
    for at in (0..good.len()).step_by(3) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x55;
        let folder = tempfile::tempdir().unwrap();
        let graph = folder.path().join("model.onnx");
        std::fs::write(&graph, flipped).unwrap();
        // Many flips change a name or a weight only; none may crash or name the folder.
        if let Err(error) = load_file(&graph, &one_session()) {
            assert!(!error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
        }
    }
}

#[test]
fn external_data_is_found_wherever_a_tensor_can_be() {
    let read = graph_file::read(&fixture("external-escape")).unwrap();
    assert_eq!(read.locations.into_iter().collect::<Vec<_>>(), ["../outside.bin"]);
    let read = graph_file::read(&fixture("slow")).unwrap();
    assert!(read.locations.is_empty());
}

/// A field of a protobuf message, with what it holds.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    [&[number << 3 | 2, len], payload].concat()
}

#[test]
fn what_the_runtime_would_hand_on_unchecked_is_refused() {
    // A graph (7) with an initializer (5) of type BOOL (field 2) and raw data (field 9).
    let bool_tensor = |value| [vec![0x10, 9], field(9, &[0, value])].concat();
    let model = |value| field(7, &field(5, &bool_tensor(value)));
    assert!(refused_bytes(&model(7)).to_string().contains("neither 0 nor 1"));
    assert!(!refused_bytes(&model(1)).to_string().contains("neither"));
    // An input (11) called x, of a tensor type (2, 1) without a shape.
    let input = [field(1, b"x"), field(2, &field(1, &[0x08, 1]))].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, field(7, &field(11, &input))).unwrap();
    let names = graph_file::read(&path).unwrap().shapeless;
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["x"]);
    assert!(graph_file::read(&fixture("no-batch")).unwrap().shapeless.is_empty());
}

#[test]
fn class_labels_come_from_the_classifier() {
    let labels = graph_file::read(&fixture("zipmap")).unwrap().class_labels;
    assert_eq!(labels, ["3", "5", "9"]);
    assert_eq!(graph_file::read(&fixture("add-one")).unwrap().class_labels, Vec::<String>::new());
}

#[test]
fn a_zip_map_is_served_as_the_scores_it_was_made_of() {
    let mut graph = loaded("zipmap");
    let scores = graph.signature.output("output_probability").unwrap();
    assert_eq!((scores.0, scores.1.data_type, scores.1.shape_text().as_str()), (1, DataType::Fp32, "[?,3]"));
    assert!(graph.signature.batchable_by_shape());
    assert_eq!(batch_check(&mut graph), BatchCheck::Independent);
    for rows in [0, 1, 4] {
        let outputs = run(&mut graph, &[tensor(&[rows, 2], vec![0.5_f32; rows * 2])]).unwrap();
        assert_eq!(outputs[1].shape(), [rows, 3]);
        for row in 0..rows {
            let sum: f64 = (0..3).map(|class| outputs[1].data().float_at(row * 3 + class).unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }
}

#[test]
fn a_tensor_without_a_shape_is_of_any_rank() {
    let mut graph = loaded("any-rank");
    for spec in [&graph.signature.inputs[0], &graph.signature.outputs[0]] {
        assert_eq!(spec.dims, [Dim::AnyRank], "{}", spec.name);
    }
    assert_eq!(loaded("no-batch").signature.outputs[0].dims, []);
    for shape in [&[][..], &[0, 2], &[2, 1, 2]] {
        let count = shape.iter().product();
        let outputs = run(&mut graph, &[tensor(shape, vec![1.0_f32; count])]).unwrap();
        assert_eq!(outputs, [tensor(shape, vec![2.0_f32; count])]);
    }
    assert_eq!(made_inputs(&graph.signature, 1).unwrap()[0].shape(), [1]);
    assert!(made_inputs(&graph.signature, 2).is_none());
}

#[test]
fn dimensions_without_a_name_are_free() {
    let graph = loaded("fixed-sum");
    assert_eq!(graph.signature.inputs[0].dims, [Dim::Fixed(2), Dim::Fixed(3)]);
    assert!(made_inputs(&graph.signature, 1).is_some() && made_inputs(&graph.signature, 3).is_none());
}
