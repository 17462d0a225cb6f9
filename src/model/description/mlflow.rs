//! `MLmodel` of an MLflow model with the onnx flavor: which file is the graph, and its signature.
//!
//! The signature's columns give a tabular model its features' names and types (mlflow.org, "Model
//! Signatures"); `settle` holds them against the graph.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DescribedColumn, Description, Place};
use crate::model::FeatureType;

const FILE: &str = "MLmodel";

#[derive(Deserialize)]
struct MlModel {
    flavors: Option<BTreeMap<String, Flavor>>,
    signature: Option<Signature>,
}

#[derive(Default, Deserialize)]
struct Flavor {
    data: Option<String>,
}

#[derive(Deserialize)]
struct Signature {
    /// JSON in a string.
    inputs: Option<String>,
}

/// An entry of the signature: a column, or a tensor.
#[derive(Deserialize)]
struct Input {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
}

/// What `MLmodel` says; nothing where there is none.
pub(super) fn read(place: &Place<'_>) -> Result<Description, Vec<String>> {
    described(place).map_err(|problem| vec![problem])
}

fn described(place: &Place<'_>) -> Result<Description, String> {
    let Some(text) = place.read(FILE)? else { return Ok(Description::default()) };
    let model: MlModel = serde_saphyr::from_str(&text).map_err(|error| {
        let text = error.to_string();
        format!("{FILE}: expected a YAML description of a model: {}", text.lines().next().unwrap_or_default())
    })?;
    let flavors = model.flavors.unwrap_or_default();
    let Some(flavor) = flavors.get("onnx") else {
        let others: Vec<&str> = flavors.keys().map(String::as_str).collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        return Err(format!(
            "{FILE}: expected the flavor onnx, it has {others}: convert the model (skl2onnx.to_onnx, \
             onnxmltools, torch.onnx.export) and save it with mlflow.onnx.save_model"
        ));
    };
    let mut found = Description::default();
    found.note(format!("recognised: an MLflow model with the onnx flavor ({FILE})"));
    found.manifest.graph.clone_from(&flavor.data);
    let signature = model.signature.and_then(|signature| signature.inputs);
    if let Some(inputs) = signature {
        let inputs: Vec<Input> = serde_json::from_str(&inputs)
            .map_err(|error| format!("{FILE}: signature.inputs: expected a list in JSON: {error}"))?;
        columns(inputs, &mut found);
    }
    Ok(found)
}

fn columns(inputs: Vec<Input>, found: &mut Description) {
    if inputs.iter().any(|input| input.kind == "tensor") {
        found.note(format!("recognised: a signature of tensors ({FILE}); names and shapes are the graph's"));
        return;
    }
    let named: Option<Vec<DescribedColumn>> = inputs
        .into_iter()
        .map(|input| Some(DescribedColumn { name: input.name?, kind: feature_type(&input.kind) }))
        .collect();
    match named {
        Some(columns) => found.columns = columns,
        None => found.note(format!("ignored: the signature of {FILE}, whose columns have no names")),
    }
}

/// The type of a column as a manifest writes it; none for those that a tensor can't hold.
fn feature_type(kind: &str) -> Option<FeatureType> {
    Some(match kind {
        "boolean" => FeatureType::Bool,
        "integer" => FeatureType::Int32,
        "long" => FeatureType::Int64,
        "float" => FeatureType::Float32,
        "double" => FeatureType::Float64,
        "string" => FeatureType::String,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Description, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::write(base.join(FILE), text).unwrap();
        read(&Place { root: &base, base: &base, own: &base })
    }

    #[test]
    fn graph_and_columns_are_read_as_mlflow_writes_them() {
        let text = r#"
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.23.2
    providers:
    - CPUExecutionProvider
    save_as_external_data: true
  python_function:
    data: model.onnx
    env:
      conda: conda.yaml
    loader_module: mlflow.onnx
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "long", "name": "visits", "required": true}, {"type": "datetime", "name": "day", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
utc_time_created: '2026-11-01 10:00:00.000000'
"#;
        let described = read_text(text).unwrap();
        assert_eq!(described.manifest.graph.as_deref(), Some("model.onnx"));
        let column = |name: &str, kind| DescribedColumn { name: name.to_owned(), kind };
        let expected = [
            column("sepal length (cm)", Some(FeatureType::Float64)),
            column("visits", Some(FeatureType::Int64)),
            column("day", None),
        ];
        assert_eq!(described.columns, expected);
    }

    #[test]
    fn tensors_and_columns_without_names_are_noted() {
        let text =
            |inputs: &str| format!("flavors: {{onnx: {{data: m.onnx}}}}\nsignature: {{inputs: '{inputs}'}}");
        let tensor = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]"#;
        let described = read_text(&text(tensor)).unwrap();
        assert!(described.columns.is_empty() && described.notes[1].contains("tensors"), "{described:?}");
        let described = read_text(&text(r#"[{"type": "double"}]"#)).unwrap();
        assert!(described.notes[1].starts_with("ignored"), "{described:?}");
    }

    #[test]
    fn other_flavors_broken_yaml_and_alias_bombs_are_problems() {
        let bomb = (0..40).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
            format!("{text}a{}: &a{} [*a{level}, *a{level}, *a{level}]\n", level + 1, level + 1)
        });
        let deep = format!("flavors: {}", "[".repeat(100_000));
        let cases = [
            ("flavors: {sklearn: {data: model.pkl}, python_function: {}}", "it has python_function, sklearn"),
            ("{}", "it has none"),
            ("flavors: [", "expected a YAML"),
            ("flavors: {onnx: {data: m}}\nsignature: {inputs: 'x'}", "signature.inputs"),
            (&bomb, "MLmodel"),
            (&deep, "expected a YAML"),
        ];
        for (text, expected) in cases {
            let problems = read_text(text).unwrap_err();
            assert!(problems[0].contains(expected), "{problems:?}");
            assert!(problems[0].len() < 400, "{problems:?}");
        }
    }
}
