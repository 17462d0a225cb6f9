//! The messages, generated from `proto/` and committed; `tests/proto.rs` holds them to it.

/// The Open Inference Protocol and Triton's extensions.
pub mod inference {
    #![expect(missing_docs, clippy::pedantic, reason = "generated; proto/grpc_service.proto has the words")]
    include!("../../proto/generated/inference.rs");
}

/// Health checking.
pub mod health {
    #![expect(missing_docs, clippy::pedantic, reason = "generated; proto/grpc/health/v1 has the words")]
    include!("../../proto/generated/grpc.health.v1.rs");
}

/// Server reflection.
pub mod reflection {
    #![expect(missing_docs, reason = "generated; proto/grpc/reflection/v1 has the words")]
    include!("../../proto/generated/grpc.reflection.v1.rs");
}

/// What a status carries beside its message.
pub mod rpc {
    #![expect(missing_docs, reason = "generated; proto/google/rpc has the words")]
    include!("../../proto/generated/google.rpc.rs");
}

/// Every definition that is served, as a `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("../../proto/generated/descriptors.binpb");
