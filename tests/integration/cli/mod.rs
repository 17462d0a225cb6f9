//! The commands that run to their end.

mod bench;
mod check;
mod config;
mod health;
mod help;
mod predict;
mod tune;
