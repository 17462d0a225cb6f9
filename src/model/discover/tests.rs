//! Folders of every layout, and what is no model.

use std::fs;
use std::path::Path;

use crate::model::{Discovered, ModelPath, ModelProblem, ModelSource, Version, discover};

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn found(path: &Path) -> Result<Vec<ModelSource>, Vec<ModelProblem>> {
    all(&[ModelPath { name: None, path: path.to_owned() }])
}

fn all(paths: &[ModelPath]) -> Result<Vec<ModelSource>, Vec<ModelProblem>> {
    let Discovered { models, problems, .. } = discover(paths);
    if problems.is_empty() { Ok(models) } else { Err(problems) }
}

#[test]
fn a_repository_holds_files_and_folders_and_ignores_the_rest() {
    let root = tree(&[
        ("one.onnx", ""),
        ("two/model.onnx", ""),
        ("three/1/model.onnx", ""),
        ("three/10/model.onnx", ""),
        ("three/9/model.onnx", ""),
        ("three/model.toml", "name = \"third\""),
        ("docs/notes.txt", ""),
        ("README.md", ""),
        (".hidden/model.onnx", ""),
    ]);
    let models = found(root.path()).unwrap();
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["one", "third", "two"]);
    let versions: Vec<u64> = models[1].versions.iter().map(|source| source.version.0).collect();
    assert_eq!(versions, [1, 9, 10]);
}

#[test]
fn one_model_by_file_by_folder_and_by_name() {
    let root = tree(&[("m/model.onnx", ""), ("v/1/model.onnx", "")]);
    assert_eq!(found(&root.path().join("m")).unwrap()[0].name.as_str(), "m");
    assert_eq!(found(&root.path().join("m/model.onnx")).unwrap()[0].name.as_str(), "model");
    assert_eq!(found(&root.path().join("v")).unwrap()[0].name.as_str(), "v");
    let path: ModelPath = format!("x={}", root.path().join("m").display()).parse().unwrap();
    assert_eq!(all(&[path]).unwrap()[0].name.as_str(), "x");
}

#[test]
fn every_problem_is_told() {
    let root = tree(&[
        ("a/model.toml", "polling = 1"),
        ("b/model.onnx", ""),
        ("b/1/model.onnx", ""),
        ("c/model.toml", "name = \"d\""),
        ("d/model.onnx", ""),
        ("c/model.onnx", ""),
        ("e/model.toml", ""),
    ]);
    let problems = found(root.path()).unwrap_err();
    let text: Vec<String> = problems.iter().map(ModelProblem::to_string).collect();
    assert_eq!(problems.len(), 5, "{text:?}");
    assert!(text.iter().any(|line| line.contains("keep one of them")));
    assert!(text.iter().any(|line| line.contains("two models have this name")));
    assert!(text.iter().any(|line| line.contains("holds no graph")));
}

#[test]
fn versions_that_are_asked_for_must_be_there() {
    let root = tree(&[("m/1/model.onnx", ""), ("m/2/model.onnx", ""), ("m/model.toml", "versions = [3]")]);
    assert!(found(root.path()).unwrap_err()[0].message.contains("3 is asked for"));
    fs::write(root.path().join("m/model.toml"), "versions = \"latest\"").unwrap();
    assert_eq!(found(root.path()).unwrap()[0].versions[0].version, Version(2));
}

#[cfg(unix)]
#[test]
fn links_may_stay_inside_and_must_not_leave() {
    let root = tree(&[("..data/model.onnx", ""), ("outside/model.onnx", "")]);
    let repository = root.path().join("repository/m");
    fs::create_dir_all(&repository).unwrap();
    fs::write(repository.join("real.onnx"), "").unwrap();
    std::os::unix::fs::symlink("real.onnx", repository.join("model.onnx")).unwrap();
    assert!(found(root.path().join("repository").as_path()).is_ok());
    fs::remove_file(repository.join("model.onnx")).unwrap();
    std::os::unix::fs::symlink(root.path().join("outside/model.onnx"), repository.join("model.onnx"))
        .unwrap();
    let problems = found(root.path().join("repository").as_path()).unwrap_err();
    assert!(problems[0].message.contains("outside"), "{problems:?}");
}

#[test]
fn paths_are_checked_before_the_disk_is() {
    assert!("a b=models".parse::<ModelPath>().is_err());
    assert!("s3://bucket/x".parse::<ModelPath>().is_err());
    assert!("x=".parse::<ModelPath>().is_err());
    assert!(found(Path::new("does-not-exist")).unwrap_err()[0].message.contains("cannot be read"));
}
