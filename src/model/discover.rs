//! Finds the models behind `--models [NAME=]PATH`: one model, or a folder of models one level deep.
//!
//! Reads names, manifests and versions; loads nothing. Every problem of every model is collected.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Manifest, ModelName, ModelProblem, NamedPolicy, Version, VersionPolicy, resolve_inside};

/// `[NAME=]PATH` as given to `--models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPath {
    /// The name to serve a single model under.
    pub name: Option<ModelName>,
    /// A model, or a folder of models.
    pub path: PathBuf,
}

/// One version of a model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSource {
    /// The version.
    pub version: Version,
    /// The graph's file, resolved.
    pub graph: PathBuf,
}

/// A model found on disk, described but not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSource {
    /// The name it is served under.
    pub name: ModelName,
    /// Every file of the model must resolve inside this folder: the path that was given.
    pub root: PathBuf,
    /// Paths of the manifest are relative to this folder.
    pub folder: PathBuf,
    /// `model.toml`, or all defaults.
    pub manifest: Manifest,
    /// The versions to load, ascending.
    pub versions: Vec<VersionSource>,
    /// What was recognised, assumed or ignored, for people.
    pub notes: Vec<String>,
}

/// Files that other layouts use and that this release does not read.
const UNREAD: [&str; 3] = ["config.pbtxt", "MLmodel", "config.json"];

impl FromStr for ModelPath {
    type Err = ModelProblem;

    fn from_str(text: &str) -> Result<Self, ModelProblem> {
        let problem = |message: &str| ModelProblem::new(text, message);
        // A `/` before the first `=` can only be part of a path.
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !name.contains('/') => {
                let parsed = name.parse().map_err(|error| problem(&format!("name {name:?}: {error}")))?;
                (Some(parsed), path)
            }
            _ => (None, text),
        };
        if path.is_empty() {
            return Err(problem("expected [NAME=]PATH, got an empty path"));
        }
        if path.contains("://") {
            return Err(problem("models are read from local paths; remote sources are not supported yet"));
        }
        Ok(Self { name, path: path.into() })
    }
}

/// What was found behind all of the paths.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// Models with distinct names, sorted by name.
    pub models: Vec<ModelSource>,
    /// Every problem of every other model, and paths that hold none.
    pub problems: Vec<ModelProblem>,
    /// Entries that are no models: dot entries, READMEs, folders and files without one.
    pub ignored: Vec<String>,
}

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

fn sources(given: &ModelPath, ignored: &mut Vec<String>) -> Vec<Found> {
    let shown = given.path.display().to_string();
    let root = match given.path.canonicalize() {
        Ok(root) => root,
        Err(error) => return vec![Err(vec![ModelProblem::new(shown, format!("cannot be read: {error}"))])],
    };
    if root.is_file() {
        let parent = root.parent().unwrap_or(&root).to_owned();
        let entry = Entry { root: parent.clone(), path: root, given_name: given.name.clone() };
        return vec![single_file(&entry)];
    }
    if is_model_folder(&root) {
        let entry = Entry { root: root.clone(), path: root, given_name: given.name.clone() };
        return vec![model_folder(&entry)];
    }
    if given.name.is_some() {
        let message = "NAME= needs one model, this folder holds none directly";
        return vec![Err(vec![ModelProblem::new(shown, message)])];
    }
    let models = repository(&root, ignored);
    if models.is_empty() {
        let message = "holds no model: expected an .onnx file, model.toml, model.onnx or numeric version folders \
                       here or one level deeper";
        return vec![Err(vec![ModelProblem::new(shown, message)])];
    }
    models
}

/// A model, or everything that is wrong with it.
type Found = Result<ModelSource, Vec<ModelProblem>>;

/// A place where a model was found.
struct Entry {
    root: PathBuf,
    path: PathBuf,
    given_name: Option<ModelName>,
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn version_folders(folder: &Path) -> Vec<(Version, PathBuf)> {
    let mut versions: Vec<(Version, PathBuf)> = listing(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((Version::parse(&file_name(&path))?, path)))
        .collect();
    versions.sort();
    versions
}

fn is_model_folder(folder: &Path) -> bool {
    let holds = |name: &str| folder.join(name).is_file();
    if ["model.toml", "model.onnx", "config.pbtxt", "MLmodel"].into_iter().any(holds) {
        return true;
    }
    if holds("config.json") && (holds("model.onnx") || folder.join("onnx/model.onnx").is_file()) {
        return true;
    }
    let shown = listing(folder).into_iter().filter(|path| !file_name(path).starts_with('.'));
    let (mut folders, mut numeric) = (0, 0);
    for path in shown.filter(|path| path.is_dir()) {
        folders += 1;
        numeric += usize::from(Version::parse(&file_name(&path)).is_some());
    }
    folders > 0 && folders == numeric
}

fn repository(root: &Path, ignored: &mut Vec<String>) -> Vec<Found> {
    let mut models = Vec::new();
    for path in listing(root) {
        let name = file_name(&path);
        let is_graph = path.extension().is_some_and(|extension| extension == "onnx");
        if name.starts_with('.') || name.to_ascii_lowercase().starts_with("readme") {
            ignored.push(name);
            continue;
        }
        let Ok(resolved) = path.canonicalize() else {
            models.push(Err(vec![ModelProblem::new(name, "a link that leads nowhere")]));
            continue;
        };
        let is_model = if resolved.is_dir() { is_model_folder(&resolved) } else { is_graph };
        if !is_model {
            ignored.push(name);
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
    if entry.path.extension().is_none_or(|extension| extension != "onnx") {
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
    Ok(ModelSource {
        folder: graph.parent().unwrap_or(&entry.root).to_owned(),
        root: entry.root.clone(),
        manifest: Manifest::default(),
        versions: vec![VersionSource { version: Version::UNVERSIONED, graph }],
        notes: vec!["a single .onnx file: served as version 1, everything else read from the graph".into()],
        name,
    })
}

fn model_folder(entry: &Entry) -> Found {
    let folder_name = file_name(&entry.path);
    let mut problems = Vec::new();
    let mut noted = |problem: ModelProblem| problems.push(problem);
    let (manifest, is_there) = match fs::read_to_string(entry.path.join("model.toml")) {
        Ok(text) => (Manifest::parse(&text, &folder_name).map_err(&mut noted).unwrap_or_default(), true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Manifest::default(), false),
        Err(error) => {
            noted(ModelProblem::new(&folder_name, format!("model.toml: {error}")));
            (Manifest::default(), false)
        }
    };
    let name = entry.given_name.clone().or_else(|| {
        let wanted = manifest.name.as_deref().unwrap_or(&folder_name);
        wanted.parse().map_err(|error| noted(ModelProblem::new(wanted, format!("name: {error}")))).ok()
    });
    let shown = name.as_ref().map_or(folder_name.as_str(), ModelName::as_str);
    if is_there && let Err(problem) = resolve_inside(&entry.root, &entry.path, "model.toml") {
        noted(ModelProblem::new(shown, problem));
    }
    let versions = versions(entry, shown, &manifest.versions).map_err(&mut noted).ok();
    let (Some(name), Some((versions, mut notes)), true) = (name, versions, problems.is_empty()) else {
        return Err(problems);
    };
    for unread in UNREAD.into_iter().filter(|file| entry.path.join(file).is_file()) {
        notes.push(format!("{unread} is not read by this release"));
    }
    Ok(ModelSource { folder: entry.path.clone(), root: entry.root.clone(), manifest, versions, notes, name })
}

type Versions = (Vec<VersionSource>, Vec<String>);

fn versions(entry: &Entry, name: &str, policy: &VersionPolicy) -> Result<Versions, ModelProblem> {
    let problem = |message: String| ModelProblem::new(name, message);
    let resolved = |path: &Path| {
        let relative = path.strip_prefix(&entry.path).unwrap_or(path).to_string_lossy();
        resolve_inside(&entry.root, &entry.path, &relative).map_err(problem)
    };
    let folders = version_folders(&entry.path);
    let unversioned = ["model.onnx", "onnx/model.onnx"].map(|file| entry.path.join(file));
    let unversioned = unversioned.into_iter().find(|path| path.is_file());
    let mut notes = Vec::new();
    let mut all = Vec::new();
    for (version, folder) in folders {
        let graph = folder.join("model.onnx");
        if graph.is_file() {
            all.push(VersionSource { version, graph: resolved(&graph)? });
        } else {
            notes.push(format!("version folder {version} holds no model.onnx and is ignored"));
        }
    }
    match (all.is_empty(), unversioned) {
        (false, Some(_)) => {
            let message = "holds both model.onnx and version folders: keep one of them";
            return Err(problem(message.to_owned()));
        }
        (true, Some(graph)) => {
            let graph = resolved(&graph)?;
            return Ok((vec![VersionSource { version: Version::UNVERSIONED, graph }], notes));
        }
        (true, None) => {
            let message =
                "holds no graph: expected model.onnx or VERSION/model.onnx (did `make models` run?)";
            return Err(problem(message.to_owned()));
        }
        (false, None) => {}
    }
    let kept = keep(all, policy).map_err(problem)?;
    Ok((kept, notes))
}

fn keep(mut all: Vec<VersionSource>, policy: &VersionPolicy) -> Result<Vec<VersionSource>, String> {
    let newest = |count: usize| all.len().saturating_sub(count);
    match policy {
        VersionPolicy::Named(NamedPolicy::All) => Ok(all),
        VersionPolicy::Named(NamedPolicy::Latest) => Ok(all.split_off(newest(1))),
        VersionPolicy::Latest { latest } => Ok(all.split_off(newest(latest.get()))),
        VersionPolicy::Only(only) => {
            let missing = only.iter().find(|&&number| all.iter().all(|source| source.version.0 != number));
            if let Some(missing) = missing {
                return Err(format!("versions: {missing} is asked for and not there"));
            }
            all.retain(|source| only.contains(&source.version.0));
            if all.is_empty() { Err("versions: the list is empty".into()) } else { Ok(all) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let root =
            tree(&[("m/1/model.onnx", ""), ("m/2/model.onnx", ""), ("m/model.toml", "versions = [3]")]);
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
}
