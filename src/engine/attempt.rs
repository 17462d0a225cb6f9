//! Which providers to try, in which precision, and what to try after a failure.

use super::LoadError;
use crate::model::{Execution, Precision, ProviderKind};

/// Providers and precision to try.
pub(super) struct Attempt {
    providers: Vec<ProviderKind>,
    pub(super) precision: Precision,
}

impl Attempt {
    /// What the manifest asks for; the CPU where it asks for nothing.
    pub(super) fn first_of(execution: &Execution) -> Self {
        let asked = execution.providers.clone().filter(|list| !list.is_empty());
        Self {
            providers: asked.unwrap_or_else(|| vec![ProviderKind::Cpu]),
            precision: execution.precision.unwrap_or_default(),
        }
    }

    /// The providers in line, each with its precision: that of the manifest is the first one's, those behind it
    /// take what it leaves over. Behind TensorRT stands CUDA, named or not: what TensorRT has no kernel for would
    /// be left to the CPU.
    pub(super) fn in_line(&self) -> Vec<(ProviderKind, Precision)> {
        let mut providers = self.providers.clone();
        let tensorrt = providers.iter().position(|&kind| kind == ProviderKind::Tensorrt);
        if let Some(position) = tensorrt
            && !providers.contains(&ProviderKind::Cuda)
        {
            providers.insert(position + 1, ProviderKind::Cuda);
        }
        let precision = |index| if index == 0 { self.precision } else { Precision::Fp32 };
        providers.into_iter().enumerate().map(|(index, kind)| (kind, precision(index))).collect()
    }

    pub(super) fn first(&self) -> ProviderKind {
        self.providers.first().copied().unwrap_or(ProviderKind::Cpu)
    }

    pub(super) fn is_cpu_alone(&self) -> bool {
        self.providers == [ProviderKind::Cpu]
    }

    /// The next attempt after `error`: a precision that can't be had gives way before the provider
    /// does, and the last attempt is the CPU with the graph as it is. None when that failed too.
    pub(super) fn without(mut self, error: &LoadError) -> Option<Self> {
        match error {
            LoadError::Precision { .. } if self.precision != Precision::Fp32 => {
                self.precision = Precision::Fp32;
                return Some(self);
            }
            // TensorRT can't be had without CUDA behind it.
            LoadError::Provider { provider: ProviderKind::Cuda, .. } => {
                self.providers.retain(|kind| !matches!(kind, ProviderKind::Cuda | ProviderKind::Tensorrt));
            }
            LoadError::Provider { provider, .. } => self.providers.retain(|kind| kind != provider),
            _ => return None,
        }
        if self.providers.is_empty() {
            self.providers.push(ProviderKind::Cpu);
            return matches!(error, LoadError::Provider { provider, .. } if *provider != ProviderKind::Cpu)
                .then_some(self);
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(providers: &[ProviderKind], precision: Precision) -> Vec<(ProviderKind, Precision)> {
        let execution = Execution {
            providers: Some(providers.to_vec()),
            precision: Some(precision),
            ..Execution::default()
        };
        Attempt::first_of(&execution).in_line()
    }

    #[test]
    fn cuda_stands_behind_tensorrt_and_the_precision_is_the_first_ones() {
        use ProviderKind::{Cpu, Cuda, Tensorrt};
        let half = Precision::Fp16;
        assert_eq!(line(&[], Precision::Fp32), [(Cpu, Precision::Fp32)]);
        assert_eq!(line(&[Tensorrt], half), [(Tensorrt, half), (Cuda, Precision::Fp32)]);
        let with_cpu = [(Tensorrt, half), (Cuda, Precision::Fp32), (Cpu, Precision::Fp32)];
        assert_eq!(line(&[Tensorrt, Cpu], half), with_cpu);
        assert_eq!(line(&[Tensorrt, Cuda, Cpu], half), with_cpu);
    }

    #[test]
    fn a_fallback_gives_up_the_precision_first_and_ends_on_the_cpu() {
        let execution = Execution {
            providers: Some(vec![ProviderKind::Tensorrt]),
            precision: Some(Precision::Int8),
            ..Execution::default()
        };
        let lacking =
            LoadError::Precision { provider: ProviderKind::Tensorrt, precision: "int8", hint: String::new() };
        let missing = |provider| LoadError::Provider { provider, reason: String::new() };
        let next = Attempt::first_of(&execution).without(&lacking).unwrap();
        assert_eq!((next.first(), next.precision), (ProviderKind::Tensorrt, Precision::Fp32));
        let next = next.without(&missing(ProviderKind::Cuda)).unwrap();
        assert_eq!(next.first(), ProviderKind::Cpu, "TensorRT needs CUDA behind it");
        assert!(next.is_cpu_alone());
        assert!(next.without(&missing(ProviderKind::Cpu)).is_none());
    }
}
