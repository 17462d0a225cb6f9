//! The closed lists that become label values, header words and span names.
//!
//! Used by every room that records something. Invariant: a label value is a member of one of these
//! lists, a name from the router's table or a loaded model's name; never a client's text.

/// What is exported, each kind on a way of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// The label value, and the last part of the path over HTTP.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// How an inference request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered.
    Ok,
    /// The client's mistake (4xx).
    ClientError,
    /// Not admitted (overload, drain, quota).
    Rejected,
    /// Its deadline passed.
    Timeout,
    /// The client went away.
    Cancelled,
    /// Our mistake (5xx).
    Error,
}

impl Outcome {
    /// Every outcome, in declaration order.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::ClientError, Self::Rejected, Self::Timeout, Self::Cancelled, Self::Error];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }
}

/// A part of a request's way; one list for the metric, `server-timing` and the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the body to tensors.
    Preprocess,
    /// Waiting for a worker.
    Queue,
    /// Being put into a batch, and out of it.
    Batch,
    /// The model's run.
    Execute,
    /// From tensors to the answer.
    Postprocess,
}

impl Stage {
    /// Every stage, in the order a request passes them.
    pub const ALL: [Self; 5] = [Self::Preprocess, Self::Queue, Self::Batch, Self::Execute, Self::Postprocess];

    /// The label value, and the word in `server-timing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preprocess => "preprocess",
            Self::Queue => "queue",
            Self::Batch => "batch",
            Self::Execute => "execute",
            Self::Postprocess => "postprocess",
        }
    }

    /// The name of the stage's span; the batch has a trace of its own instead.
    pub fn span_name(self) -> Option<&'static str> {
        match self {
            Self::Preprocess => Some("preprocess"),
            Self::Queue => Some("inference.queue"),
            Self::Batch => None,
            Self::Execute => Some("inference.execute"),
            Self::Postprocess => Some("postprocess"),
        }
    }
}

/// Why a connection ended badly, or was never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionError {
    /// The header did not arrive in time.
    HeaderTimeout,
    /// Nothing was asked for too long.
    IdleTimeout,
    /// The client does not read.
    WriteTimeout,
    /// The handshake failed.
    Tls,
    /// Not HTTP, or HTTP that the library refuses before routing.
    Protocol,
    /// A flood of HTTP/2 resets.
    ResetFlood,
    /// More connections than allowed.
    Limit,
    /// `accept` failed.
    Accept,
}

impl ConnectionError {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 8] = [
        Self::HeaderTimeout,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::Tls,
        Self::Protocol,
        Self::ResetFlood,
        Self::Limit,
        Self::Accept,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::ResetFlood => "reset_flood",
            Self::Limit => "limit",
            Self::Accept => "accept",
        }
    }
}

/// How the load of a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadResult {
    /// Loaded, warmed, verified.
    Ok,
    /// It could not be read or run.
    Error,
    /// It was read, and refused: golden results, digest, limits.
    Rejected,
}

impl LoadResult {
    /// Every result, in declaration order.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::Rejected];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Rejected => "rejected",
        }
    }
}

/// The method as a label: one of the known ones, else `_OTHER`.
pub fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
