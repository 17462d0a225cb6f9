//! Token vectors as one vector: pooling over the real tokens, then length one where asked.
//!
//! Sums are doubles, so that the order of rows in a batch or its padding never shows in a result.

use crate::model::{Dim, Pooling, TensorSpec};
use crate::task::{OutputError, TaskError, TaskSpec};
use crate::tensor::{Data, Tensor};

const POOLED_NAMES: [&str; 3] = ["sentence_embedding", "embeddings", "embedding"];
const TOKEN_NAMES: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// Which output holds the vectors, and what is done to them.
#[derive(Debug)]
pub(super) struct Pool {
    output: usize,
    name: String,
    width: Option<usize>,
    pooling: Pooling,
    normalize: bool,
}

impl Pool {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let outputs = &spec.signature.outputs;
        let find = |rank: usize, names: &[&str]| {
            let fits = |output: &TensorSpec| output.data_type.is_float() && output.dims.len() == rank;
            let named = names
                .iter()
                .find_map(|name| outputs.iter().position(|output| fits(output) && &&*output.name == name));
            named.or_else(|| outputs.iter().position(fits))
        };
        let (pooled, tokens) = (find(2, &POOLED_NAMES), find(3, &TOKEN_NAMES));
        let named_pooled = pooled.filter(|&index| POOLED_NAMES.contains(&&*outputs[index].name));
        let pooling = spec.manifest.pooling.unwrap_or(if named_pooled.is_some() || tokens.is_none() {
            Pooling::None
        } else {
            Pooling::Mean
        });
        let found = if pooling == Pooling::None { pooled } else { tokens };
        let Some(output) = found else {
            let rank = if pooling == Pooling::None { "[N,width]" } else { "[N,tokens,width]" };
            return Err(TaskError::one(format!("pooling: this kind needs a float output of shape {rank}")));
        };
        let described = &outputs[output];
        let width = match described.dims.last() {
            Some(Dim::Fixed(width)) => Some(*width),
            _ => None,
        };
        let normalize = spec.manifest.normalize.unwrap_or(false);
        Ok(Self { output, name: described.name.to_string(), width, pooling, normalize })
    }

    /// The length of a vector, where the signature fixes it.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// One vector per row, one after the other, and their length. `tokens` counts each row's.
    pub(super) fn vectors(
        &self,
        outputs: &[Tensor],
        tokens: &[u32],
    ) -> Result<(Vec<f32>, usize), OutputError> {
        let tensor =
            outputs.get(self.output).ok_or_else(|| OutputError::Shape("an output is missing".into()))?;
        let (longest, width) = match *tensor.shape() {
            [rows, longest, width] if rows == tokens.len() && self.pooling != Pooling::None => {
                (longest, width)
            }
            [rows, width] if rows == tokens.len() && self.pooling == Pooling::None => (1, width),
            _ => return Err(self.misshapen(tensor, tokens.len())),
        };
        let mut vectors = Vec::with_capacity(tokens.len() * width);
        let mut sums = vec![0.0_f64; width];
        for (row, &count) in tokens.iter().enumerate() {
            let count = if self.pooling == Pooling::None { 1 } else { count as usize };
            if count > longest || count == 0 {
                return Err(self.misshapen(tensor, tokens.len()));
            }
            let start = row * longest * width;
            self.pool(tensor.data(), start..start + count * width, &mut sums);
            if self.normalize {
                normalize(&mut sums);
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "vectors are singles; infinities are refused below"
            )]
            vectors.extend(sums.iter().map(|&sum| sum as f32));
        }
        if vectors.iter().all(|value| value.is_finite()) {
            Ok((vectors, width))
        } else {
            Err(OutputError::NonFinite { output: self.name.clone() })
        }
    }

    /// Pools the token vectors in `range` into `sums`; NaN anywhere stays NaN.
    fn pool(&self, data: &Data, range: std::ops::Range<usize>, sums: &mut [f64]) {
        let width = sums.len();
        if width == 0 {
            return;
        }
        let whole = range.clone();
        let used =
            if matches!(self.pooling, Pooling::Cls) { range.start..range.start + width } else { range };
        let max = self.pooling == Pooling::Max;
        sums.fill(if max { f64::NEG_INFINITY } else { 0.0 });
        let mut add = |index: usize, value: f64| {
            let sum = &mut sums[index];
            if !max {
                *sum += value;
            } else if value > *sum || value.is_nan() {
                *sum = value;
            }
        };
        if let Data::Fp32(values) = data {
            for token in values[used].chunks_exact(width) {
                token.iter().enumerate().for_each(|(index, &value)| add(index, f64::from(value)));
            }
        } else {
            let start = used.start;
            used.for_each(|at| add((at - start) % width, data.float_at(at).unwrap_or(f64::NAN)));
        }
        if self.pooling == Pooling::Mean {
            #[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
            let tokens = (whole.len() / width) as f64;
            for sum in sums {
                *sum /= tokens;
            }
        }
    }

    fn misshapen(&self, tensor: &Tensor, rows: usize) -> OutputError {
        let shape = tensor.shape();
        OutputError::Shape(format!("output {} has the shape {shape:?} for {rows} rows", self.name))
    }
}

/// Scales to length one; a zero vector stays zero.
fn normalize(vector: &mut [f64]) {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
    for value in vector {
        *value /= length;
    }
}
