//! Every export of `tests/fixtures/exports`, served by one server with no configuration, against what
//! Python's own library predicts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::harness::command::run;
use crate::harness::{Connection, Request, Response, Server, settings};

struct Export {
    name: String,
    folder: PathBuf,
    said: Value,
}

impl Export {
    fn model(&self) -> PathBuf {
        self.folder.join(self.said["path"].as_str().unwrap())
    }

    fn argument(&self) -> String {
        format!("{}={}", self.name, self.model().display())
    }
}

fn exports() -> Vec<Export> {
    let folder = settings::package("tests/fixtures/exports");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    let read = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("cases.json")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        Export { name, said: serde_json::from_str(&text).unwrap(), folder }
    };
    folders.into_iter().map(read).collect()
}

fn ask(connection: &mut Connection, export: &Export, case: &Value) -> Response {
    let body = match (&case["body_file"], &case["body"]) {
        (Value::String(file), _) => fs::read(export.folder.join(file)).unwrap(),
        (_, Value::String(text)) => text.as_bytes().to_vec(),
        (_, body) => body.to_string().into_bytes(),
    };
    let content_type = case["content_type"].as_str().unwrap();
    let target = format!("/predict/{}", export.name);
    connection.call(&Request::new("POST", &target).header("content-type", content_type).body(body))
}

/// What of `expected` does not stand in `came`, numbers within `tolerance`, absolute or relative.
fn differences(came: &Value, expected: &Value, tolerance: f64, at: &str, found: &mut Vec<String>) {
    let differs = match (came, expected) {
        (Value::Object(came), Value::Object(expected)) => {
            for (key, expected) in expected {
                let at = format!("{at}/{key}");
                differences(came.get(key).unwrap_or(&Value::Null), expected, tolerance, &at, found);
            }
            false
        }
        (Value::Array(came), Value::Array(expected)) if came.len() == expected.len() => {
            for (index, (came, expected)) in came.iter().zip(expected).enumerate() {
                differences(came, expected, tolerance, &format!("{at}/{index}"), found);
            }
            false
        }
        (Value::Number(came), Value::Number(expected)) => {
            let (came, expected) = (came.as_f64().unwrap(), expected.as_f64().unwrap());
            let bound = tolerance * expected.abs().max(1.0);
            (came - expected).abs() > bound
        }
        (came, expected) => came != expected,
    };
    if differs {
        found.push(format!("{at}: {came} instead of {expected}"));
    }
}

fn all() -> Map<String, Value> {
    exports().into_iter().map(|export| (export.name, export.said)).collect()
}

#[test]
fn every_export_answers_as_python_does() {
    let exports = exports();
    let builder = exports.iter().fold(Server::builder(), |builder, export| builder.models(export.argument()));
    let server = builder.start();
    let mut connection = Connection::open(server.http);
    let mut wrong = Vec::new();
    for export in &exports {
        let said = &export.said;
        let task = connection.call(&Request::get(&format!("/predict/{}", export.name))).ok()["task"].clone();
        if task != said["task"] {
            wrong.push(format!("{}: served as {task} instead of {}", export.name, said["task"]));
        }
        let cases = said["cases"].as_array().unwrap();
        assert!(!cases.is_empty(), "{}", export.name);
        for (index, case) in cases.iter().enumerate() {
            let answer = ask(&mut connection, export, case);
            let status = case["status"].as_u64().unwrap_or(200);
            let tolerance = said["tolerance"].as_f64().unwrap();
            let mut found = Vec::new();
            if u64::from(answer.status) == status {
                differences(&answer.json(), &case["expected"], tolerance, "", &mut found);
            } else {
                found.push(format!("{} {}", answer.status, answer.text()));
            }
            wrong
                .extend(found.into_iter().take(3).map(|text| format!("{} case {index} {text}", export.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn check_says_what_was_recognised_of_every_export() {
    let exports = exports();
    let arguments = exports.iter().map(Export::argument);
    let said = run(std::iter::once("check".to_owned()).chain(arguments)).finish().exits(0).stdout;
    for export in &exports {
        let start =
            said.find(&format!("good  {} version", export.name)).unwrap_or_else(|| panic!("{}", export.name));
        let part = &said[start..];
        let part = &part[..part[1..].find("\ngood ").map_or(part.len(), |end| end + 1)];
        for note in export.said["notes"].as_array().unwrap() {
            assert!(part.contains(note.as_str().unwrap()), "{}: no {note} in\n{part}", export.name);
        }
        let names_its_origin = ["recognised: ", "assumed: "].iter().any(|word| part.contains(word));
        assert!(names_its_origin || Path::new(&export.model()).join("model.toml").exists(), "{part}");
    }
}

#[test]
fn every_layout_and_exporter_is_among_them() {
    let all = all();
    let has = |key: &str, word: &str| all.values().any(|said| said[key].as_str().unwrap().contains(word));
    for layout in ["single file", "Hugging Face", "MLflow", "Triton", "native"] {
        assert!(has("layout", layout), "{layout}");
    }
    for exporter in ["skl2onnx", "onnxmltools", "CatBoost", "optimum", "sentence-transformers"] {
        assert!(has("exporter", exporter), "{exporter}");
    }
    for what in ["ZipMap", "XGB", "LGBM"] {
        assert!(has("what", what) || has("exporter", what), "{what}");
    }
}
