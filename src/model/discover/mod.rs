//! Finds the models behind `--models [NAME=]PATH`: one model, or a folder of models one level deep.
//!
//! Reads names and descriptions; loads nothing. Every problem of every model is collected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::folder::{is_model_folder, model_folder, without_graph};
use super::{
    Description, Discovered, ModelName, ModelPath, ModelProblem, ModelSource, Version, VersionPolicy,
    VersionSource, resolve_inside,
};

/// Looks for the models behind all of `paths`.
pub fn discover(paths: &[ModelPath]) -> Discovered {
    let (mut problems, mut ignored) = (Vec::new(), Vec::new());
    let mut found: BTreeMap<ModelName, ModelSource> = BTreeMap::new();
    for path in paths {
        for result in sources(path, &mut ignored) {
            match result {
                Ok(source) => {
                    if let Some(other) = found.get(&source.name) {
                        let both = format!("{} and {}", other.folder.display(), source.folder.display());
                        problems.push(ModelProblem::new(
                            source.name.as_str(),
                            format!("two models have this name: {both}"),
                        ));
                    } else {
                        found.insert(source.name.clone(), source);
                    }
                }
                Err(mut found) => problems.append(&mut found),
            }
        }
    }
    Discovered { models: found.into_values().collect(), problems, ignored }
}

/// A model, or everything that is wrong with it.
pub(super) type Found = Result<ModelSource, Vec<ModelProblem>>;

/// A place where a model was found.
pub(super) struct Entry {
    /// The path that was given, real.
    pub(super) root: PathBuf,
    /// The model's folder or file.
    pub(super) path: PathBuf,
    pub(super) given_name: Option<ModelName>,
}

fn sources(given: &ModelPath, ignored: &mut Vec<String>) -> Vec<Found> {
    let shown = given.path.display().to_string();
    let bad = |message: String| vec![Err(vec![ModelProblem::new(shown.clone(), message)])];
    let root = match given.path.canonicalize() {
        Ok(root) => root,
        Err(error) => return bad(format!("cannot be read: {error}")),
    };
    if root.is_file() {
        let parent = root.parent().unwrap_or(&root).to_owned();
        let entry = Entry { root: parent, path: root, given_name: given.name.clone() };
        return vec![single_file(&entry)];
    }
    if is_model_folder(&root) {
        let entry = Entry { root: root.clone(), path: root, given_name: given.name.clone() };
        return vec![model_folder(&entry)];
    }
    if given.name.is_some() {
        return bad("NAME= needs one model, this folder holds none directly".to_owned());
    }
    let models = repository(&root, ignored);
    if models.is_empty() {
        let message = "holds no model: expected an .onnx file, model.toml, model.onnx, config.json with a graph, \
                       MLmodel, config.pbtxt or numeric version folders here or one level deeper";
        return bad(without_graph(&root).unwrap_or_else(|| message.to_owned()));
    }
    models
}

/// The entries of a folder, sorted.
pub(super) fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// True of a file that is called a graph.
pub(super) fn is_graph(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "onnx")
}

fn repository(root: &Path, ignored: &mut Vec<String>) -> Vec<Found> {
    let mut models = Vec::new();
    for path in listing(root) {
        let name = file_name(&path);
        if name.starts_with('.') || name.to_ascii_lowercase().starts_with("readme") {
            ignored.push(name);
            continue;
        }
        let Ok(resolved) = path.canonicalize() else {
            models.push(Err(vec![ModelProblem::new(name, "a link that leads nowhere")]));
            continue;
        };
        let is_model = if resolved.is_dir() { is_model_folder(&resolved) } else { is_graph(&path) };
        if !is_model {
            let why = without_graph(&resolved).map_or_else(String::new, |why| format!(" ({why})"));
            ignored.push(format!("{name}{why}"));
            continue;
        }
        if !resolved.starts_with(root) {
            models.push(Err(vec![ModelProblem::new(name, "leads outside the given folder and is refused")]));
            continue;
        }
        let entry = Entry { root: root.to_owned(), path, given_name: None };
        models.push(if resolved.is_dir() { model_folder(&entry) } else { single_file(&entry) });
    }
    models
}

fn single_file(entry: &Entry) -> Found {
    let stem = entry.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !is_graph(&entry.path) {
        return Err(vec![ModelProblem::new(stem, "expected an .onnx file or a folder")]);
    }
    let name = match &entry.given_name {
        Some(name) => name.clone(),
        None => {
            stem.parse().map_err(|error| vec![ModelProblem::new(&stem, format!("file name: {error}"))])?
        }
    };
    let folder = entry.path.parent().unwrap_or(&entry.root);
    let graph = resolve_inside(&entry.root, folder, &file_name(&entry.path))
        .map_err(|problem| vec![ModelProblem::new(&stem, problem)])?;
    let mut description = Description::default();
    description.note("recognised: a single .onnx file; everything but its name is read from the graph");
    Ok(ModelSource {
        folder: graph.parent().unwrap_or(&entry.root).to_owned(),
        root: entry.root.clone(),
        version_policy: VersionPolicy::default(),
        versions: vec![VersionSource { version: Version::UNVERSIONED, graph, description }],
        name,
    })
}

#[cfg(test)]
mod tests;
