//! The files of sentence-transformers: what follows the encoder, and how texts are put to it.
//!
//! `modules.json` lists the steps, `1_Pooling/config.json` says how token vectors become one,
//! `sentence_bert_config.json` the longest text, `config_sentence_transformers.json` the prompts.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

use super::hugging_face::json;
use super::{Description, Place, Sentence};
use crate::model::{Pooling, TaskKind};

const FILES: [&str; 4] = [
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceBert {
    max_seq_length: Option<NonZeroUsize>,
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

/// Names of the pooling modes, in the order in which several are joined.
const MODES: [(&str, &str, Pooling); 6] = [
    ("pooling_mode_cls_token", "cls", Pooling::Cls),
    ("pooling_mode_max_tokens", "max", Pooling::Max),
    ("pooling_mode_mean_tokens", "mean", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", "lasttoken", Pooling::LastToken),
];

/// True where one of the files is there.
pub(super) fn is_there(place: &Place<'_>) -> bool {
    FILES.iter().any(|file| place.holds(file))
}

/// Adds what the files say.
pub(super) fn read(place: &Place<'_>, found: &mut Description) -> Result<(), String> {
    found.note("recognised: a sentence-transformers model");
    found.manifest.task = Some(TaskKind::TextEmbedding);
    let modules: Vec<Module> = json(place, "modules.json")?.unwrap_or_default();
    let is = |module: &Module, kind: &str| module.kind.rsplit('.').next() == Some(kind);
    let known = ["Transformer", "Pooling", "Normalize"];
    let others = modules.iter().filter(|module| !known.iter().any(|kind| is(module, kind)));
    let layers = others.map(|module| module.kind.rsplit('.').next().unwrap_or_default().to_owned()).collect();
    let folder = modules.iter().find(|module| is(module, "Pooling")).map(|module| module.path.as_str());
    // Without the list of modules there is only the usual place, which may be empty.
    let is_usual = modules.is_empty() && place.holds("1_Pooling/config.json");
    let folder = if is_usual { Some("1_Pooling") } else { folder };
    let usual = if modules.is_empty() { Pooling::Mean } else { Pooling::None };
    let normalize = modules.iter().any(|module| is(module, "Normalize"));
    let has_prompt = prompts(place, found)?;
    let pooling = folder.map(|folder| pooling(place, folder, has_prompt)).transpose()?.unwrap_or(Some(usual));
    found.sentence = Some(Sentence { pooling, normalize, layers });
    let limits: SentenceBert = json(place, "sentence_bert_config.json")?.unwrap_or_default();
    found.manifest.max_length = limits.max_seq_length;
    found.manifest.lowercase = limits.do_lower_case.then_some(true);
    Ok(())
}

/// The prompt that stands before every text by default.
fn prompts(place: &Place<'_>, found: &mut Description) -> Result<bool, String> {
    let Prompts { mut prompts, default_prompt_name } =
        json(place, "config_sentence_transformers.json")?.unwrap_or_default();
    if let Some(name) = default_prompt_name {
        let prompt = prompts.remove(&name).ok_or_else(|| {
            format!("config_sentence_transformers.json: default_prompt_name: there is no prompt {name:?}")
        })?;
        found.note(format!("recognised: the prompt {name:?} stands before every text"));
        found.manifest.prompt = Some(prompt).filter(|prompt| !prompt.is_empty());
    } else if prompts.values().any(|prompt| !prompt.is_empty()) {
        let names: Vec<&str> = prompts.keys().map(String::as_str).collect();
        found.note(format!("ignored: the prompts {}: none is the default", names.join(", ")));
    }
    Ok(found.manifest.prompt.is_some())
}

/// The one pooling mode; none where there are several.
fn pooling(place: &Place<'_>, folder: &str, has_prompt: bool) -> Result<Option<Pooling>, String> {
    let file = format!("{}/config.json", folder.trim_end_matches('/'));
    let Some(config) = json::<BTreeMap<String, Value>>(place, &file)? else {
        return Err(format!("{file}: no such file, and modules.json says that pooling is told there"));
    };
    if has_prompt && config.get("include_prompt") == Some(&Value::Bool(false)) {
        return Err(format!(
            "{file}: include_prompt: pooling without the prompt's tokens is not supported; set it to true if the \
             model allows it, or export the graph with its pooling (an output sentence_embedding)"
        ));
    }
    let named = config.get("pooling_mode").and_then(Value::as_str);
    let is_on = |(key, name, _): &&(&str, &str, Pooling)| {
        config.get(*key) == Some(&Value::Bool(true)) || named == Some(*name)
    };
    let modes: Vec<Pooling> = MODES.iter().filter(is_on).map(|(_, _, mode)| *mode).collect();
    match modes.as_slice() {
        [] if named.is_some() => {
            Err(format!("{file}: pooling_mode {:?} is unknown", named.unwrap_or_default()))
        }
        // The library's default.
        [] => Ok(Some(Pooling::Mean)),
        [only] => Ok(Some(*only)),
        _ => Ok(None),
    }
}
