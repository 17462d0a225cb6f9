//! Configurations as Triton's users write them.

use std::fs;

use super::*;

fn read_text(text: &str, files: &[(&str, &str)]) -> Result<Description, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for (name, text) in files {
        fs::create_dir_all(base.join(name).parent().unwrap()).unwrap();
        fs::write(base.join(name), text).unwrap();
    }
    fs::write(base.join(FILE), text).unwrap();
    read(&Place { root: &base, base: &base, own: &base })
}

#[test]
fn what_triton_users_write_is_honoured_and_the_rest_is_named() {
    let text = r#"
        name: "resnet"
        platform: "onnxruntime_onnx"
        max_batch_size: 8
        default_model_filename: "net.onnx"
        input [ { name: "data" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] } ]
        output [ { name: "prob" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "labels.txt" } ]
        version_policy: { latest { num_versions: 2 } }
        instance_group [ { kind: KIND_CPU count: 2 }, { kind: KIND_CPU } ]
        dynamic_batching {
          preferred_batch_size: [ 4, 8 ]
          max_queue_delay_microseconds: 100
          priority_levels: 3 default_priority_level: 2
          default_queue_policy { default_timeout_microseconds: 5000 max_queue_size: 64 }
        }
        optimization { graph { level: 1 } }
        parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
        model_warmup [ {
          name: "zeros" batch_size: 4 count: 2
          inputs { key: "data" value: { data_type: TYPE_FP32 dims: [3, 224, 224] zero_data: true } }
        } ]
    "#;
    let described = read_text(text, &[("labels.txt", "cat\ndog\r\n")]).unwrap();
    let manifest = &described.manifest;
    assert_eq!(manifest.graph.as_deref(), Some("net.onnx"));
    assert_eq!(manifest.labels.as_deref(), Some(&["cat".to_owned(), "dog".to_owned()][..]));
    assert_eq!(manifest.outputs.scores.as_deref(), Some("prob"));
    assert_eq!(manifest.batching.max_batch_size.map(NonZeroUsize::get), Some(8));
    assert_eq!(manifest.batching.max_queue_delay, Some(Timespan(Duration::from_micros(100))));
    assert_eq!(manifest.execution.instances.map(NonZeroUsize::get), Some(3));
    assert_eq!(manifest.execution.providers.as_deref(), Some(&[ProviderKind::Cpu][..]));
    assert_eq!(manifest.queue.priority_levels.map(NonZeroU32::get), Some(3));
    assert_eq!(manifest.queue.default_priority.map(NonZeroU32::get), Some(2));
    assert_eq!(manifest.queue.max_size.map(NonZeroUsize::get), Some(64));
    assert_eq!(manifest.queue.timeout, Some(Timespan(Duration::from_millis(5))));
    let two = NonZeroUsize::new(2).unwrap();
    assert_eq!(manifest.versions, Some(VersionPolicy::Latest { latest: two }));
    let shape = vec![3, 224, 224];
    let inputs = vec![("data".to_owned(), DataType::Fp32, shape, Fill::Zero)];
    assert_eq!(described.warmup, [WarmupSample { name: "zeros".into(), rows: Some(4), count: 2, inputs }]);
    let ignored = described.notes.last().unwrap();
    assert_eq!(
        ignored,
        "ignored: dynamic_batching.preferred_batch_size, optimization, parameters of config.pbtxt"
    );
}

#[test]
fn gpus_become_a_provider_and_no_batch_size_means_no_batches() {
    let text = "instance_group [{ kind: KIND_GPU gpus: [1, 2] }, { kind: KIND_CPU }]";
    let described = read_text(text, &[]).unwrap();
    let execution = &described.manifest.execution;
    assert_eq!(execution.providers.as_deref(), Some(&[ProviderKind::Cuda][..]));
    assert_eq!(execution.devices.as_deref(), Some(&[1, 2][..]));
    assert_eq!(execution.instances.unwrap().get(), 1, "a GPU");
    assert_eq!(described.manifest.batching.enabled, Some(false));
    let groups =
        "instance_group [{ kind: KIND_GPU count: 2 gpus: [0] }, { kind: KIND_GPU count: 1 gpus: [1] }]";
    let described = read_text(groups, &[]).unwrap();
    let execution = &described.manifest.execution;
    assert_eq!(execution.devices.as_deref(), Some(&[0, 1][..]));
    assert_eq!(execution.instances.unwrap().get(), 2);
}

#[test]
fn what_cannot_be_served_is_a_problem_and_all_are_told() {
    let cases = [
        ("platform: \"tensorrt_plan\"", "runs no ONNX graph"),
        ("backend: \"python\"", "only ONNX models"),
        ("ensemble_scheduling { step [] }", "an ensemble"),
        ("sequence_batching { }", "state over a sequence"),
        ("max_batch_size: many", "max_batch_size: expected a whole number"),
        ("input [ { name: \"x\" data_type: TYPE_FLOAT } ]", "input x: data_type"),
        ("output [ { name: \"y\" label_filename: \"none.txt\" } ]", "none.txt: no such file"),
        ("output [ { name: \"y\" label_filename: \"../secret\" } ]", "secret"),
        (
            "model_warmup [ { name: \"w\" inputs { key: \"x\" value: { data_type: TYPE_FP32 } } } ]",
            "zero_data",
        ),
        ("input {", "line 1"),
    ];
    for (text, expected) in cases {
        let problems = read_text(text, &[]).unwrap_err();
        assert!(problems[0].starts_with("config.pbtxt: ") && problems[0].contains(expected), "{problems:?}");
    }
    assert_eq!(read_text("backend: \"python\" max_batch_size: x", &[]).unwrap_err().len(), 2);
}
