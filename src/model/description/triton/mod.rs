//! `config.pbtxt` of a Triton model repository (model_config.proto of triton-inference-server/common).
//!
//! Honoured: `max_batch_size`, `version_policy`, `instance_group`, `dynamic_batching` with its delay,
//! priorities and default queue policy, `model_warmup`, `label_filename`, `default_model_filename`,
//! and inputs and outputs as a check against the graph. What is set beside is named in the notes.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::text_format::Message;
use super::{Declared, Description, Place};
use crate::model::{Manifest, NamedPolicy, ProviderKind, VersionPolicy};
use crate::tensor::DataType;
use crate::units::Timespan;

mod warmup;

pub use warmup::{Fill, WarmupSample};

const FILE: &str = "config.pbtxt";

/// Backends and platforms that run ONNX graphs.
const RUNS_ONNX: [&str; 3] = ["onnxruntime", "onnxruntime_onnx", ""];

/// What is set and can't be left out without giving other answers.
const CANNOT: [(&str, &str); 2] = [
    ("ensemble_scheduling", "an ensemble of models is not served; serve its models one by one"),
    ("sequence_batching", "models that keep state over a sequence of requests are not served"),
];

/// What `config.pbtxt` says; nothing where there is none.
pub(super) fn read(place: &Place<'_>) -> Result<Description, Vec<String>> {
    let text = place.read(FILE).map_err(|problem| vec![problem])?;
    let Some(text) = text else { return Ok(Description::default()) };
    let named = |problem: String| format!("{FILE}: {problem}");
    let message = Message::parse(&text).map_err(|problem| vec![named(problem)])?;
    let mut reader = Reader { place, found: Description::default(), problems: Vec::new(), left: Vec::new() };
    reader.read(message);
    if reader.problems.is_empty() {
        Ok(reader.finish())
    } else {
        Err(reader.problems.into_iter().map(named).collect())
    }
}

struct Reader<'a> {
    place: &'a Place<'a>,
    found: Description,
    problems: Vec<String>,
    /// Fields that are set and not honoured.
    left: Vec<String>,
}

/// Takes some fields out of a message.
type Step<'a> = fn(&mut Reader<'a>, &mut Message) -> Result<(), String>;

impl<'a> Reader<'a> {
    fn read(&mut self, mut message: Message) {
        self.backend(&mut message);
        let steps: [Step<'a>; 7] = [
            Self::batch_size,
            Self::file_name,
            Self::tensors,
            Self::version_policy,
            Self::instance_group,
            Self::dynamic_batching,
            Self::warmup,
        ];
        for step in steps {
            if let Err(problem) = step(self, &mut message) {
                self.problems.push(problem);
            }
        }
        for (field, why) in CANNOT {
            if !message.take(field).is_empty() {
                self.problems.push(format!("{field}: {why}"));
            }
        }
        self.leave("", &message);
    }

    fn finish(mut self) -> Description {
        self.found.notes.insert(0, format!("recognised: a Triton model ({FILE})"));
        if !self.left.is_empty() {
            self.found.note(format!("ignored: {} of {FILE}", self.left.join(", ")));
        }
        self.found
    }

    fn manifest(&mut self) -> &mut Manifest {
        &mut self.found.manifest
    }

    /// Notes the fields of a message that nobody took.
    fn leave(&mut self, within: &str, message: &Message) {
        self.left.extend(message.left().into_iter().map(|name| format!("{within}{name}")));
    }

    fn backend(&mut self, message: &mut Message) {
        // The folder, or `NAME=`, gives the name, as for every layout.
        message.take("name");
        for field in ["backend", "platform"] {
            match message.take_text(field) {
                Ok(Some(other)) if !RUNS_ONNX.contains(&other.as_str()) => self.problems.push(format!(
                    "{field}: {other:?} runs no ONNX graph: only ONNX models are served (backend: \"onnxruntime\")"
                )),
                Ok(_) => {}
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn batch_size(&mut self, message: &mut Message) -> Result<(), String> {
        match message.take_number::<u32>("max_batch_size")? {
            None | Some(0) => {
                self.manifest().batching.enabled = Some(false);
                self.found.note("assumed: no batching: max_batch_size is 0 or not set");
            }
            Some(most) => {
                self.found.batch_is_left_out = true;
                self.manifest().batching.max_batch_size = NonZeroUsize::new(most as usize);
            }
        }
        Ok(())
    }

    fn file_name(&mut self, message: &mut Message) -> Result<(), String> {
        let named = message.take_text("default_model_filename")?;
        self.manifest().graph = named.filter(|name| !name.is_empty());
        Ok(())
    }

    fn tensors(&mut self, message: &mut Message) -> Result<(), String> {
        for (field, is_input) in [("input", true), ("output", false)] {
            for mut tensor in message.take_messages(field)? {
                let name = tensor.take_text("name")?.ok_or_else(|| format!("{field}: one has no name"))?;
                let kind = tensor.take_text("data_type")?;
                let data_type = kind.map(|kind| data_type(&kind).ok_or((kind, &name))).transpose();
                let data_type = data_type.map_err(|(kind, name)| {
                    format!("{field} {name}: data_type: expected TYPE_FP32 or another type, got {kind:?}")
                })?;
                let dims = Some(tensor.take_numbers("dims")?);
                let has_reshape = tensor.left().contains(&"reshape");
                let dims = dims.filter(|dims| !has_reshape && !dims.is_empty());
                if let Some(file) = tensor.take_text("label_filename")?.filter(|file| !file.is_empty()) {
                    self.labels(&name, &file)?;
                }
                // Of no use to a graph that takes its own shapes.
                tensor.take("format");
                self.leave(&format!("{field} {name}."), &tensor);
                self.found.declared.push(Declared { is_input, name, data_type, dims });
            }
        }
        Ok(())
    }

    /// The labels of an output, a line each.
    fn labels(&mut self, output: &str, file: &str) -> Result<(), String> {
        let problem = |problem: String| format!("output {output}: label_filename: {problem}");
        let text = self.place.read(file).map_err(problem)?;
        let text = text.ok_or_else(|| problem(format!("{file}: no such file in the model's folder")))?;
        if self.manifest().labels.is_some() {
            self.left.push(format!("output {output}.label_filename (another output has labels)"));
            return Ok(());
        }
        let labels: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        self.found.note(format!("recognised: {} labels of output {output} ({file})", labels.len()));
        self.manifest().labels = Some(super::distinct(labels));
        self.manifest().outputs.scores = Some(output.to_owned());
        Ok(())
    }

    fn version_policy(&mut self, message: &mut Message) -> Result<(), String> {
        let Some(mut policy) = message.take_messages("version_policy")?.pop() else { return Ok(()) };
        let chosen = if let Some(mut latest) = policy.take_messages("latest")?.pop() {
            let count = latest.take_number::<u32>("num_versions")?.unwrap_or(1).max(1);
            let latest = NonZeroUsize::new(count as usize).unwrap_or(NonZeroUsize::MIN);
            VersionPolicy::Latest { latest }
        } else if let Some(mut specific) = policy.take_messages("specific")?.pop() {
            VersionPolicy::Only(specific.take_numbers("versions")?)
        } else {
            policy.take("all");
            VersionPolicy::Named(NamedPolicy::All)
        };
        self.leave("version_policy.", &policy);
        self.manifest().versions = Some(chosen);
        Ok(())
    }

    fn instance_group(&mut self, message: &mut Message) -> Result<(), String> {
        let (mut count, mut provider) = (0_usize, None);
        for mut group in message.take_messages("instance_group")? {
            let kind = group.take_text("kind")?.unwrap_or_else(|| "KIND_AUTO".to_owned());
            let wanted = match kind.as_str() {
                "KIND_GPU" => Some(ProviderKind::Cuda),
                "KIND_CPU" => Some(ProviderKind::Cpu),
                "KIND_AUTO" => None,
                other => return Err(format!("instance_group: kind {other}: expected KIND_CPU or KIND_GPU")),
            };
            if count > 0 && wanted != provider {
                self.left.push(format!("instance_group of {kind} (another kind stands before it)"));
                continue;
            }
            provider = wanted;
            let own = group.take_number::<u32>("count")?.unwrap_or(1).max(1) as usize;
            group.take("name");
            // `count` is for each GPU, and so is ours: groups of other GPUs stand beside each other.
            let beside = self.devices(&group.take_numbers("gpus")?);
            count = if beside { count.max(own) } else { count + own };
            self.leave("instance_group.", &group);
        }
        self.manifest().execution.instances = NonZeroUsize::new(count);
        self.manifest().execution.providers = provider.map(|provider| vec![provider]);
        Ok(())
    }

    /// Adds what is new of these; true when there is any beside others.
    fn devices(&mut self, gpus: &[u32]) -> bool {
        if gpus.is_empty() {
            return false;
        }
        let devices = self.manifest().execution.devices.get_or_insert_default();
        let before = devices.len();
        for gpu in gpus {
            if !devices.contains(gpu) {
                devices.push(*gpu);
            }
        }
        before > 0 && devices.len() > before
    }

    fn dynamic_batching(&mut self, message: &mut Message) -> Result<(), String> {
        let Some(mut dynamic) = message.take_messages("dynamic_batching")?.pop() else { return Ok(()) };
        let delay = dynamic.take_number::<u64>("max_queue_delay_microseconds")?;
        self.manifest().batching.max_queue_delay = delay.map(|delay| Timespan(Duration::from_micros(delay)));
        let levels = dynamic.take_number::<u32>("priority_levels")?;
        let default = dynamic.take_number::<u32>("default_priority_level")?;
        self.manifest().queue.priority_levels = levels.and_then(NonZeroU32::new);
        self.manifest().queue.default_priority = default.and_then(NonZeroU32::new);
        if let Some(mut policy) = dynamic.take_messages("default_queue_policy")?.pop() {
            let timeout = policy.take_number::<u64>("default_timeout_microseconds")?.filter(|us| *us > 0);
            let size = policy.take_number::<u32>("max_queue_size")?;
            let delays = policy.take_text("timeout_action")?.is_some_and(|action| action == "DELAY");
            if delays {
                self.left.push("dynamic_batching.default_queue_policy.timeout_action".to_owned());
            } else {
                self.manifest().queue.timeout = timeout.map(|us| Timespan(Duration::from_micros(us)));
            }
            self.manifest().queue.max_size = size.and_then(|size| NonZeroUsize::new(size as usize));
            self.leave("dynamic_batching.default_queue_policy.", &policy);
        }
        self.leave("dynamic_batching.", &dynamic);
        Ok(())
    }

    fn warmup(&mut self, message: &mut Message) -> Result<(), String> {
        for sample in message.take_messages("model_warmup")? {
            let sample = warmup::sample(sample, self.found.batch_is_left_out, self.place)?;
            self.found.warmup.push(sample);
        }
        Ok(())
    }
}

/// The element type of `TYPE_FP32` and the like.
fn data_type(name: &str) -> Option<DataType> {
    let name = name.strip_prefix("TYPE_")?;
    DataType::from_name(if name == "STRING" { "BYTES" } else { name })
}

#[cfg(test)]
mod tests;
