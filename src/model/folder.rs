//! A model's folder: its manifest, its name, its versions, and which file is the graph of each.

use std::fs;
use std::path::{Path, PathBuf};

use super::description::Place;
use super::discover::{Entry, Found, file_name, is_graph, listing};
use super::versions::{keep, version_folders};
use super::{
    Description, Manifest, ModelName, ModelProblem, ModelSource, Version, VersionSource, resolve_inside,
};

/// Where graphs usually lie, in this order.
const USUAL_GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// True of a folder that directly holds one model.
pub(super) fn is_model_folder(folder: &Path) -> bool {
    let holds = |name: &str| folder.join(name).is_file();
    if ["model.toml", "model.onnx", "config.pbtxt", "MLmodel"].into_iter().any(holds) {
        return true;
    }
    if holds("config.json") && !graphs_in(folder).is_empty() {
        return true;
    }
    let shown: Vec<PathBuf> =
        listing(folder).into_iter().filter(|path| !file_name(path).starts_with('.')).collect();
    let mut folders = shown.iter().filter(|path| path.is_dir()).peekable();
    folders.peek().is_some()
        && folders.all(|path| Version::parse(&file_name(path)).is_some())
        && !shown.iter().any(|path| is_graph(path))
}

/// The graphs directly in a folder and in its folder `onnx`, by their paths in it.
fn graphs_in(folder: &Path) -> Vec<String> {
    let named = |prefix: &str, folder: &Path| -> Vec<String> {
        let graphs = listing(folder).into_iter().filter(|path| is_graph(path) && path.is_file());
        graphs.map(|path| format!("{prefix}{}", file_name(&path))).collect()
    };
    let mut graphs = named("", folder);
    graphs.extend(named("onnx/", &folder.join("onnx")));
    graphs
}

/// Everything about the model in a folder, or everything that is wrong with it.
pub(super) fn model_folder(entry: &Entry) -> Found {
    let folder_name = file_name(&entry.path);
    let mut problems = Vec::new();
    let mut tell = |problem: ModelProblem| problems.push(problem);
    let (manifest, is_there) = match fs::read_to_string(entry.path.join("model.toml")) {
        Ok(text) => (Manifest::parse(&text, &folder_name).map_err(&mut tell).unwrap_or_default(), true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Manifest::default(), false),
        Err(error) => {
            tell(ModelProblem::new(&folder_name, format!("model.toml: {error}")));
            (Manifest::default(), false)
        }
    };
    let name = entry.given_name.clone().or_else(|| {
        let wanted = manifest.name.as_deref().unwrap_or(&folder_name);
        wanted.parse().map_err(|error| tell(ModelProblem::new(wanted, format!("name: {error}")))).ok()
    });
    let shown = name.as_ref().map_or(folder_name.as_str(), ModelName::as_str);
    if is_there && let Err(problem) = resolve_inside(&entry.root, &entry.path, "model.toml") {
        tell(ModelProblem::new(shown, problem));
    }
    let versions = match versions(entry, &manifest) {
        Ok(versions) => Some(versions),
        Err(messages) => {
            for message in messages {
                tell(ModelProblem::new(shown, message));
            }
            None
        }
    };
    let (Some(name), Some(mut versions), true) = (name, versions, problems.is_empty()) else {
        return Err(problems);
    };
    let policy = versions[0].description.manifest.versions.clone().unwrap_or_default();
    versions = keep(versions, &policy).map_err(|problem| vec![ModelProblem::new(name.as_str(), problem)])?;
    let (folder, root) = (entry.path.clone(), entry.root.clone());
    Ok(ModelSource { name, root, folder, version_policy: policy, versions })
}

/// The versions of a model, ascending; at least one.
fn versions(entry: &Entry, manifest: &Manifest) -> Result<Vec<VersionSource>, Vec<String>> {
    let (mut found, mut problems, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (version, folder) in version_folders(&entry.path) {
        match one_version(entry, manifest, (version, &folder)) {
            Ok(Some(source)) => found.push(source),
            Ok(None) => {
                notes.push(format!("ignored: version folder {version}, which holds no {}", graph(manifest)));
            }
            Err(messages) => {
                problems.extend(messages.into_iter().map(|message| format!("version {version}: {message}")));
            }
        }
    }
    let has_versions = !found.is_empty() || !problems.is_empty();
    if !problems.is_empty() {
        return Err(problems);
    }
    let unversioned = if has_versions {
        USUAL_GRAPHS.iter().any(|file| entry.path.join(file).is_file()).then_some(())
    } else {
        match one_version(entry, manifest, (Version::UNVERSIONED, &entry.path))? {
            Some(source) => {
                found.push(source);
                None
            }
            None => return Err(vec![no_graph(&entry.path, manifest)]),
        }
    };
    if unversioned.is_some() {
        return Err(vec!["holds both model.onnx and version folders: keep one of them".to_owned()]);
    }
    for source in &mut found {
        source.description.notes.extend(notes.iter().cloned());
    }
    Ok(found)
}

/// The version whose graph lies in `folder`; none where no graph does.
fn one_version(
    entry: &Entry,
    manifest: &Manifest,
    (version, folder): (Version, &Path),
) -> Result<Option<VersionSource>, Vec<String>> {
    if folder != entry.path && graphs_in(folder).is_empty() {
        return Ok(None);
    }
    let place = Place { root: &entry.root, base: &entry.path, own: folder };
    let mut description = Description::read(manifest, &place)?;
    let one = |problem| vec![problem];
    let Some(graph) = choose(folder, &mut description).map_err(one)? else { return Ok(None) };
    let graph = resolve_inside(&entry.root, folder, &graph).map_err(one)?;
    Ok(Some(VersionSource { version, graph, description }))
}

/// Which file in `folder` is the graph: the one that is named, a usual one, or the only one.
fn choose(folder: &Path, description: &mut Description) -> Result<Option<String>, String> {
    if let Some(named) = &description.manifest.graph {
        return Ok(Some(named.clone()));
    }
    if let Some(usual) = USUAL_GRAPHS.iter().find(|file| folder.join(file).is_file()) {
        return Ok(Some((*usual).to_owned()));
    }
    match graphs_in(folder).as_slice() {
        [] => Ok(None),
        [only] => {
            description.notes.push(format!("assumed: {only} is the graph: there is no other"));
            Ok(Some(only.clone()))
        }
        several => Err(format!(
            "holds several graphs and no model.onnx ({}): name one in model.toml, graph = {:?}",
            several.join(", "),
            several[0]
        )),
    }
}

fn graph(manifest: &Manifest) -> &str {
    manifest.graph.as_deref().unwrap_or("model.onnx")
}

fn no_graph(folder: &Path, manifest: &Manifest) -> String {
    without_graph(folder).unwrap_or_else(|| {
        let file = graph(manifest);
        format!("holds no graph: expected {file} or VERSION/{file} (did `make models` run?)")
    })
}

/// What to do with a folder whose model is of another kind; none where there is no sign of one.
pub(super) fn without_graph(folder: &Path) -> Option<String> {
    /// How files of other formats end, and what converts them.
    const OTHERS: [(&str, &str); 15] = [
        (".safetensors", "optimum-cli export onnx --model FOLDER OUT"),
        ("pytorch_model.bin", "optimum-cli export onnx --model FOLDER OUT"),
        (".pt", "torch.onnx.export"),
        (".pth", "torch.onnx.export"),
        (".pkl", "skl2onnx.to_onnx"),
        (".pickle", "skl2onnx.to_onnx"),
        (".joblib", "skl2onnx.to_onnx"),
        (".h5", "tf2onnx"),
        (".keras", "tf2onnx"),
        (".pb", "tf2onnx"),
        (".tflite", "tf2onnx"),
        (".ubj", "onnxmltools.convert_xgboost"),
        (".bst", "onnxmltools.convert_xgboost"),
        (".cbm", "save_model(..., format=\"onnx\") of CatBoost"),
        (".plan", "that which the TensorRT engine was built from"),
    ];
    let other = listing(folder).iter().map(|path| file_name(path)).find_map(|name| {
        let (_, how) = OTHERS.iter().find(|(ending, _)| name.ends_with(ending))?;
        Some((name, how))
    });
    let (file, how) = other?;
    Some(format!("holds {file} and no ONNX graph: only ONNX is served; make a graph of it ({how})"))
}
