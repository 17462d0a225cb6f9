//! Rows into a batch and out of it.

use ml_inference_api::tensor::{Tensor, concatenate, split};

use super::{Bench, Fault, count, models};

pub(crate) const BENCHES: [Bench; 4] = [
    ("concatenate/32x30", || join(32, 30)),
    ("concatenate/8x384", || join(8, 384)),
    ("split/32x2", || cut(32, 2)),
    ("split/8x384", || cut(8, 384)),
];

fn join(rows: usize, width: usize) -> Result<(), Fault> {
    let row = Tensor::new(vec![1, width], models::numbers(width))?;
    let tensors = vec![&row; rows];
    count(|| Ok(()), |()| Ok(concatenate(&tensors)?))
}

fn cut(rows: usize, width: usize) -> Result<(), Fault> {
    let batch = Tensor::new(vec![rows, width], models::numbers(rows * width))?;
    let sizes = vec![1; rows];
    count(|| Ok(()), |()| Ok(split(&batch, &sizes)?))
}
