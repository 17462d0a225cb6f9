//! The closed set of error codes, and what each is in HTTP and gRPC. The one table that every
//! protocol answers from; `docs/errors.md` is generated from it.

use std::fmt;

use crate::telemetry::Outcome;

/// What went wrong, from the caller's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The body is not JSON.
    InvalidJson,
    /// The body is JSON and not what the model takes.
    InvalidInput,
    /// A number that its type can't hold.
    NumberOutOfRange,
    /// More tokens than the model takes.
    InputTooLong,
    /// A tensor of another shape than the model takes.
    ShapeMismatch,
    /// A field that the model does not know.
    UnknownInput,
    /// A field that the model needs is absent.
    MissingInput,
    /// More instances than one request may hold.
    BatchTooLarge,
    /// No or unknown credentials.
    Unauthenticated,
    /// Credentials that don't allow this.
    Forbidden,
    /// A model that was to be loaded is bad.
    ModelLoadFailed,
    /// No such route.
    NotFound,
    /// No such model.
    ModelNotFound,
    /// The model has no such version.
    VersionNotFound,
    /// The route knows other methods.
    MethodNotAllowed,
    /// The body did not come in time.
    ClientTooSlow,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// A content type, charset or encoding that the route does not take.
    UnsupportedMediaType,
    /// This caller is over its own quota.
    QuotaExceeded,
    /// We are out of capacity.
    Overloaded,
    /// The deadline can't be met behind what waits.
    DeadlineUnmeetable,
    /// Models are still being loaded.
    NotReady,
    /// The process is on its way out.
    Draining,
    /// The deadline passed while the request waited or ran.
    DeadlineExceeded,
    /// The runtime failed.
    InferenceFailed,
    /// The model gave NaN or infinity where JSON can't carry it.
    NonFiniteOutput,
    /// A fault of ours.
    Internal,
}

use ErrorCode as E;

/// A row of the table: code text, HTTP status, gRPC code, title, worth a retry, outcome in metrics.
type Row = (ErrorCode, &'static str, u16, GrpcCode, &'static str, bool, Outcome);

/// The gRPC status codes that errors map to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum GrpcCode {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl GrpcCode {
    /// The name as gRPC writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

use GrpcCode as G;
use Outcome as O;

/// Every code, once.
const TABLE: [Row; 27] = [
    (
        E::InvalidJson,
        "invalid_json",
        400,
        G::InvalidArgument,
        "The body is not valid JSON",
        false,
        O::ClientError,
    ),
    (
        E::InvalidInput,
        "invalid_input",
        400,
        G::InvalidArgument,
        "The input is not what the model takes",
        false,
        O::ClientError,
    ),
    (
        E::NumberOutOfRange,
        "number_out_of_range",
        400,
        G::InvalidArgument,
        "A number does not fit its type",
        false,
        O::ClientError,
    ),
    (
        E::InputTooLong,
        "input_too_long",
        400,
        G::InvalidArgument,
        "The input is longer than the model takes",
        false,
        O::ClientError,
    ),
    (
        E::ShapeMismatch,
        "shape_mismatch",
        400,
        G::InvalidArgument,
        "A tensor has another shape than the model takes",
        false,
        O::ClientError,
    ),
    (
        E::UnknownInput,
        "unknown_input",
        400,
        G::InvalidArgument,
        "The model knows no such input",
        false,
        O::ClientError,
    ),
    (E::MissingInput, "missing_input", 400, G::InvalidArgument, "An input is missing", false, O::ClientError),
    (
        E::BatchTooLarge,
        "batch_too_large",
        400,
        G::InvalidArgument,
        "Too many instances in one request",
        false,
        O::ClientError,
    ),
    (
        E::Unauthenticated,
        "unauthenticated",
        401,
        G::Unauthenticated,
        "Credentials are missing or unknown",
        false,
        O::ClientError,
    ),
    (
        E::Forbidden,
        "forbidden",
        403,
        G::PermissionDenied,
        "The credentials do not allow this",
        false,
        O::ClientError,
    ),
    (
        E::ModelLoadFailed,
        "model_load_failed",
        400,
        G::InvalidArgument,
        "The model could not be loaded",
        false,
        O::ClientError,
    ),
    (E::NotFound, "not_found", 404, G::NotFound, "There is no such route", false, O::ClientError),
    (E::ModelNotFound, "model_not_found", 404, G::NotFound, "There is no such model", false, O::ClientError),
    (
        E::VersionNotFound,
        "version_not_found",
        404,
        G::NotFound,
        "The model has no such version",
        false,
        O::ClientError,
    ),
    (
        E::MethodNotAllowed,
        "method_not_allowed",
        405,
        G::Unimplemented,
        "The route does not know this method",
        false,
        O::ClientError,
    ),
    (
        E::ClientTooSlow,
        "client_too_slow",
        408,
        G::DeadlineExceeded,
        "The body did not arrive in time",
        true,
        O::ClientError,
    ),
    (
        E::PayloadTooLarge,
        "payload_too_large",
        413,
        G::ResourceExhausted,
        "The body is larger than the limit",
        false,
        O::ClientError,
    ),
    (
        E::UnsupportedMediaType,
        "unsupported_media_type",
        415,
        G::InvalidArgument,
        "The body has a type that this route does not take",
        false,
        O::ClientError,
    ),
    (
        E::QuotaExceeded,
        "quota_exceeded",
        429,
        G::ResourceExhausted,
        "This caller is over its quota",
        true,
        O::Rejected,
    ),
    (E::Overloaded, "overloaded", 503, G::Unavailable, "The service is out of capacity", true, O::Rejected),
    (
        E::DeadlineUnmeetable,
        "deadline_unmeetable",
        503,
        G::Unavailable,
        "The deadline cannot be met",
        true,
        O::Rejected,
    ),
    (E::NotReady, "not_ready", 503, G::Unavailable, "The service is not ready", true, O::Rejected),
    (E::Draining, "draining", 503, G::Unavailable, "The service is shutting down", true, O::Rejected),
    (
        E::DeadlineExceeded,
        "deadline_exceeded",
        504,
        G::DeadlineExceeded,
        "The deadline passed",
        true,
        O::Timeout,
    ),
    (E::InferenceFailed, "inference_failed", 500, G::Internal, "The model failed", false, O::Error),
    (
        E::NonFiniteOutput,
        "non_finite_output",
        500,
        G::Internal,
        "The model gave a number that JSON cannot carry",
        false,
        O::Error,
    ),
    (E::Internal, "internal", 500, G::Internal, "An internal error", false, O::Error),
];

impl ErrorCode {
    /// Every code, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The code as it stands in bodies and labels.
    pub const fn text(self) -> &'static str {
        self.row().1
    }

    /// HTTP status.
    pub const fn http_status(self) -> u16 {
        self.row().2
    }

    /// gRPC status.
    pub const fn grpc_code(self) -> GrpcCode {
        self.row().3
    }

    /// What it means, in one phrase.
    pub const fn title(self) -> &'static str {
        self.row().4
    }

    /// True when the same request may well succeed later.
    pub const fn is_retryable(self) -> bool {
        self.row().5
    }

    /// The outcome that it counts as.
    pub const fn outcome(self) -> Outcome {
        self.row().6
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Longest `detail`, in characters.
const MAX_DETAIL: usize = 256;

/// An error as every protocol answers it.
#[derive(Clone, Debug)]
pub struct ServiceError {
    /// Which one.
    pub code: ErrorCode,
    /// What was expected and what came; no value, path or library text; at most 256 characters.
    pub detail: String,
    /// JSON pointer of the field at fault.
    pub pointer: Option<String>,
    /// Whole seconds after which a retry makes sense (429 and 503).
    pub retry_after_s: Option<u64>,
    /// What really happened: for our log only.
    pub cause: Option<String>,
}

impl ServiceError {
    /// An error with its detail, cut to the longest that is allowed.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
        }
        // Without a measured rate: soon, and not all at once.
        let retry_after_s = matches!(code.http_status(), 429 | 503).then(|| fastrand::u64(1..=3));
        Self { code, detail, pointer: None, retry_after_s, cause: None }
    }

    /// A fault of ours, of which the caller is told no more than that.
    #[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
    pub fn internal(cause: impl ToString) -> Self {
        Self::new(ErrorCode::Internal, "an internal error").because(cause.to_string())
    }

    /// The refusal of a service that ends.
    pub fn draining() -> Self {
        Self::new(ErrorCode::Draining, "the service is shutting down")
    }

    /// Points at the field at fault.
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Says when to come back.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.clamp(1, 60));
        self
    }

    /// Keeps the cause for the log.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_codes() {
        for (index, code) in ErrorCode::all().enumerate() {
            assert_eq!(code as usize, index, "{code}");
        }
    }

    #[test]
    fn callers_faults_are_never_5xx_and_ours_never_4xx() {
        for code in ErrorCode::all() {
            let is_server_fault = code.http_status() >= 500;
            assert_eq!(
                is_server_fault,
                !matches!(code.outcome(), Outcome::ClientError) && code != E::QuotaExceeded
            );
        }
    }

    #[test]
    fn details_are_bounded_on_a_character() {
        assert_eq!(ServiceError::new(E::Internal, "é".repeat(300)).detail.chars().count(), MAX_DETAIL);
    }
}
