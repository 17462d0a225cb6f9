//! `model.toml`: what a model's owner says of it. Every field is optional; what is left out is
//! read from the model, and `check` shows the result.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::execution::fill;
use super::{Batching, Execution, ImageInput, ManifestDefaults, ModelProblem, Queue, Tolerance};

/// What a model does with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Named tensors in, named tensors out.
    Tensors,
    /// Features in, label and scores out.
    TabularClassification,
    /// Features in, one number out.
    TabularRegression,
    /// Text in, label and scores out.
    TextClassification,
    /// Text in, one vector out.
    TextEmbedding,
    /// Image in, label and scores out.
    ImageClassification,
}

impl TaskKind {
    /// The name in manifests and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tensors => "tensors",
            Self::TabularClassification => "tabular-classification",
            Self::TabularRegression => "tabular-regression",
            Self::TextClassification => "text-classification",
            Self::TextEmbedding => "text-embedding",
            Self::ImageClassification => "image-classification",
        }
    }
}

/// What turns a classifier's raw outputs into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// The outputs are scores already.
    None,
    /// Exponentials that sum to one.
    Softmax,
    /// Each output by itself.
    Sigmoid,
}

impl Activation {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the tokens that are not padding.
    Mean,
    /// The first token's vector.
    Cls,
    /// The largest value over the tokens that are not padding, component by component.
    Max,
    /// The sum over the tokens, divided by the square root of their number.
    #[serde(rename = "mean_sqrt_len")]
    MeanSqrtLen,
    /// The mean weighted by position: the first token counts once, the second twice, and so on.
    WeightedMean,
    /// The last token's vector.
    LastToken,
    /// The graph's output is the vector already.
    None,
}

impl Pooling {
    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
            Self::MeanSqrtLen => "mean_sqrt_len",
            Self::WeightedMean => "weightedmean",
            Self::LastToken => "lasttoken",
            Self::None => "none",
        }
    }
}

/// An end of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The beginning.
    Left,
    /// The end.
    #[default]
    Right,
}

/// The type of a feature as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FeatureType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Float16,
    Bfloat16,
    Float32,
    Float64,
    String,
}

/// One feature of a tabular model, in the order in which the model takes them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The name that instances use.
    pub name: String,
    /// What a value may be; unset = the graph's element type.
    #[serde(rename = "type")]
    pub kind: Option<FeatureType>,
    /// What stands in for an absent or null value.
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<toml::Value>,
    /// The allowed strings. For a numeric input a string stands for its position here.
    pub categories: Option<Vec<String>>,
}

/// `[outputs]`: which outputs mean what.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputNames {
    /// The output with a score per class.
    pub scores: Option<String>,
    /// The output with the label, used where there are no scores.
    pub label: Option<String>,
}

/// `[warmup]`: instances to run at load besides those made from the signature.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Warmup {
    /// Instances as `/predict` takes them. One that fails makes the model bad.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub inputs: Vec<toml::Value>,
}

/// `[[golden]]`: an instance and what must come out for it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// An instance as `/predict` takes it.
    #[schemars(with = "serde_json::Value")]
    pub input: toml::Value,
    /// The members of the prediction that are compared.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub expected: toml::Table,
    /// How far numbers may differ.
    #[serde(default)]
    pub tolerance: Tolerance,
}

/// `[limits]`: rules for this model's inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputLimits {
    /// Refuse NaN and infinities in binary tensors too (JSON can't carry them).
    pub finite: bool,
}

/// `versions`: which versions are loaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum VersionPolicy {
    /// `"all"` or `"latest"`.
    Named(NamedPolicy),
    /// Just these.
    Only(Vec<u64>),
    /// The highest few.
    Latest {
        /// How many.
        latest: NonZeroUsize,
    },
}

/// The policies that a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedPolicy {
    /// Every version.
    All,
    /// The highest version.
    Latest,
}

impl Default for VersionPolicy {
    fn default() -> Self {
        Self::Named(NamedPolicy::All)
    }
}

/// `sha256`: of the graph, or a table of paths beside `model.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Digests {
    /// The graph's, in hexadecimal.
    Graph(String),
    /// Path relative to the manifest -> digest in hexadecimal.
    Files(BTreeMap<String, String>),
}

/// The whole of `model.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 1.
    pub schema: Option<u32>,
    /// The model's name; unset = folder name or file stem.
    pub name: Option<String>,
    /// One sentence for people.
    pub description: Option<String>,
    /// Which file is the graph, where there are several; relative to the folder that holds them.
    pub graph: Option<String>,
    /// What the model does; unset = recognised from the graph.
    pub task: Option<TaskKind>,
    /// Class names, in the order of the scores.
    pub labels: Option<Vec<String>>,
    /// What turns raw outputs into scores.
    pub activation: Option<Activation>,
    /// The features of a tabular model.
    pub features: Option<Vec<Feature>>,
    /// Which outputs mean what.
    pub outputs: OutputNames,
    /// Path of `tokenizer.json`, relative to the manifest.
    pub tokenizer: Option<String>,
    /// Most tokens, special ones included.
    pub max_length: Option<NonZeroUsize>,
    /// Cut longer texts instead of refusing them.
    pub truncate: bool,
    /// Where longer texts are cut; unset = at their end.
    pub truncation_side: Option<Side>,
    /// Stands before every text, as in `"query: "`.
    pub prompt: Option<String>,
    /// Texts are made lower case first.
    pub lowercase: Option<bool>,
    /// How token vectors become one vector.
    pub pooling: Option<Pooling>,
    /// Scale the vector to length one.
    pub normalize: Option<bool>,
    /// Lengths that a vector may be cut to, where the model was trained for that (Matryoshka).
    pub dimensions: Option<Vec<NonZeroUsize>>,
    /// How pixels become a tensor.
    pub image: Option<ImageInput>,
    /// Where and how it runs.
    pub execution: Execution,
    /// Whether and how rows are run together.
    pub batching: Batching,
    /// How many rows may wait, and for how long.
    pub queue: Queue,
    /// Which versions are loaded; unset = all.
    pub versions: Option<VersionPolicy>,
    /// Instances to run at load.
    pub warmup: Warmup,
    /// Instances with known answers.
    pub golden: Vec<Golden>,
    /// Rules for inputs.
    pub limits: InputLimits,
    /// Digests of the files.
    pub sha256: Option<Digests>,
}

impl Manifest {
    /// Reads a manifest from TOML text.
    ///
    /// # Errors
    /// The first mistake, with line, column and what was expected.
    pub fn parse(text: &str, model: &str) -> Result<Self, ModelProblem> {
        let manifest: Self = toml::from_str(text)
            .map_err(|error| ModelProblem::new(model, format!("model.toml: {}", compact(&error, text))))?;
        match manifest.schema {
            None | Some(1) => Ok(manifest),
            Some(other) => {
                Err(ModelProblem::new(model, format!("model.toml: schema: expected 1, got {other}")))
            }
        }
    }

    /// Fills what is left out from `other`, a description of lower rank. Lists and tables are taken as
    /// a whole; golden and warm-up samples, limits, `truncate` and `schema` are this one's.
    pub fn fill(&mut self, other: &Self) {
        fill!(
            self,
            other,
            name,
            description,
            graph,
            task,
            labels,
            activation,
            features,
            tokenizer,
            max_length
        );
        fill!(
            self,
            other,
            truncation_side,
            prompt,
            lowercase,
            pooling,
            normalize,
            dimensions,
            image,
            versions
        );
        fill!(self, other, sha256);
        fill!(self.outputs, other.outputs, scores, label);
        let Self { execution, batching, queue, .. } = other.clone();
        self.apply_defaults(&ManifestDefaults { execution, batching, queue });
    }

    /// Fills what the manifest leaves out from the configuration's defaults.
    pub fn apply_defaults(&mut self, defaults: &ManifestDefaults) {
        defaults.apply(&mut self.execution, &mut self.batching, &mut self.queue);
    }
}

/// A TOML error on one line: where, then what.
fn compact(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', ", ");
    error.span().map_or_else(
        || message.clone(),
        |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count();
            let written = text.lines().nth(line).unwrap_or_default().trim();
            format!("line {} ({}): {message}", line + 1, written.chars().take(60).collect::<String>())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_manifest_is_all_defaults() {
        assert_eq!(Manifest::parse("", "m").unwrap(), Manifest::default());
    }

    #[test]
    fn mistakes_name_the_line_and_the_key() {
        let error = Manifest::parse("schema = 1\npoling = \"mean\"\n", "m").unwrap_err();
        assert!(
            error.message.contains("line 2 (poling") && error.message.contains("unknown field"),
            "{error}"
        );
        let error = Manifest::parse("schema = 2", "m").unwrap_err();
        assert_eq!(error.message, "model.toml: schema: expected 1, got 2");
    }

    #[test]
    fn defaults_fill_only_what_is_left_out() {
        let mut manifest = Manifest::parse("[execution]\nintra_threads = 2", "m").unwrap();
        let defaults: ManifestDefaults =
            toml::from_str("[execution]\nintra_threads = 1\ninstances = 3\n[queue]\nmax_size = 7").unwrap();
        manifest.apply_defaults(&defaults);
        assert_eq!(manifest.execution.intra_threads.map(NonZeroUsize::get), Some(2));
        assert_eq!(manifest.execution.instances.map(NonZeroUsize::get), Some(3));
        assert_eq!(manifest.queue.max_size.map(NonZeroUsize::get), Some(7));
    }

    #[test]
    fn a_description_of_lower_rank_fills_only_what_is_left_out() {
        let mut manifest = Manifest::parse("max_length = 8\n[outputs]\nscores = \"a\"", "m").unwrap();
        let lower = Manifest::parse(
            "max_length = 16\npooling = \"cls\"\n[outputs]\nscores = \"b\"\nlabel = \"c\"\n[batching]\nmax_batch_size = 4",
            "m",
        );
        manifest.fill(&lower.unwrap());
        assert_eq!(manifest.max_length.map(NonZeroUsize::get), Some(8));
        assert_eq!(manifest.pooling, Some(Pooling::Cls));
        assert_eq!(manifest.outputs.scores.as_deref(), Some("a"));
        assert_eq!(manifest.outputs.label.as_deref(), Some("c"));
        assert_eq!(manifest.batching.max_batch_size.map(NonZeroUsize::get), Some(4));
    }

    #[test]
    fn version_policies() {
        let policy = |text: &str| Manifest::parse(text, "m").map(|manifest| manifest.versions);
        assert_eq!(policy("versions = \"latest\"").unwrap(), Some(VersionPolicy::Named(NamedPolicy::Latest)));
        assert_eq!(policy("versions = [1, 3]").unwrap(), Some(VersionPolicy::Only(vec![1, 3])));
        let two = NonZeroUsize::new(2).unwrap();
        assert_eq!(policy("versions = { latest = 2 }").unwrap(), Some(VersionPolicy::Latest { latest: two }));
        assert!(policy("versions = \"newest\"").is_err());
    }
}
