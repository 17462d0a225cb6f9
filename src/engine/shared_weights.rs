//! One copy of a model's weights for all of its sessions.
//!
//! Each session packs its constants into memory of its own, so that every further one costs the model's size
//! again. The runtime shares them only where they lie in a file that its sessions map. So the graph is
//! optimized once and written with its packed weights into a folder of ours; the sessions are made of
//! what was written, and the files are removed: what is mapped stays until the last session goes.
//!
//! That what was written is the same graph is checked by runs, to the last bit. Whatever stands in the way
//! (no folder that can be written, a graph that can't be written) means only that each session
//! has a copy of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, io};

use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use tempfile::TempDir;

use super::made_inputs::{different_rows, made_inputs};
use super::{Run, Session};
use crate::model::Signature;
use crate::tensor::Tensor;

/// From this size on, bytes of graph and external data, a copy of the weights is worth a file.
pub(super) const WORTHWHILE: u64 = 16 << 20;

/// Constants from this size on go into the file of weights, bytes.
const LEAST_CONSTANT: &str = "1024";
/// Rows that packed and plain products are both tried with: a single one is a special case of many kernels.
const ROWS: usize = 4;

/// A private folder with what a session writes; removed with all in it when dropped.
pub(super) struct Written {
    folder: TempDir,
    /// Locked for as long as the process lives and needs the folder, which is dropped first.
    _lock: File,
}

/// How the names of our folders begin.
const PREFIX: &str = "ml-inference-api-weights-";
const LOCK: &str = "lock";

impl Written {
    /// An empty folder where this system has temporary files. What a process left there that was killed while it
    /// loaded is removed: a pod that is killed again and again must not fill its volume.
    ///
    /// # Errors
    /// When there is none that can be written.
    pub(super) fn folder() -> io::Result<Self> {
        Self::folder_in(&env::temp_dir())
    }

    fn folder_in(parent: &Path) -> io::Result<Self> {
        remove_left(parent)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Under its name only once it is locked: till then nobody takes the folder for one that was left.
        let (unlocked, locked) = (folder.path().join("unlocked"), folder.path().join(LOCK));
        let lock = File::create_new(&unlocked)?;
        lock.lock()?;
        fs::rename(unlocked, locked)?;
        Ok(Self { folder, _lock: lock })
    }

    /// The written graph.
    pub(super) fn graph(&self) -> PathBuf {
        self.path().join("graph.onnx")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A session of this builder writes its graph and packed weights.
    pub(super) fn write_by(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let builder = builder
            .with_optimized_model_path(self.graph())?
            .with_config_entry("session.optimized_model_external_initializers_file_name", "weights")?
            .with_config_entry(
                "session.optimized_model_external_initializers_min_size_in_bytes",
                LEAST_CONSTANT,
            )?
            .with_config_entry("session.save_external_prepacked_constant_initializers", "1")?;
        Ok(builder)
    }

    /// A session of this builder takes the written graph as it is.
    pub(super) fn read_by(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        Ok(builder.with_optimization_level(GraphOptimizationLevel::Disable)?)
    }

    /// Size of the file of weights, which all sessions map.
    pub(super) fn weights_bytes(&self) -> Option<u64> {
        self.path().join("weights").metadata().map(|file| file.len()).ok()
    }
}

/// Removes the folders of processes that are gone: their locks went with them.
fn remove_left(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.filter_map(Result::ok) {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours {
            continue;
        }
        let lock = File::open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            // Another process may be faster, and what belongs to another user stays.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    Ok(())
}

/// What a graph made of some inputs, to be compared with what another session makes of them.
pub(super) struct Proof(Vec<(Vec<Tensor>, Vec<Tensor>)>);

impl Proof {
    /// Runs every input that can be made up and that the graph takes. None where there is none: then nothing
    /// is proved.
    pub(super) fn of(session: &mut Session, signature: &Signature) -> Option<Self> {
        let mut inputs = different_rows(signature).map_or_else(Vec::new, Vec::from);
        // Only of texts is the first not one of those two again.
        for made in [1, ROWS].into_iter().filter_map(|rows| made_inputs(signature, rows)) {
            if !inputs.contains(&made) {
                inputs.push(made);
            }
        }
        let run = |inputs: Vec<Tensor>| session.run(&inputs).ok().map(|outputs| (inputs, outputs));
        let ran: Vec<_> = inputs.into_iter().filter_map(run).collect();
        (!ran.is_empty()).then_some(Self(ran))
    }

    /// Whether `session` makes the same of the same, to the last bit of every number. A NaN is equal to none.
    pub(super) fn holds_for(&self, session: &mut Session) -> bool {
        self.0.iter().all(|(inputs, outputs)| session.run(inputs).is_ok_and(|found| found == *outputs))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::super::load::load_sharing;
    use super::super::tests::{fixture, runtime};
    use super::super::{LargestShape, LoadedGraph, SessionOptions};
    use super::*;
    use crate::model::Execution;

    fn loaded(name: &str, worthwhile: u64) -> LoadedGraph {
        let (graph, instances) = (fixture(name), NonZeroUsize::new(3));
        let execution = Execution { instances, intra_threads: NonZeroUsize::new(1), ..Execution::default() };
        let folder = graph.parent().unwrap();
        let options = SessionOptions {
            graph: &graph,
            folder,
            execution: &execution,
            name: "test",
            engines: None,
            largest: LargestShape { rows: 32, tokens: None },
        };
        load_sharing(runtime(), &options, worthwhile).unwrap()
    }

    /// What every session makes of every made-up input.
    fn outputs(graph: &mut LoadedGraph) -> Vec<Vec<Tensor>> {
        let mut inputs = different_rows(&graph.signature).map_or_else(Vec::new, Vec::from);
        inputs.extend([1, 3, 16].iter().filter_map(|&rows| made_inputs(&graph.signature, rows)));
        assert!(!inputs.is_empty());
        let sessions = graph.sessions.iter_mut();
        sessions.flat_map(|session| inputs.iter().map(|inputs| session.run(inputs).unwrap())).collect()
    }

    #[test]
    fn sessions_of_one_copy_say_what_sessions_with_their_own_say() {
        for name in ["encoder", "columns", "optional-input", "strings", "two-inputs", "zipmap", "regressor"] {
            let (mut own, mut shared) = (loaded(name, u64::MAX), loaded(name, 0));
            assert_eq!(own.shared_weights_bytes, None);
            assert_eq!(shared.sessions.len(), 3, "{name}");
            assert_eq!(outputs(&mut shared), outputs(&mut own), "{name}");
            assert_eq!((shared.signature, shared.metadata), (own.signature, own.metadata), "{name}");
            assert_eq!(shared.class_labels, own.class_labels, "{name}");
        }
    }

    #[test]
    fn the_copy_has_the_weights_and_its_files_are_gone() {
        let shared = loaded("encoder", 0);
        let weights = shared.shared_weights_bytes.expect("they are shared");
        assert!(weights > 8 << 10, "{weights}");
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mapped: Vec<_> = maps.lines().filter(|line| line.contains(PREFIX)).collect();
        assert!(mapped.iter().any(|line| line.ends_with("weights (deleted)")), "{mapped:?}");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{PREFIX}left"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("weights"), "of a process that was killed").unwrap();
        let first = Written::folder_in(parent.path()).unwrap();
        assert!(!left.exists() && first.path().exists());
        let second = Written::folder_in(parent.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        drop((first, second));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_small_is_not_shared() {
        assert_eq!(loaded("encoder", WORTHWHILE).shared_weights_bytes, None);
    }

    #[test]
    fn another_graph_is_no_proof() {
        let (mut one, mut other) = (loaded("add-one", u64::MAX), loaded("passthrough", u64::MAX));
        let proof = Proof::of(&mut one.sessions[0], &one.signature).unwrap();
        assert!(proof.holds_for(&mut one.sessions[1]));
        assert!(!proof.holds_for(&mut other.sessions[0]));
    }
}
