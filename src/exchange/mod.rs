//! One request and its answer, whatever protocol they speak: id, origin, limits of what is held, the
//! caller's key, metrics, trace, log line.
//!
//! Used by the rooms of protocols, which bring routes and bodies. Invariant: however an exchange ends,
//! it is counted once.

mod access_log;
mod body;
mod catch_panic;
mod collect;
mod context;
mod credentials;
mod inflate;
mod inflight;
mod observation;
mod origin;
mod schedule;
mod whole_number;

pub use access_log::AccessLog;
pub use body::{claimed_length, discard, too_large, unpack};
pub use catch_panic::{CatchPanic, Panicked};
pub use collect::Collected;
pub use context::{REQUEST_ID, RequestContext};
pub use credentials::{identify, token};
pub use inflate::{Encoding, encoding as content_encoding};
pub use inflight::{HeldBytes, InflightBytes};
pub use observation::{AnswerEnd, Exchange, Observing, Protocol};
pub use origin::{ConnectionInfo, RequestStart, SentUri};
pub use schedule::requested_schedule;
pub use whole_number::whole_number;
