//! Requests that are wrong or unusual: every error, its body and headers, which error wins, and the
//! limits on bodies.

mod bodies;
mod content;
mod deadlines;
mod errors;
mod fuzz;
mod headers;
mod http2;
mod limits;
mod packed;
mod precedence;
mod protocol;
