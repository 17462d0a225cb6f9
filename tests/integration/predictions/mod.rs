//! What comes out for what goes in: every task, every form of a body.

mod csv;
mod describe;
mod embeddings;
mod fraud;
mod parallel;
mod tabular;
mod tensors;
mod versions;
