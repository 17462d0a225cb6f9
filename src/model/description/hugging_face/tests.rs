//! Files as exporters write them, and as they come broken.

use std::fs;

use super::*;
use crate::model::description::Sentence;
use crate::model::{ColorOrder, ImageInput, Manifest, Pooling, ResizeFilter, ResizeTo};

fn read_files(files: &[(&str, &str)]) -> Result<Description, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for (name, text) in files {
        fs::create_dir_all(base.join(name).parent().unwrap()).unwrap();
        fs::write(base.join(name), text).unwrap();
    }
    read(&Place { root: &base, base: &base, own: &base })
}

fn edge(edge: usize) -> NonZeroUsize {
    NonZeroUsize::new(edge).unwrap()
}

#[test]
fn a_classifier_has_labels_activation_and_a_longest_text() {
    let config = r#"{
        "architectures": ["BertForSequenceClassification"], "max_position_embeddings": 512,
        "id2label": {"0": "negative", "10": "k", "2": "c", "1": "positive", "3": "d", "4": "e", "5": "f", "6": "g",
                     "7": "h", "8": "i", "9": "j"}
    }"#;
    let tokenizer = r#"{"model_max_length": 256, "truncation_side": "left"}"#;
    let files = [("config.json", config), ("tokenizer_config.json", tokenizer), ("tokenizer.json", "{}")];
    let manifest = read_files(&files).unwrap().manifest;
    assert_eq!(manifest.task, Some(TaskKind::TextClassification));
    assert_eq!(manifest.labels.as_ref().unwrap()[..2], ["negative", "positive"]);
    assert_eq!(manifest.labels.as_ref().unwrap()[10], "k");
    assert_eq!(manifest.activation, None);
    assert_eq!(manifest.max_length, Some(edge(256)));
    assert_eq!(manifest.truncation_side, Some(Side::Left));
    assert_eq!(manifest.tokenizer.as_deref(), Some("tokenizer.json"));
}

#[test]
fn activations_are_those_of_the_pipeline() {
    let of = |members: &str| {
        let config = format!("{{\"architectures\": [\"XForSequenceClassification\"], {members}}}");
        read_files(&[("config.json", &config)]).unwrap().manifest.activation
    };
    assert_eq!(of("\"problem_type\": \"single_label_classification\""), None);
    assert_eq!(of("\"problem_type\": \"multi_label_classification\""), Some(Activation::Sigmoid));
    assert_eq!(of("\"problem_type\": \"regression\", \"id2label\": {\"0\": \"x\"}"), Some(Activation::None));
    assert_eq!(of("\"id2label\": {\"0\": \"LABEL_0\"}"), Some(Activation::Sigmoid));
    assert_eq!(of("\"function_to_apply\": \"none\""), Some(Activation::None));
}

#[test]
fn limits_that_mean_no_limit_do_not_count_and_other_models_have_no_task() {
    let config = r#"{"architectures": ["BertModel"], "max_position_embeddings": 128}"#;
    let tokenizer = r#"{"model_max_length": 1000000000000000019884624838656}"#;
    let described = read_files(&[("config.json", config), ("tokenizer_config.json", tokenizer)]).unwrap();
    assert_eq!(described.manifest.max_length, Some(edge(128)));
    assert_eq!(described.manifest.task, None);
    assert!(described.notes[0].contains("BertModel"), "{:?}", described.notes);
    let described = read_files(&[("config.json", "{}"), ("tokenizer_config.json", tokenizer)]).unwrap();
    assert_eq!(described.manifest.max_length, None);
}

#[test]
fn labels_that_stand_twice_are_told_apart() {
    let config = r#"{"architectures": ["ResNetForImageClassification"],
                     "id2label": {"0": "crane", "1": "maillot", "2": "crane"}}"#;
    let manifest = read_files(&[("config.json", config)]).unwrap().manifest;
    assert_eq!(manifest.labels.unwrap(), ["crane", "maillot", "crane (2)"]);
}

#[test]
fn every_broken_file_is_told() {
    let class = r#"{"architectures": ["BertForSequenceClassification"], "id2label": {"1": "a"}}"#;
    let cases = [
        (vec![("config.json", "{")], "config.json: "),
        (vec![("config.json", "\"x\"")], "config.json: "),
        (vec![("config.json", class)], "id2label: expected the 1 numbers 0 to 0"),
        (vec![("config.json", "{}"), ("modules.json", "{}")], "modules.json: "),
        (
            vec![("config.json", "{}"), ("modules.json", r#"[{"path": "x", "type": "m.Pooling"}]"#)],
            "x/config.json: no such file",
        ),
    ];
    for (files, expected) in cases {
        let problems = read_files(&files).unwrap_err();
        assert!(problems[0].contains(expected), "{problems:?}");
    }
    assert_eq!(read_files(&[("config.json", "{"), ("tokenizer_config.json", "x")]).unwrap_err().len(), 2);
}

fn sentence_files(pooling: &str) -> Result<Description, Vec<String>> {
    let modules = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
                      {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                      {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
                      {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]"#;
    let prompts =
        r#"{"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}"#;
    read_files(&[
        ("config.json", r#"{"architectures": ["BertModel"], "max_position_embeddings": 512}"#),
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", r#"{"max_seq_length": 128, "do_lower_case": true}"#),
        ("config_sentence_transformers.json", prompts),
    ])
}

#[test]
fn sentence_transformers_say_what_follows_the_encoder() {
    let described = sentence_files(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#);
    let described = described.unwrap();
    let manifest = &described.manifest;
    assert_eq!(manifest.task, Some(TaskKind::TextEmbedding));
    assert_eq!(manifest.max_length, Some(edge(128)));
    assert_eq!((manifest.lowercase, manifest.prompt.as_deref()), (Some(true), Some("query: ")));
    let layers = vec!["Dense".to_owned()];
    assert_eq!(described.sentence, Some(Sentence { pooling: Some(Pooling::Cls), normalize: true, layers }));
    let of = |text: &str| sentence_files(text).unwrap().sentence.unwrap().pooling;
    assert_eq!(of("{}"), Some(Pooling::Mean));
    assert_eq!(of(r#"{"pooling_mode": "lasttoken"}"#), Some(Pooling::LastToken));
    assert_eq!(of(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#), None);
    assert!(sentence_files(r#"{"pooling_mode": "x"}"#).unwrap_err()[0].contains("unknown"));
    assert!(sentence_files(r#"{"include_prompt": false}"#).unwrap_err()[0].contains("include_prompt"));
}

fn image(processor: &str) -> Result<ImageInput, Vec<String>> {
    let config = r#"{"architectures": ["ViTForImageClassification"], "id2label": {"0": "a", "1": "b"}}"#;
    let described = read_files(&[("config.json", config), ("preprocessor_config.json", processor)])?;
    Ok(described.manifest.image.unwrap_or_default())
}

#[test]
fn image_processors_become_the_steps_of_a_manifest() {
    let vit = r#"{"do_resize": true, "size": {"height": 32, "width": 48}, "resample": 3, "do_rescale": true,
                  "rescale_factor": 0.00392156862745098, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5],
                  "image_std": [0.25, 0.25, 0.25], "do_center_crop": null, "do_convert_rgb": true}"#;
    let input = image(vit).unwrap();
    assert_eq!(input.size, Some([edge(32), edge(48)]));
    assert_eq!((input.resize, input.resize_to), (Some(ResizeFilter::Bicubic), None));
    assert_eq!((input.mean.unwrap()[2], input.std.unwrap()[0]), (0.5, 0.25));
    let clip = r#"{"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224},
                   "do_center_crop": true, "do_normalize": false, "do_rescale": false}"#;
    let input = image(clip).unwrap();
    assert_eq!(input.size, Some([edge(224), edge(224)]));
    assert_eq!(input.resize_to, Some(ResizeTo::ShorterEdge(edge(256))));
    assert_eq!((input.mean, input.scale), (None, Some(1.0)));
    let convnext = r#"{"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}}"#;
    let input = image(convnext).unwrap();
    assert_eq!(input.size, Some([edge(224), edge(224)]));
    assert_eq!(input.resize_to, Some(ResizeTo::ShorterEdge(edge(256))));
    let efficient = r#"{"size": 240, "do_center_crop": true, "crop_size": 224, "rescale_offset": true,
                        "rescale_factor": 0.00784313725490196, "do_normalize": false}"#;
    let input = image(efficient).unwrap();
    assert_eq!(input.resize_to, Some(ResizeTo::Size([edge(240), edge(240)])));
    assert_eq!(input.mean, Some(vec![1.0]));
}

#[test]
fn steps_that_are_not_known_end_the_load() {
    assert!(
        image(r#"{"do_resize": true, "do_reduce_labels": true}"#).unwrap_err()[0]
            .contains("do_reduce_labels")
    );
    assert!(image(r#"{"resample": 9}"#).unwrap_err()[0].contains("resample"));
    assert!(image(r#"{"size": {"longest_edge": 5}}"#).is_err());
    assert_eq!(image("{\"do_resize\": false}").unwrap().resize, Some(ResizeFilter::None));
}

#[test]
fn positions_behind_the_padding_are_fewer() {
    let limit = |config: &str| read_files(&[("config.json", config)]).unwrap().manifest.max_length;
    let bert = r#"{"model_type": "bert", "max_position_embeddings": 66, "pad_token_id": 1}"#;
    assert_eq!(limit(bert), Some(edge(66)));
    let roberta = r#"{"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}"#;
    assert_eq!(limit(roberta), Some(edge(64)));
    assert_eq!(limit(r#"{"model_type": "xlm-roberta", "max_position_embeddings": 514}"#), Some(edge(512)));
}

/// The settings that Python's own processors were found to have (`tests/fixtures/images`).
#[test]
fn image_processors_mean_what_transformers_does_with_them() {
    #[derive(serde::Deserialize)]
    struct References {
        tensors: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        processor: serde_json::Value,
        image: toml::Table,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images/references.json");
    let all: References = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let config = r#"{"architectures": ["ViTForImageClassification"]}"#;
    let close = |one: &Option<Vec<f64>>, other: &Option<Vec<f64>>, usual: f64| {
        let each = |list: &Option<Vec<f64>>| {
            let list = list.clone().unwrap_or_else(|| vec![usual]);
            if list.len() == 1 { vec![list[0]; 3] } else { list }
        };
        each(one).iter().zip(each(other)).all(|(one, other)| (one - other).abs() < 1e-6)
    };
    for case in all.tensors {
        let processor = case.processor.to_string();
        let read = read_files(&[("config.json", config), ("preprocessor_config.json", &processor)]);
        let ours =
            read.unwrap_or_else(|problems| panic!("{processor}: {problems:?}")).manifest.image.unwrap();
        let mut manifest = toml::Table::new();
        manifest.insert("image".into(), case.image.into());
        let theirs = Manifest::parse(&manifest.to_string(), "m").unwrap().image.unwrap();
        // Without a resize the graph's own size counts.
        let size = ours.size.or(theirs.size.filter(|_| ours.resize == Some(ResizeFilter::None)));
        assert_eq!(
            (size, ours.resize, ours.resize_to),
            (theirs.size, theirs.resize, theirs.resize_to),
            "{processor}"
        );
        let usual = Some(ColorOrder::Rgb);
        assert_eq!(ours.color.or(usual), theirs.color.or(usual), "{processor}");
        assert!((ours.scale.unwrap() - theirs.scale.unwrap()).abs() < 1e-9, "{processor}");
        assert!(close(&ours.mean, &theirs.mean, 0.0), "{processor}: {:?} {:?}", ours.mean, theirs.mean);
        assert!(close(&ours.std, &theirs.std, 1.0), "{processor}: {:?} {:?}", ours.std, theirs.std);
    }
}
