//! Other people's clients, unmodified, against the real server. What they ask and expect is written in
//! their own languages below `tests/clients/`.

mod triton;

pub(crate) use triton::triton;
