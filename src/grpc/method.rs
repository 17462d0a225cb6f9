//! Every method, in one place: its path, which is also its label, and who may call it.

use crate::service::Scope;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    ModelInfer,
    ModelStreamInfer,
    ServerLive,
    ServerReady,
    ModelReady,
    ServerMetadata,
    ModelMetadata,
    ModelConfig,
    ModelStatistics,
    RepositoryIndex,
    /// Loading and unloading: never on public ports.
    Administration,
    HealthCheck,
    HealthWatch,
    HealthList,
    Reflection,
    /// Triton's, and nothing that this server has.
    Unsupported,
}

type Row = (&'static str, Method, Option<Scope>);

/// Paths, methods, and the scope that a key needs where keys are configured. The hottest stand first.
const TABLE: &[Row] = &[
    ("/inference.GRPCInferenceService/ModelInfer", Method::ModelInfer, Some(Scope::Predict)),
    ("/inference.GRPCInferenceService/ModelStreamInfer", Method::ModelStreamInfer, Some(Scope::Predict)),
    ("/inference.GRPCInferenceService/ServerLive", Method::ServerLive, None),
    ("/inference.GRPCInferenceService/ServerReady", Method::ServerReady, None),
    ("/inference.GRPCInferenceService/ModelReady", Method::ModelReady, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/ServerMetadata", Method::ServerMetadata, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/ModelMetadata", Method::ModelMetadata, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/ModelConfig", Method::ModelConfig, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/ModelStatistics", Method::ModelStatistics, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/RepositoryIndex", Method::RepositoryIndex, Some(Scope::Metadata)),
    ("/inference.GRPCInferenceService/RepositoryModelLoad", Method::Administration, Some(Scope::Admin)),
    ("/inference.GRPCInferenceService/RepositoryModelUnload", Method::Administration, Some(Scope::Admin)),
    ("/grpc.health.v1.Health/Check", Method::HealthCheck, None),
    ("/grpc.health.v1.Health/Watch", Method::HealthWatch, None),
    ("/grpc.health.v1.Health/List", Method::HealthList, None),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Method::Reflection, Some(Scope::Metadata)),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Method::Reflection,
        Some(Scope::Metadata),
    ),
    ("/inference.GRPCInferenceService/SystemSharedMemoryStatus", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/SystemSharedMemoryRegister", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/SystemSharedMemoryUnregister", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/CudaSharedMemoryStatus", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/CudaSharedMemoryRegister", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/CudaSharedMemoryUnregister", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/TraceSetting", Method::Unsupported, None),
    ("/inference.GRPCInferenceService/LogSettings", Method::Unsupported, None),
];

/// The label of calls of methods that there are not.
pub(super) const UNMATCHED: &str = "unmatched";

/// Every path.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.0)
}

/// The row of a path.
pub(super) fn find(path: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0 == path)
}

impl Method {
    /// True for the methods that are traced and tell their timing.
    pub(super) const fn is_inference(self) -> bool {
        matches!(self, Self::ModelInfer | Self::ModelStreamInfer)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::grpc::proto::DESCRIPTORS;

    #[test]
    fn the_table_has_every_method_that_the_definitions_have() {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut defined: Vec<String> = Vec::new();
        for file in &set.file {
            for service in &file.service {
                let methods = service.method.iter();
                defined.extend(
                    methods.map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())),
                );
            }
        }
        defined.sort_unstable();
        let mut listed: Vec<_> = paths().map(str::to_owned).collect();
        listed.sort_unstable();
        assert_eq!(listed, defined);
        assert!(find("/inference.GRPCInferenceService/Other").is_none());
    }
}
