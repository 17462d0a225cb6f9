//! The HTTP protocols of other servers, as plain requests. Their own clients are under `clients`.

mod embeddings;
mod invocations;
mod kserve;
mod same;
mod status;
