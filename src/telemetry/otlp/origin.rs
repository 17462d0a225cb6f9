//! Where exported items come from: resource and scope, and the request that they travel in.
//!
//! Made once by [`crate::telemetry::start`] and shared by all signals, so that traces, metrics and logs name the same
//! instance. The three requests differ in their items only: their envelopes have the same fields.

use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::resource::{SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION};

use super::wire;
use crate::telemetry::options::Options;

/// The field of an item in its `Scope...` message.
pub(in crate::telemetry) const ITEM: u32 = 2;
const SCOPE: &str = "ml-inference-api";

/// Resource and scope, as they are written.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Origin {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Origin {
    /// Ours first, so that `OTEL_RESOURCE_ATTRIBUTES` may say better; the service's name was settled before.
    pub(in crate::telemetry) fn new(options: &Options, version: &str) -> Self {
        let instance = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let sdk = TelemetryResourceDetector.detect();
        let sdk: Vec<(&str, _)> = sdk.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let sdk = sdk.iter().map(|(key, value)| (*key, &**value));
        let own = [(SERVICE_VERSION, version), (SERVICE_INSTANCE_ID, &*instance)];
        let given = options.otel.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let named = [(SERVICE_NAME, options.service_name.as_str())];
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        for (key, value) in sdk.chain(own).chain(given).chain(named) {
            match attributes.iter_mut().find(|(known, _)| *known == key) {
                Some(known) => known.1 = value,
                None => attributes.push((key, value)),
            }
        }
        let mut resource = Vec::new();
        for (key, value) in attributes {
            wire::attribute(&mut resource, 1, key, value.into());
        }
        let mut scope = Vec::new();
        wire::bytes(&mut scope, 1, SCOPE.as_bytes());
        wire::bytes(&mut scope, 2, version.as_bytes());
        Self { resource, scope }
    }

    /// An `Export...ServiceRequest` of items, each of which is written as a field [`ITEM`].
    pub(in crate::telemetry) fn request(&self, items: &[u8]) -> Vec<u8> {
        let mut request = Vec::with_capacity(items.len() + self.resource.len() + self.scope.len() + 128);
        wire::message(&mut request, 1, |out| {
            wire::bytes(out, 1, &self.resource);
            wire::message(out, 2, |out| {
                wire::bytes(out, 1, &self.scope);
                out.extend_from_slice(items);
                wire::bytes(out, 3, SCHEMA_URL.as_bytes());
            });
        });
        request
    }
}
