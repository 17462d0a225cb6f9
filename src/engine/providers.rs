//! Execution providers: from a manifest's words to the runtime's options.
//!
//! Strict: a provider that is asked for and can't be had is an error that says why. What the
//! manifest gives in a provider's own table is passed on as it is and wins over what is set here.

use std::collections::BTreeMap;

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;

use super::message::tidy;
use super::{LoadError, Runtime};
use crate::model::{Execution, Precision, ProviderKind};

/// One provider of a session to be.
#[derive(Clone, Copy)]
pub(super) struct ProviderRequest<'a> {
    pub(super) kind: ProviderKind,
    pub(super) precision: Precision,
    pub(super) intra_threads: usize,
    pub(super) execution: &'a Execution,
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
    provider.register(builder).map_err(|error| unavailable(kind, tidy(&error.to_string())))
}

/// The device that the provider runs on: `cpu`, or `cuda:0`.
pub(super) fn device(kind: ProviderKind, execution: &Execution) -> String {
    let option = |table: &Option<BTreeMap<String, String>>, key: &str| table.as_ref()?.get(key).cloned();
    match kind {
        ProviderKind::Cpu => "cpu".into(),
        ProviderKind::Openvino => option(&execution.openvino, "device_type")
            .map_or_else(|| "cpu".into(), |device| device.to_lowercase().replace('.', ":")),
        ProviderKind::Cuda | ProviderKind::Tensorrt => {
            let table = if kind == ProviderKind::Cuda { &execution.cuda } else { &execution.tensorrt };
            format!("cuda:{}", option(table, "device_id").unwrap_or_else(|| "0".into()))
        }
    }
}

pub(super) fn unavailable(provider: ProviderKind, reason: impl Into<String>) -> LoadError {
    LoadError::Provider { provider, reason: reason.into() }
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
            (ProviderKind::Cpu | ProviderKind::Tensorrt, Fp32) => vec![],
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
            (ProviderKind::Cuda, Fp32) => vec![("use_tf32", "0".into())],
            (ProviderKind::Cuda, Bf16 | Fp16 | Int8) => {
                return Err(lacking("convert the graph itself, or use the provider tensorrt"));
            }
            (ProviderKind::Tensorrt, Bf16) => vec![("trt_bf16_enable", "1".into())],
            (ProviderKind::Tensorrt, Fp16) => vec![("trt_fp16_enable", "1".into())],
            (ProviderKind::Tensorrt, Int8) => vec![("trt_int8_enable", "1".into())],
        })
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
            provider = provider.with_arbitrary_config(key, value);
        }
        Ok(provider)
    }
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
        ProviderRequest { kind, precision, intra_threads: 3, execution }.made_options()
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
            [("trt_fp16_enable", "1".to_owned())]
        );
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
        assert_eq!(device(ProviderKind::Openvino, &execution), "gpu:1");
        assert_eq!(device(ProviderKind::Tensorrt, &execution), "cuda:0");
    }
}
