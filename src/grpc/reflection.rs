//! Server reflection, v1 and v1alpha, whose messages are the same: the committed definitions.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body::Body;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto};

use super::answer::Encoded;
use super::call::{Call, Reply as CallReply, decoded};
use super::message::{Broken, Messages, unseen};
use super::proto::DESCRIPTORS;
use super::proto::reflection::server_reflection_request::MessageRequest;
use super::proto::reflection::server_reflection_response::MessageResponse;
use super::proto::reflection::{
    ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use super::stream::{Outlet, Replies, Reply};
use crate::service::{GrpcCode, ServiceError};
use crate::shutdown::Phase;

/// A `FileDescriptorSet` whose files are not read, so that they go out as they are.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

struct Definitions {
    files: Vec<Vec<u8>>,
    by_name: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
    services: Vec<String>,
}

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::read);

impl Definitions {
    fn read() -> Self {
        // The build's own constant, which a test reads.
        let files = Files::decode(DESCRIPTORS).unwrap_or_default().file;
        let mut definitions = Self {
            files: Vec::new(),
            by_name: HashMap::new(),
            by_symbol: HashMap::new(),
            services: Vec::new(),
        };
        for (index, bytes) in files.iter().enumerate() {
            let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap_or_default();
            definitions.by_name.insert(file.name().to_owned(), index);
            definitions.add(&file, index);
        }
        definitions.files = files;
        definitions
    }

    fn add(&mut self, file: &FileDescriptorProto, index: usize) {
        let package = file.package();
        for service in &file.service {
            let name = format!("{package}.{}", service.name());
            for method in &service.method {
                self.by_symbol.insert(format!("{name}.{}", method.name()), index);
            }
            self.by_symbol.insert(name.clone(), index);
            self.services.push(name);
        }
        for message in &file.message_type {
            self.add_message(message, package, index);
        }
        for enumeration in &file.enum_type {
            self.by_symbol.insert(format!("{package}.{}", enumeration.name()), index);
        }
    }

    fn add_message(&mut self, message: &DescriptorProto, within: &str, index: usize) {
        let name = format!("{within}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(nested, &name, index);
        }
        for enumeration in &message.enum_type {
            self.by_symbol.insert(format!("{name}.{}", enumeration.name()), index);
        }
        for field in &message.field {
            self.by_symbol.insert(format!("{name}.{}", field.name()), index);
        }
        self.by_symbol.insert(name, index);
    }

    fn answer(&self, request: &ServerReflectionRequest) -> MessageResponse {
        let file = |index: Option<&usize>| {
            let Some(file) = index.and_then(|&index| self.files.get(index)) else {
                return error(GrpcCode::NotFound, "there is no such definition");
            };
            let file_descriptor_proto = vec![file.clone()];
            MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
        };
        match &request.message_request {
            Some(MessageRequest::FileByFilename(name)) => file(self.by_name.get(name)),
            Some(MessageRequest::FileContainingSymbol(symbol)) => file(self.by_symbol.get(symbol)),
            Some(MessageRequest::ListServices(_)) => {
                let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() });
                MessageResponse::ListServicesResponse(ListServiceResponse { service: service.collect() })
            }
            Some(
                MessageRequest::FileContainingExtension(_) | MessageRequest::AllExtensionNumbersOfType(_),
            ) => error(GrpcCode::NotFound, "there are no extensions"),
            None => error(GrpcCode::InvalidArgument, "expected a question, got none"),
        }
    }
}

fn error(code: GrpcCode, message: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse {
        error_code: code as i32,
        error_message: message.to_owned(),
    })
}

/// Answers each question in turn, until the client has no more or the process stops.
pub(super) fn answer<B>(call: Call<'_>, messages: Messages<B>) -> CallReply
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let grpc = Arc::clone(call.grpc);
    let replies = Replies::spawn(&call.context.id, grpc.observing.access_log, |outlet| async move {
        let mut shutdown = grpc.service.shutdown();
        let stopped = async {
            shutdown.reached(Phase::Stopping).await;
            Broken::Refused(ServiceError::draining())
        };
        let ended = tokio::select! {
            broken = stopped => Some(broken),
            ended = converse(messages, &outlet, grpc.inflight.clone()) => ended.err(),
        };
        if let Some(Broken::Refused(error)) = ended {
            // The client may be gone by now.
            let _gone = outlet.send(Reply::End(error)).await;
        }
    });
    CallReply::Stream(replies)
}

async fn converse<B>(
    mut messages: Messages<B>,
    outlet: &Outlet,
    inflight: crate::exchange::InflightBytes,
) -> Result<(), Broken>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(message) = messages.next(&mut inflight.hold(), unseen).await? {
        let request: ServerReflectionRequest = decoded(message)?;
        let answer = DEFINITIONS.answer(&request);
        let response = ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        };
        if outlet.send(Reply::Message(Encoded::of(&response))).await.is_err() {
            return Err(Broken::ClientGone);
        }
    }
    Ok(())
}
