//! Hugging Face's files: `config.json` and `tokenizer_config.json` of an export, and what hangs on
//! them (`sentence`, `image_processor`).
//!
//! Which model classes there are, what they call things and how scores are made of logits is
//! transformers' (`PretrainedConfig`, `TextClassificationPipeline`).

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

use super::{Description, Place, distinct, image_processor, sentence};
use crate::model::{Activation, Side, TaskKind};

/// A limit beyond this is the tokenizer's way to say that there is none.
const MOST_TOKENS: f64 = 1e9;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
    id2label: Option<BTreeMap<String, Value>>,
    problem_type: Option<String>,
    function_to_apply: Option<String>,
    sentence_transformers: Option<CrossEncoder>,
    sbert_ce_default_activation_function: Option<String>,
    max_position_embeddings: Option<f64>,
    n_positions: Option<f64>,
    pad_token_id: Option<f64>,
    matryoshka_dimensions: Option<Vec<f64>>,
}

/// What a cross-encoder of sentence-transformers adds, under a key of its own since version 4.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CrossEncoder {
    activation_fn: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
    truncation_side: Option<Side>,
}

/// What the files say; nothing where there are none.
pub(super) fn read(place: &Place<'_>) -> Result<Description, Vec<String>> {
    let mut found = Description::default();
    let (config, tokenizer) = match (json::<Config>(place, "config.json"), tokenizer(place)) {
        (Ok(config), Ok(tokenizer)) => (config, tokenizer),
        (config, tokenizer) => return Err(config.err().into_iter().chain(tokenizer.err()).collect()),
    };
    let is_sentence = sentence::is_there(place);
    if config.is_none() && !is_sentence {
        return Ok(found);
    }
    let config = config.unwrap_or_default();
    let class = |ending: &str| config.class().filter(|class| class.ends_with(ending));
    if let Some(class) = class("ForSequenceClassification") {
        found.note(format!("recognised: a Hugging Face export (config.json: {class})"));
        found.manifest.task = Some(TaskKind::TextClassification);
        classes(&config, &mut found)?;
    } else if is_sentence {
        sentence::read(place, &mut found).map_err(|problem| vec![problem])?;
    } else if let Some(class) = class("ForImageClassification") {
        found.note(format!("recognised: a Hugging Face export (config.json: {class})"));
        found.manifest.task = Some(TaskKind::ImageClassification);
        classes(&config, &mut found)?;
        image_processor::read(place, &mut found).map_err(|problem| vec![problem])?;
    } else {
        found.note(config.told());
        found.may_embed = true;
    }
    if found.manifest.tokenizer.is_none() {
        found.manifest.tokenizer = place.path_of("tokenizer.json");
    }
    if found.manifest.max_length.is_none() {
        found.manifest.max_length = max_length(&config, &tokenizer);
    }
    found.manifest.dimensions = config.dimensions();
    found.manifest.truncation_side = tokenizer.truncation_side;
    Ok(found)
}

/// Reads a JSON file; none where there is none.
pub(super) fn json<T: for<'de> Deserialize<'de>>(place: &Place<'_>, name: &str) -> Result<Option<T>, String> {
    let Some(text) = place.read(name)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| format!("{name}: {error}"))
}

fn tokenizer(place: &Place<'_>) -> Result<TokenizerConfig, String> {
    json(place, "tokenizer_config.json").map(Option::unwrap_or_default)
}

/// Model types that number positions from behind the padding's id, so that as many are of no use.
const POSITIONS_BEHIND_PADDING: [&str; 12] = [
    "camembert",
    "data2vec-text",
    "ibert",
    "lilt",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
];

/// `min(tokenizer_config, max_position_embeddings)`, as far as there are such numbers.
fn max_length(config: &Config, tokenizer: &TokenizerConfig) -> Option<NonZeroUsize> {
    let limits = [tokenizer.model_max_length, config.positions()];
    let least =
        limits.into_iter().flatten().filter(|most| (1.0..MOST_TOKENS).contains(most)).min_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between one and a thousand million"
    )]
    least.and_then(|most| NonZeroUsize::new(most as usize))
}

/// The names of the classes, and what makes scores of logits.
fn classes(config: &Config, found: &mut Description) -> Result<(), Vec<String>> {
    let labels = config.labels().map_err(|problem| vec![problem])?;
    found.manifest.activation = config.activation(labels.as_ref().map(Vec::len));
    if let Some(activation) = found.manifest.activation {
        found.note(format!("assumed: activation {} (config.json)", activation.name()));
    }
    found.manifest.labels = labels.map(distinct);
    Ok(())
}

impl Config {
    fn class(&self) -> Option<&str> {
        self.architectures.as_deref()?.first().map(String::as_str)
    }

    /// Positions that texts can have.
    fn positions(&self) -> Option<f64> {
        let positions = self.max_position_embeddings.or(self.n_positions)?;
        let kind = self.model_type.as_deref().unwrap_or_default();
        let is_behind = POSITIONS_BEHIND_PADDING.contains(&kind);
        Some(if is_behind { positions - self.pad_token_id.unwrap_or(1.0) - 1.0 } else { positions })
    }

    /// Lengths that a vector may be cut to.
    fn dimensions(&self) -> Option<Vec<NonZeroUsize>> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no length is left out"
        )]
        let lengths = self.matryoshka_dimensions.as_ref()?.iter().map(|length| *length as usize);
        Some(lengths.filter_map(NonZeroUsize::new).collect())
    }

    fn told(&self) -> String {
        let class = self.class().or(self.model_type.as_deref()).unwrap_or("no model class");
        format!(
            "recognised: config.json of {class}; it is no classifier and has no sentence-transformers files, so \
             that the graph's outputs decide; model.toml may name a task, such as task = \"text-embedding\""
        )
    }

    /// The labels in the order of their ids, which are 0, 1, 2 and so on.
    fn labels(&self) -> Result<Option<Vec<String>>, String> {
        let Some(named) = &self.id2label else { return Ok(None) };
        let mut ordered: Vec<(usize, String)> = Vec::with_capacity(named.len());
        for (id, label) in named {
            let id = id.parse().map_err(|_| format!("config.json: id2label: {id:?} is no class number"))?;
            let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
            ordered.push((id, label));
        }
        ordered.sort();
        if ordered.iter().enumerate().any(|(position, (id, _))| position != *id) {
            let count = ordered.len();
            return Err(format!(
                "config.json: id2label: expected the {count} numbers 0 to {}",
                count.max(1) - 1
            ));
        }
        Ok(Some(ordered.into_iter().map(|(_, label)| label).collect())
            .filter(|labels: &Vec<_>| !labels.is_empty()))
    }

    /// What transformers' pipeline applies, where it is not the softmax that is usual anyway.
    fn activation(&self, labels: Option<usize>) -> Option<Activation> {
        if let Some(function) = self.function_to_apply.as_deref() {
            return match function {
                "sigmoid" => Some(Activation::Sigmoid),
                "none" => Some(Activation::None),
                _ => None,
            };
        }
        let own = self.sentence_transformers.as_ref().and_then(|own| own.activation_fn.as_deref());
        let class = own.or(self.sbert_ce_default_activation_function.as_deref());
        // The module's path in PyTorch, such as torch.nn.modules.linear.Identity.
        match class.and_then(|class| class.rsplit('.').next()) {
            Some("Identity") => return Some(Activation::None),
            Some("Sigmoid") => return Some(Activation::Sigmoid),
            _ => {}
        }
        match self.problem_type.as_deref() {
            Some("multi_label_classification") => Some(Activation::Sigmoid),
            Some("regression") => Some(Activation::None),
            _ => (labels == Some(1)).then_some(Activation::Sigmoid),
        }
    }
}

#[cfg(test)]
mod tests;
