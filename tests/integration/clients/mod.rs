//! Other people's clients, unmodified, against the real server. What they ask and expect is written in
//! their own languages below `tests/clients/`.

mod others;
mod triton;

pub(crate) use triton::triton;
