//! Execution providers: from a manifest's words to the runtime's options.
//!
//! Strict: a provider that is asked for and can't be had is an error that says why. What the
//! manifest gives in a provider's own table is passed on as it is and wins over what is set here.

use std::collections::BTreeMap;
use std::path::Path;

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;

use super::beside;
use super::message::tidy;
use super::reason::explained;
use super::stream::Stream;
use super::{LoadError, Runtime};
use crate::gpu::{self, DriverError};
use crate::model::{Execution, Precision, ProviderKind};
use crate::units::ByteSize;

/// One provider of a session to be.
#[derive(Clone, Copy)]
pub(super) struct ProviderRequest<'a> {
    pub(super) kind: ProviderKind,
    pub(super) precision: Precision,
    pub(super) intra_threads: usize,
    pub(super) target: Target<'a>,
    pub(super) execution: &'a Execution,
}

/// The device that a session is for, and what TensorRT builds for it.
#[derive(Clone, Copy, Default)]
pub(super) struct Target<'a> {
    /// CUDA's number of the device.
    pub(super) device: Option<u32>,
    /// The stream that all providers of the session share.
    pub(super) stream: Option<&'a Stream>,
    /// Where engines that were built once are kept.
    pub(super) engines: Option<&'a Path>,
    /// The shapes that engines are for.
    pub(super) ranges: &'a [(&'static str, String)],
}

impl Target<'_> {
    fn options(self) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        options.extend(self.device.map(|device| ("device_id", device.to_string())));
        if let Some(stream) = self.stream {
            options.push(("has_user_compute_stream", "1".into()));
            options.push(("user_compute_stream", stream.address()));
        }
        options
    }
}

/// Adds the provider to the session's options, behind those added before.
pub(super) fn register(
    builder: &mut SessionBuilder,
    runtime: &Runtime,
    request: ProviderRequest<'_>,
) -> Result<(), LoadError> {
    let kind = request.kind;
    if !runtime.has_provider(kind) {
        return Err(unavailable(kind, missing_reason(kind, runtime)));
    }
    let provider = request.dispatch()?;
    if matches!(kind, ProviderKind::Cuda | ProviderKind::Tensorrt) {
        beside::preload(runtime.path());
    }
    provider.register(builder).map_err(|error| failed(kind, tidy(&error.to_string())))
}

pub(super) fn unavailable(provider: ProviderKind, reason: impl Into<String>) -> LoadError {
    LoadError::Provider { provider, reason: reason.into() }
}

/// The same, of what the runtime says: with what it means.
pub(super) fn failed(provider: ProviderKind, reason: String) -> LoadError {
    unavailable(provider, explained(provider, reason, driver))
}

/// Whether the manifest asks for CUDA graphs.
pub(super) fn captures(kind: ProviderKind, execution: &Execution) -> bool {
    let asked = |table: &Option<BTreeMap<String, String>>, key: &str| {
        let value = table.as_ref().and_then(|table| table.get(key)).map(|value| value.to_lowercase());
        value.is_some_and(|value| ["1", "true"].contains(&value.as_str()))
    };
    match kind {
        ProviderKind::Cuda => asked(&execution.cuda, "enable_cuda_graph"),
        ProviderKind::Tensorrt => asked(&execution.tensorrt, "trt_cuda_graph_enable"),
        ProviderKind::Cpu | ProviderKind::Openvino => false,
    }
}

/// What there is of a driver.
fn driver() -> String {
    match gpu::driver() {
        Ok(driver) => format!(
            "driver {} runs CUDA up to {}.{}, devices: {}",
            driver.version, driver.cuda.0, driver.cuda.1, driver.devices
        ),
        Err(DriverError::LibraryNotFound(_)) => "no NVIDIA driver: libnvidia-ml.so.1 was not found".into(),
        Err(error) => error.to_string(),
    }
}

fn missing_reason(kind: ProviderKind, runtime: &Runtime) -> String {
    let flavour = match kind {
        ProviderKind::Openvino => "`onnxruntime-openvino` (the `openvino` image)",
        ProviderKind::Cpu | ProviderKind::Cuda | ProviderKind::Tensorrt => {
            "`onnxruntime-gpu` (the `cuda` image)"
        }
    };
    format!(
        "this ONNX Runtime library ({}) was built without it; the library of {flavour} has it",
        runtime.version()
    )
}

impl ProviderRequest<'_> {
    fn dispatch(self) -> Result<ExecutionProviderDispatch, LoadError> {
        let made = self.made_options()?;
        Ok(match self.kind {
            // The arena saves a transformer about 2 % (page faults) and costs a tiny graph 0.2 µs a run.
            ProviderKind::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
            ProviderKind::Openvino => {
                self.configured(ep::OpenVINO::default(), made, self.execution.openvino.as_ref())?.build()
            }
            ProviderKind::Cuda => {
                self.configured(ep::CUDA::default(), made, self.execution.cuda.as_ref())?.build()
            }
            ProviderKind::Tensorrt => {
                self.configured(ep::TensorRT::default(), made, self.execution.tensorrt.as_ref())?.build()
            }
        }
        .error_on_failure())
    }

    /// The options that the precision and the number of threads ask for.
    fn made_options(self) -> Result<Vec<(&'static str, String)>, LoadError> {
        use Precision::{Bf16, Fp16, Fp32, Int8};
        let lacking = |hint: &str| LoadError::Precision {
            provider: self.kind,
            precision: precision_name(self.precision),
            hint: hint.into(),
        };
        Ok(match (self.kind, self.precision) {
            (ProviderKind::Cpu, Fp32) => vec![],
            (ProviderKind::Cpu, Bf16) => {
                return Err(lacking("on the CPU the provider openvino has it"));
            }
            (ProviderKind::Cpu, Fp16 | Int8) => {
                return Err(lacking("convert or quantize the graph itself, and leave `precision` out"));
            }
            (ProviderKind::Openvino, Int8) => {
                return Err(lacking("quantize the graph itself, and leave `precision` out"));
            }
            // Without its instructions the library would quietly take another precision.
            (ProviderKind::Openvino, Bf16) if self.openvino_device() == "CPU" && !cpu_has_bf16() => {
                return Err(lacking("this CPU has no bfloat16 instructions"));
            }
            (ProviderKind::Openvino, Fp16) if self.openvino_device() == "CPU" && !cpu_has_fp16() => {
                return Err(lacking("this CPU has no half-precision instructions"));
            }
            (ProviderKind::Openvino, precision) => self.openvino_options(precision)?,
            // Not TF32: `fp32` means single precision. The table `cuda` can set `use_tf32 = "1"`.
            (ProviderKind::Cuda, Fp32) => self.cuda_options(),
            (ProviderKind::Cuda, Bf16 | Fp16 | Int8) => {
                return Err(lacking("convert the graph itself, or use the provider tensorrt"));
            }
            (ProviderKind::Tensorrt, precision) => self.tensorrt_options(precision)?,
        })
    }

    /// An arena that grows by what is asked for: warm-up runs every shape, and doubling would take up to twice what
    /// they need from other models on the device.
    fn cuda_options(self) -> Vec<(&'static str, String)> {
        let mut options =
            vec![("use_tf32", "0".into()), ("arena_extend_strategy", "kSameAsRequested".into())];
        options.extend(self.target.options());
        options
    }

    /// Engines take minutes to build: where there is a folder for them they are kept, with the timings of kernels by
    /// which they were chosen.
    fn tensorrt_options(self, precision: Precision) -> Result<Vec<(&'static str, String)>, LoadError> {
        let mut options = self.target.options();
        match precision {
            Precision::Fp32 => {}
            Precision::Bf16 => options.push(("trt_bf16_enable", "1".into())),
            Precision::Fp16 => options.push(("trt_fp16_enable", "1".into())),
            Precision::Int8 => options.push(("trt_int8_enable", "1".into())),
        }
        options.extend(self.target.ranges.iter().cloned());
        let Some(folder) = self.target.engines else { return Ok(options) };
        let path =
            folder.to_str().ok_or_else(|| unavailable(self.kind, "the cache folder's path is no UTF-8"))?;
        std::fs::create_dir_all(folder).map_err(|error| {
            unavailable(
                self.kind,
                format!("no folder for its engines can be made in `models.cache_dir`: {error}"),
            )
        })?;
        for (enabled, at) in [
            ("trt_engine_cache_enable", "trt_engine_cache_path"),
            ("trt_timing_cache_enable", "trt_timing_cache_path"),
        ] {
            options.extend([(enabled, "1".to_owned()), (at, path.to_owned())]);
        }
        Ok(options)
    }

    fn openvino_device(self) -> String {
        let table = self.execution.openvino.as_ref();
        table.and_then(|table| table.get("device_type")).cloned().unwrap_or_else(|| "CPU".into())
    }

    /// One stream and as many threads as the session may use, on any core: pinned, as they are by default,
    /// the threads of all sessions would share the first one. The precision as a hint, which the
    /// provider's own option `precision` does not offer on the CPU. The hint is given for single
    /// precision too, because the library picks bfloat16 by itself where the CPU has it.
    fn openvino_options(self, precision: Precision) -> Result<Vec<(&'static str, String)>, LoadError> {
        let configured =
            self.execution.openvino.as_ref().is_some_and(|table| table.contains_key("load_config"));
        if configured && precision != Precision::Fp32 {
            return Err(unavailable(
                self.kind,
                "both `precision` and `load_config` are set; put the precision hint into `load_config`",
            ));
        }
        let hint = match precision {
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "f16",
            Precision::Fp32 | Precision::Int8 => "f32",
        };
        let device = self.openvino_device();
        let threads = if device == "CPU" {
            format!(
                r#","INFERENCE_NUM_THREADS":"{}","NUM_STREAMS":"1","ENABLE_CPU_PINNING":"NO""#,
                self.intra_threads
            )
        } else {
            String::new()
        };
        let config = format!(r#"{{"{device}":{{"INFERENCE_PRECISION_HINT":"{hint}"{threads}}}}}"#);
        Ok(vec![("device_type", device), ("load_config", config)])
    }

    fn configured<P: ArbitrarilyConfigurableExecutionProvider>(
        self,
        mut provider: P,
        made: Vec<(&'static str, String)>,
        table: Option<&BTreeMap<String, String>>,
    ) -> Result<P, LoadError> {
        for (key, value) in made {
            provider = provider.with_arbitrary_config(key, value);
        }
        for (key, value) in table.into_iter().flatten() {
            // The crate panics on it.
            if key.contains('\0') || value.contains('\0') {
                return Err(unavailable(self.kind, format!("its option {key:?} holds a NUL character")));
            }
            provider = provider.with_arbitrary_config(key, plain(self.kind, key, value)?);
        }
        Ok(provider)
    }
}

/// Options whose value is a number of bytes: people write it with a unit.
const SIZES: [&str; 3] = ["gpu_mem_limit", "trt_max_workspace_size", "trt_context_memory_size"];

/// An option's value as the runtime reads it.
fn plain(kind: ProviderKind, key: &str, value: &str) -> Result<String, LoadError> {
    let is_plain = value.trim().bytes().all(|byte| byte.is_ascii_digit());
    if !SIZES.contains(&key) || is_plain {
        return Ok(value.to_owned());
    }
    let size: Result<ByteSize, _> = value.parse();
    let size = size.map_err(|error| unavailable(kind, format!("its option {key} = {value:?}: {error}")))?;
    Ok(size.0.to_string())
}

pub(super) const fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Bf16 => "bf16",
        Precision::Fp16 => "fp16",
        Precision::Int8 => "int8",
    }
}

fn cpu_has_fp16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512fp16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("fp16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

pub(super) fn cpu_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(
        kind: ProviderKind,
        precision: Precision,
        execution: &Execution,
    ) -> Result<Vec<(&'static str, String)>, LoadError> {
        ProviderRequest {
            kind,
            precision,
            intra_threads: 3,
            target: Target { device: Some(1), ..Target::default() },
            execution,
        }
        .made_options()
    }

    #[test]
    fn a_precision_that_a_provider_lacks_is_an_error_with_advice() {
        let none = Execution::default();
        let error = options(ProviderKind::Cpu, Precision::Bf16, &none).unwrap_err().to_string();
        assert_eq!(error, "provider cpu has no precision bf16: on the CPU the provider openvino has it");
        assert!(options(ProviderKind::Cuda, Precision::Fp16, &none).is_err());
        assert!(options(ProviderKind::Openvino, Precision::Int8, &none).is_err());
        assert_eq!(
            options(ProviderKind::Tensorrt, Precision::Fp16, &none).unwrap(),
            [("device_id", "1".to_owned()), ("trt_fp16_enable", "1".to_owned())]
        );
    }

    #[test]
    fn cuda_gets_its_device_single_precision_and_an_arena_that_takes_what_it_needs() {
        let made = options(ProviderKind::Cuda, Precision::Fp32, &Execution::default()).unwrap();
        let expected = [("use_tf32", "0"), ("arena_extend_strategy", "kSameAsRequested"), ("device_id", "1")];
        assert_eq!(made, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn tensorrt_keeps_engines_and_timings_where_there_is_a_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("engines/m");
        let execution = Execution::default();
        let ranges = [("trt_profile_min_shapes", "x:1x4".to_owned())];
        let request = ProviderRequest {
            kind: ProviderKind::Tensorrt,
            precision: Precision::Fp32,
            intra_threads: 1,
            target: Target { engines: Some(&folder), ranges: &ranges, ..Target::default() },
            execution: &execution,
        };
        let made: BTreeMap<_, _> = request.made_options().unwrap().into_iter().collect();
        assert_eq!(made["trt_profile_min_shapes"], "x:1x4");
        assert_eq!(made["trt_engine_cache_enable"], "1");
        assert_eq!(made["trt_timing_cache_enable"], "1");
        assert_eq!(Path::new(&made["trt_engine_cache_path"]), folder);
        assert_eq!(made["trt_timing_cache_path"], made["trt_engine_cache_path"]);
        assert!(folder.is_dir());
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let blocked = ProviderRequest {
            target: Target { engines: Some(&file.join("engines")), ..Target::default() },
            ..request
        };
        let error = blocked.made_options().unwrap_err().to_string();
        assert!(error.contains("models.cache_dir"), "{error}");
    }

    #[test]
    fn sizes_may_have_a_unit() {
        let of = |key, value| plain(ProviderKind::Cuda, key, value);
        assert_eq!(of("gpu_mem_limit", "2GiB").unwrap(), "2147483648");
        assert_eq!(of("gpu_mem_limit", "1024").unwrap(), "1024");
        assert_eq!(of("cudnn_conv_algo_search", "HEURISTIC").unwrap(), "HEURISTIC");
        let error = of("gpu_mem_limit", "much").unwrap_err().to_string();
        assert!(error.contains("gpu_mem_limit = \"much\": expected a number with a unit"), "{error}");
    }

    #[test]
    fn openvino_gets_its_precision_as_a_hint() {
        let made = options(ProviderKind::Openvino, Precision::Fp32, &Execution::default()).unwrap();
        let config = r#"{"CPU":{"INFERENCE_PRECISION_HINT":"f32","INFERENCE_NUM_THREADS":"3","NUM_STREAMS":"1","ENABLE_CPU_PINNING":"NO"}}"#;
        assert_eq!(made, [("device_type", "CPU".to_owned()), ("load_config", config.to_owned())]);
        let table = BTreeMap::from([
            ("load_config".to_owned(), "{}".to_owned()),
            ("device_type".to_owned(), "GPU.1".to_owned()),
        ]);
        let execution = Execution { openvino: Some(table), ..Execution::default() };
        assert!(matches!(
            options(ProviderKind::Openvino, Precision::Fp16, &execution),
            Err(LoadError::Provider { .. })
        ));
    }
}
