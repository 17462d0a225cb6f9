//! Where the settings are written, and the manifest with them: everything else in it, comments
//! included, stays as it is.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use super::arguments::TuneArguments;
use super::setting::Setting;
use super::subject::Subject;
use crate::cli::Failure;
use crate::model::{Batching, Execution, Manifest, ProviderKind, Tolerance};

/// The manifest's name.
const MANIFEST: &str = "model.toml";

/// What becomes of the result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// It is written here.
    File(PathBuf),
    /// It is only shown, because of this.
    Shown(String),
}

impl Target {
    /// Finds out before anything is measured whether the result can be written.
    ///
    /// # Errors
    /// When it can't be written where it should.
    pub(super) fn choose(arguments: &TuneArguments, subject: &Subject) -> Result<Self, Failure> {
        let (file, flag) = match &arguments.output {
            Some(file) => (file.clone(), "--output "),
            None if arguments.dry_run => return Ok(Self::Shown("--dry-run".to_owned())),
            None if Path::new(plain(&arguments.model)).is_file() => {
                let reason = "a single .onnx file has no model.toml: make it a folder with the graph as model.onnx \
                              and this as model.toml beside it";
                return Ok(Self::Shown(reason.to_owned()));
            }
            None => (subject.source().folder.join(MANIFEST), ""),
        };
        // A link stays a link: what it leads to is replaced.
        let file = file.canonicalize().unwrap_or(file);
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let probe = folder.join(format!(".{MANIFEST}.{}", std::process::id()));
        let refused = |error: std::io::Error| {
            Failure::failed(format!(
                "{flag}{} can't be written: {error}; --dry-run shows the settings, --output FILE writes them elsewhere",
                file.display()
            ))
        };
        std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)).map_err(refused)?;
        if file.is_dir() {
            return Err(refused(std::io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self::File(file))
    }
}

/// The path without `NAME=`.
fn plain(given: &str) -> &str {
    match given.split_once('=') {
        Some((name, path)) if !name.contains('/') => path,
        _ => given,
    }
}

/// The manifest's text as it is now; empty where there is none.
pub(super) fn present_text(subject: &Subject) -> Result<String, Failure> {
    match std::fs::read_to_string(subject.source().folder.join(MANIFEST)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::failed(format!("{MANIFEST}: {error}"))),
    }
}

/// Writes by rename, with the permissions of the file that was there.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", file.display()));
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let staged = file.with_file_name(name);
    std::fs::write(&staged, text).map_err(failed)?;
    if let Ok(metadata) = std::fs::metadata(file) {
        std::fs::set_permissions(&staged, metadata.permissions()).map_err(failed)?;
    }
    std::fs::rename(&staged, file).map_err(failed)
}

/// The manifest with what differs between `now` and `chosen`; `wider` are the golden samples that need
/// another tolerance for the chosen provider.
///
/// # Errors
/// When the result would say anything else than what was there and these settings.
pub(super) fn edited(
    text: &str,
    (now, chosen): (&Setting, &Setting),
    wider: &[(usize, f64)],
) -> Result<String, String> {
    let mut document = text.parse::<DocumentMut>().map_err(|error| format!("{MANIFEST}: {error}"))?;
    if document.is_empty() && chosen != now {
        set(document.as_table_mut(), "schema", 1_i64)?;
    }
    if chosen.numerics != now.numerics {
        let provider = chosen.numerics.provider;
        let execution = section(&mut document, "execution")?;
        set(execution, "providers", toml_edit::Array::from_iter([provider.name()]))?;
        set(execution, "precision", chosen.numerics.precision_name())?;
        widen(&mut document, provider, wider)?;
    }
    if chosen.shape != now.shape {
        let execution = section(&mut document, "execution")?;
        set(execution, "instances", integer(chosen.shape.instances)?)?;
        set(execution, "intra_threads", integer(chosen.shape.intra_threads)?)?;
    }
    if chosen.max_batch_size != now.max_batch_size {
        let batching = section(&mut document, "batching")?;
        set(batching, "max_batch_size", integer(chosen.max_batch_size)?)?;
    }
    if let Some(tokens) = chosen.max_batch_tokens.filter(|_| chosen.max_batch_tokens != now.max_batch_tokens)
    {
        set(section(&mut document, "batching")?, "max_batch_tokens", integer(tokens)?)?;
    }
    let result = document.to_string();
    only_settings_differ(text, &result)?;
    Ok(result)
}

/// Gives golden samples a tolerance for one provider; their others stay.
fn widen(document: &mut DocumentMut, provider: ProviderKind, wider: &[(usize, f64)]) -> Result<(), String> {
    for &(index, bound) in wider {
        let golden = document.get_mut("golden").and_then(|golden| match golden {
            Item::ArrayOfTables(tables) => {
                tables.get_mut(index).map(|table| table as &mut dyn toml_edit::TableLike)
            }
            Item::Value(Value::Array(list)) => {
                let table = list.get_mut(index).and_then(Value::as_inline_table_mut);
                table.map(|table| table as &mut dyn toml_edit::TableLike)
            }
            _ => None,
        });
        let golden = golden.ok_or_else(|| format!("{MANIFEST}: no golden sample {index}"))?;
        let both = golden.get("tolerance").and_then(Item::as_value).and_then(number);
        if golden.get("tolerance").is_none() || both.is_some() {
            let mut table = InlineTable::new();
            if let Some(both) = both {
                table.insert("absolute", both.into());
                table.insert("relative", both.into());
            }
            set(golden, "tolerance", table)?;
        }
        let tolerance = golden.get_mut("tolerance").and_then(Item::as_table_like_mut);
        let tolerance =
            tolerance.ok_or_else(|| format!("{MANIFEST}: golden[{index}].tolerance is no table"))?;
        if tolerance.get("providers").is_none() {
            set(tolerance, "providers", InlineTable::new())?;
        }
        let providers = tolerance.get_mut("providers").and_then(Item::as_table_like_mut);
        let providers = providers
            .ok_or_else(|| format!("{MANIFEST}: golden[{index}].tolerance.providers is no table"))?;
        set(providers, provider.name(), bound)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a tolerance is a small number")]
fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

fn integer(number: usize) -> Result<i64, String> {
    i64::try_from(number).map_err(|_| format!("{number} is too large"))
}

fn section<'a>(
    document: &'a mut DocumentMut,
    name: &str,
) -> Result<&'a mut dyn toml_edit::TableLike, String> {
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_like_mut().ok_or_else(|| format!("{MANIFEST}: {name} is no table"))
}

/// Sets a value; the comment behind the old one stays.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, value: impl Into<Value>) -> Result<(), String> {
    let mut value = value.into();
    if let Some(old) = table.get(key) {
        let old = old.as_value().ok_or_else(|| format!("{MANIFEST}: {key} is no value"))?;
        value.decor_mut().clone_from(old.decor());
    }
    table.insert(key, Item::Value(value));
    Ok(())
}

/// Reads both and compares: a manifest must never lose a word to an edit.
fn only_settings_differ(before: &str, after: &str) -> Result<(), String> {
    let read = |text: &str| -> Result<Manifest, String> {
        let mut manifest = Manifest::parse(text, MANIFEST).map_err(|problem| problem.message)?;
        let Execution { providers, precision, instances, intra_threads, .. } = &mut manifest.execution;
        (*providers, *precision, *instances, *intra_threads) = (None::<Vec<ProviderKind>>, None, None, None);
        let Batching { max_batch_size, max_batch_tokens, .. } = &mut manifest.batching;
        (*max_batch_size, *max_batch_tokens) = (None, None);
        for golden in &mut manifest.golden {
            golden.tolerance = Tolerance::default();
        }
        manifest.schema = None;
        Ok(manifest)
    };
    if read(before)? == read(after)? {
        return Ok(());
    }
    Err(format!("{MANIFEST}: the settings can't be put in without changing more than them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tune::setting::{Numerics, Shape};
    use crate::model::Precision;

    fn setting(provider: ProviderKind, shape: (usize, usize), rows: usize, tokens: Option<usize>) -> Setting {
        let precision = if provider == ProviderKind::Cpu { Precision::Fp32 } else { Precision::Bf16 };
        Setting {
            numerics: Numerics { provider, precision, variant: None },
            shape: Shape { instances: shape.0, intra_threads: shape.1 },
            max_batch_size: rows,
            max_batch_tokens: tokens,
        }
    }

    #[test]
    fn comments_order_and_other_fields_stay() {
        let text = "# ours\nschema = 1\n\n[execution] # how\ninstances = 4 # as measured in May\n\n\
                    [[golden]]\ninput = [1.0]\nexpected = { y = [2.0] } # right\n";
        let now = setting(ProviderKind::Cpu, (4, 1), 32, None);
        let result = edited(text, (&now, &setting(ProviderKind::Cpu, (2, 2), 8, None)), &[]).unwrap();
        let expected = "# ours\nschema = 1\n\n[execution] # how\ninstances = 2 # as measured in May\nintra_threads = 2\n\n\
                        [[golden]]\ninput = [1.0]\nexpected = { y = [2.0] } # right\n\n[batching]\nmax_batch_size = 8\n";
        assert_eq!(result, expected);
    }

    #[test]
    fn what_does_not_differ_is_not_written() {
        let text = "name = \"m\"\n";
        let now = setting(ProviderKind::Cpu, (2, 1), 32, None);
        assert_eq!(edited(text, (&now, &now), &[]).unwrap(), text);
        let tokens = edited(text, (&now, &setting(ProviderKind::Cpu, (2, 1), 32, Some(256))), &[]).unwrap();
        assert_eq!(tokens, "name = \"m\"\n\n[batching]\nmax_batch_tokens = 256\n");
    }

    #[test]
    fn an_empty_manifest_and_inline_tables() {
        let now = setting(ProviderKind::Cpu, (2, 1), 32, None);
        let bf16 = setting(ProviderKind::Openvino, (2, 1), 32, None);
        let fresh = edited("", (&now, &bf16), &[]).unwrap();
        assert_eq!(fresh, "schema = 1\n\n[execution]\nproviders = [\"openvino\"]\nprecision = \"bf16\"\n");
        let inline =
            edited("execution = { instances = 4, allow_fallback = true }\n", (&now, &bf16), &[]).unwrap();
        let manifest = Manifest::parse(&inline, "m").unwrap();
        assert_eq!(manifest.execution.allow_fallback, Some(true));
        assert_eq!(manifest.execution.providers, Some(vec![ProviderKind::Openvino]));
    }

    #[test]
    fn golden_samples_get_a_tolerance_for_the_provider() {
        let text = "[[golden]]\ninput = \"a\"\nexpected = { x = 1 }\n\n[[golden]]\ninput = \"b\"\n\
                    expected = { x = 1 }\ntolerance = 0.01 # ours\n";
        let now = setting(ProviderKind::Cpu, (2, 1), 32, None);
        let bf16 = setting(ProviderKind::Openvino, (2, 1), 32, None);
        let result = edited(text, (&now, &bf16), &[(0, 0.004), (1, 0.05)]).unwrap();
        assert!(result.contains("# ours"), "{result}");
        let golden = Manifest::parse(&result, "m").unwrap().golden;
        let allows = |index: usize, actual: f64, provider| {
            let sample: &crate::model::Golden = &golden[index];
            sample.tolerance.allows(0.0, actual, provider)
        };
        assert!(allows(0, 0.0039, ProviderKind::Openvino) && !allows(0, 0.0039, ProviderKind::Cpu));
        assert!(allows(0, 0.0009, ProviderKind::Cpu), "the default stays");
        assert!(allows(1, 0.049, ProviderKind::Openvino) && !allows(1, 0.049, ProviderKind::Cpu));
        assert!(allows(1, 0.0099, ProviderKind::Cpu), "its own stays");
    }

    #[test]
    fn names_before_a_path() {
        assert_eq!(plain("fraud=models/m.onnx"), "models/m.onnx");
        assert_eq!(plain("models/a=b.onnx"), "models/a=b.onnx");
    }
}
