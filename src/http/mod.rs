//! HTTP: the connections, and what answers on them.

pub mod connection;
