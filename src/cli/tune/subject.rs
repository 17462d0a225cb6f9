//! The model that is tuned, and its variants: found once, loaded again for each setting.

use std::num::NonZeroUsize;

use super::setting::{Numerics, Setting, Shape};
use crate::cli::predict::find_one;
use crate::cli::{Failure, models};
use crate::engine::Runtime;
use crate::model::{Manifest, ModelSource, Precision, ProviderKind, VersionSource};
use crate::service::{LoadOptions, LoadedModel, load_version};

/// A model as it lies on disk.
struct Lying {
    path: String,
    source: ModelSource,
    version: VersionSource,
}

impl Lying {
    fn find(path: &str) -> Result<Self, Failure> {
        let (source, version) = find_one(path)?;
        Ok(Self { path: path.to_owned(), source, version })
    }
}

/// What is tuned.
pub(super) struct Subject {
    pub(super) runtime: &'static Runtime,
    model: Lying,
    variants: Vec<Lying>,
}

impl Subject {
    /// Finds the model and its variants, and loads the runtime.
    pub(super) fn find(path: &str, variants: &[String]) -> Result<Self, Failure> {
        let model = Lying::find(path)?;
        let variants = variants.iter().map(|path| Lying::find(path)).collect::<Result<_, _>>()?;
        Ok(Self { runtime: models::runtime()?, model, variants })
    }

    pub(super) fn source(&self) -> &ModelSource {
        &self.model.source
    }

    /// What the model's owner says of it.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.model.version.description.manifest
    }

    /// The paths of the variants, as given.
    pub(super) fn variants(&self) -> impl Iterator<Item = &str> {
        self.variants.iter().map(|variant| variant.path.as_str())
    }

    /// The model as it would be served now, and what that comes to.
    pub(super) fn present(&self) -> Result<(LoadedModel, Setting), Failure> {
        let loaded = self.load_changed(&self.model, |_| {}).map_err(Failure::failed)?;
        let facts = &loaded.facts;
        let provider =
            [ProviderKind::Cpu, ProviderKind::Openvino, ProviderKind::Cuda, ProviderKind::Tensorrt]
                .into_iter()
                .find(|kind| kind.name() == facts.provider);
        let asked = self.manifest().execution.precision.unwrap_or_default();
        let numerics = Numerics {
            provider: provider.unwrap_or(ProviderKind::Cpu),
            // A fallback to the CPU runs the graph as it is.
            precision: if provider == Some(ProviderKind::Cpu) { Precision::Fp32 } else { asked },
            variant: None,
        };
        let setting = Setting {
            numerics,
            shape: Shape { instances: facts.instances, intra_threads: facts.intra_threads },
            max_batch_size: facts.max_batch_size,
            max_batch_tokens: facts.max_batch_tokens,
        };
        Ok((loaded, setting))
    }

    /// The model with a setting, loaded and warm, its golden samples left out; or why it can't be had.
    pub(super) fn load(&self, setting: &Setting) -> Result<LoadedModel, String> {
        let Numerics { provider, precision, variant } = setting.numerics;
        let lying = match variant {
            None => &self.model,
            Some(index) => self.variants.get(index).ok_or_else(|| format!("no variant {index}"))?,
        };
        self.load_changed(lying, |manifest| {
            let execution = &mut manifest.execution;
            execution.providers = Some(vec![provider]);
            execution.precision = Some(precision);
            execution.allow_fallback = Some(false);
            execution.instances = NonZeroUsize::new(setting.shape.instances);
            execution.intra_threads = NonZeroUsize::new(setting.shape.intra_threads);
            manifest.batching.max_batch_size = NonZeroUsize::new(setting.max_batch_size);
            manifest.batching.max_batch_tokens = setting.max_batch_tokens.and_then(NonZeroUsize::new);
            // With these numerics they have been checked; others are judged by how far they agree.
            manifest.golden.clear();
        })
    }

    fn load_changed(&self, lying: &Lying, change: impl FnOnce(&mut Manifest)) -> Result<LoadedModel, String> {
        let mut version = lying.version.clone();
        change(&mut version.description.manifest);
        load_version(self.runtime, &lying.source, &version, &LoadOptions::default()).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("; ")
        })
    }
}
