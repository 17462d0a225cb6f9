//! Models of every layout that are wrong: each gets a message from which a stranger can mend it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::command::run;
use crate::harness::models::copy_folder;
use crate::harness::settings;

/// Copies of exports, to be damaged.
struct Bench {
    folder: TempDir,
    expected: Vec<(&'static str, &'static [&'static str])>,
}

impl Bench {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), expected: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies `export`, damages it, and expects a message with these words.
    fn damage(
        mut self,
        name: &'static str,
        export: &str,
        damage: impl FnOnce(&Path),
        words: &'static [&'static str],
    ) -> Self {
        copy_folder(&settings::package("tests/fixtures/exports").join(export), &self.path(name));
        damage(&self.path(name));
        self.expected.push((name, words));
        self
    }
}

fn without(file: &'static str) -> impl FnOnce(&Path) {
    move |folder| fs::remove_file(folder.join(file)).unwrap()
}

fn with(file: &'static str, text: &'static str) -> impl FnOnce(&Path) {
    move |folder| fs::write(folder.join(file), text).unwrap()
}

/// Replaces what stands in a file, which must be there.
fn changed(file: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |folder| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
    }
}

fn added(file: &'static str, text: &'static str) -> impl FnOnce(&Path) {
    move |folder| {
        let all = fs::read_to_string(folder.join(file)).unwrap() + text;
        fs::write(folder.join(file), all).unwrap();
    }
}

fn hugging_face(bench: Bench) -> Bench {
    const BERT: &str = "hf-bert/model";
    bench
        .damage(
            "no-tokenizer",
            BERT,
            without("tokenizer.json"),
            &["tokenizer.json: no such file", "save_pretrained"],
        )
        .damage("broken-config", BERT, with("config.json", "{"), &["config.json: EOF", "line 1"])
        .damage("broken-tokenizer", BERT, with("tokenizer.json", "{}"), &["tokenizer: tokenizer.json"])
        .damage(
            "label-gap",
            BERT,
            changed("config.json", "\"0\":", "\"7\":"),
            &["id2label: expected the 3 numbers 0 to 2"],
        )
        .damage(
            "more-labels",
            BERT,
            changed("config.json", "\"0\":", "\"3\": \"other\", \"0\":"),
            &["labels: expected 3, as output logits has columns, got 4"],
        )
        .damage(
            "two-graphs",
            BERT,
            |folder| {
                fs::copy(folder.join("model.onnx"), folder.join("a.onnx")).unwrap();
                fs::rename(folder.join("model.onnx"), folder.join("b.onnx")).unwrap();
            },
            &["several graphs", "a.onnx, b.onnx", "graph = \"a.onnx\""],
        )
        .damage(
            "no-processor",
            "hf-vit/model",
            without("preprocessor_config.json"),
            &["image.size", "preprocessor_config.json"],
        )
        .damage(
            "no-pooling",
            "hf-sentence-mean/model",
            without("1_Pooling/config.json"),
            &["1_Pooling/config.json: no such file", "modules.json"],
        )
}

fn mlflow(bench: Bench) -> Bench {
    const FOREST: &str = "mlflow-forest/model";
    bench
        .damage(
            "other-flavor",
            FOREST,
            changed("MLmodel", "  onnx:", "  sklearn:"),
            &["flavor onnx", "mlflow.onnx.save_model"],
        )
        .damage(
            "broken-mlmodel",
            FOREST,
            with("MLmodel", "{["),
            &["MLmodel: expected a YAML description", "line 1"],
        )
        .damage("no-mlflow-graph", FOREST, without("model.onnx"), &["model.onnx: no such file"])
}

fn triton(bench: Bench) -> Bench {
    const BATCHED: &str = "triton-batched/classifier";
    const CONFIG: &str = "config.pbtxt";
    bench
        .damage(
            "python-backend",
            BATCHED,
            changed(CONFIG, "\"onnxruntime\"", "\"python\""),
            &["backend: \"python\"", "only ONNX"],
        )
        .damage(
            "ensemble",
            BATCHED,
            changed(CONFIG, "backend: \"onnxruntime\"", "platform: \"ensemble\""),
            &["platform: \"ensemble\"", "only ONNX"],
        )
        .damage(
            "sequences",
            BATCHED,
            added(CONFIG, "\nsequence_batching { }\n"),
            &["sequence_batching", "state"],
        )
        .damage(
            "other-dims",
            BATCHED,
            changed(CONFIG, "[ 3, 8, 8 ]", "[ 77 ]"),
            &["declared dims [77]", "[batch,3,8,8]"],
        )
        .damage(
            "other-name",
            BATCHED,
            changed(CONFIG, "name: \"input\"", "name: \"nope\""),
            &["input \"nope\"", "only input"],
        )
        .damage(
            "other-type",
            BATCHED,
            changed(CONFIG, "TYPE_FP32", "TYPE_INT8"),
            &["declared INT8, the graph has FP32"],
        )
        .damage(
            "open-brace",
            BATCHED,
            added(CONFIG, "\noutput [ {"),
            &["config.pbtxt: line", "closing brace"],
        )
        .damage("no-labels", BATCHED, |folder| fs::remove_file(labels(folder)).unwrap(), &["labels.txt"])
        .damage(
            "no-version",
            BATCHED,
            |folder| fs::remove_dir_all(folder.join("1")).unwrap(),
            &["VERSION/model.onnx"],
        )
}

/// Triton finds label files beside its configuration.
fn labels(folder: &Path) -> PathBuf {
    folder.join("labels.txt")
}

#[test]
fn a_bad_model_of_each_kind_is_told_how_to_mend_it() {
    let bench = triton(mlflow(hugging_face(Bench::new())));
    let bench = bench.damage(
        "graph-cut-off",
        "sklearn-forest",
        |folder| {
            let graph = fs::read(folder.join("sklearn-forest.onnx")).unwrap();
            fs::remove_file(folder.join("cases.json")).unwrap();
            fs::remove_file(folder.join("sklearn-forest.onnx")).unwrap();
            fs::write(folder.join("model.onnx"), &graph[..graph.len() / 2]).unwrap();
        },
        &["model.onnx is not an ONNX graph", "truncated"],
    );
    let said = run(["check".as_ref(), bench.folder.path().as_os_str()]).finish().exits(1).all();
    let line = |name: &str| {
        let is_of = |line: &&str| {
            line.starts_with("BAD")
                && line.split_whitespace().nth(1).is_some_and(|word| word.trim_end_matches(':') == name)
        };
        said.lines().filter(is_of).collect::<Vec<_>>().join("\n")
    };
    let unclear: Vec<String> = bench
        .expected
        .iter()
        .flat_map(|(name, words)| {
            let line = line(name);
            words
                .iter()
                .filter(|word| !line.contains(**word))
                .map(|word| format!("{name}: no {word:?} in {line:?}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(unclear.is_empty(), "{}\n\nin\n{said}", unclear.join("\n"));
    let root = bench.folder.path().to_str().unwrap();
    assert!(!said.contains(root), "an absolute path stands in\n{said}");
}

#[test]
fn a_model_of_another_format_is_told_what_converts_it() {
    let folder = TempDir::new().unwrap();
    for (name, file, converter) in [
        ("transformers", "model.safetensors", "optimum-cli export onnx"),
        ("pickled", "model.pkl", "skl2onnx.to_onnx"),
        ("torch", "model.pt", "torch.onnx.export"),
        ("boosted", "model.ubj", "onnxmltools.convert_xgboost"),
    ] {
        let model = folder.path().join(name);
        fs::create_dir(&model).unwrap();
        fs::write(model.join(file), "x").unwrap();
        let said = run(["check".as_ref(), model.as_os_str()]).finish().exits(1).all();
        assert!(said.contains(file) && said.contains(converter), "{said}");
    }
    let good = settings::package("models/fraud-detector");
    let repository =
        run(["check".as_ref(), folder.path().as_os_str(), good.as_os_str()]).finish().exits(1).all();
    assert!(repository.contains("optimum-cli export onnx"), "{repository}");
}

#[test]
fn what_lies_in_a_model_folder_and_is_used_is_named_and_the_rest_does_no_harm() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("served");
    copy_folder(&settings::package("tests/fixtures/exports/hf-bert/model"), &model);
    fs::write(model.join("model.safetensors"), "x").unwrap();
    fs::write(model.join("README.md"), "x").unwrap();
    fs::create_dir(model.join(".git")).unwrap();
    let said = run(["check".as_ref(), folder.path().as_os_str()]).finish().exits(0).stdout;
    for word in ["good  served version 1: text-classification", "config.json: BertForSequenceClassification"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
}
