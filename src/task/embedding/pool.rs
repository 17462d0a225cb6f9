//! Token vectors as one vector: pooling over the real tokens, then length one where asked.
//!
//! Sums are doubles, so that the order of rows in a batch or its padding never shows in a result.

use std::ops::Range;

use crate::model::{Dim, Pooling, TensorSpec, pooled_output};
use crate::task::{OutputError, TaskError, TaskSpec};
use crate::tensor::{Data, Tensor};

const TOKEN_NAMES: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// Which output holds the vectors, and what is done to them.
#[derive(Debug)]
pub(super) struct Pool {
    output: usize,
    name: String,
    width: Option<usize>,
    pooling: Pooling,
    normalize: bool,
    /// The manifest names the pooling.
    is_named: bool,
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
        let named_pooled = pooled_output(spec.signature);
        let (pooled, tokens) = (named_pooled.or_else(|| find(2, &[])), find(3, &TOKEN_NAMES));
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
        let is_named = spec.manifest.pooling.is_some();
        Ok(Self { output, name: described.name.to_string(), width, pooling, normalize, is_named })
    }

    /// What is done to which output, for people.
    pub(super) fn told(&self) -> String {
        let origin = if self.is_named { "recognised" } else { "assumed" };
        let length = if self.normalize { ", normalised to length 1" } else { ", not normalised" };
        format!("{origin}: pooling {} of output {}{length}", self.pooling.name(), self.name)
    }

    /// The length of a vector, where the signature fixes it.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// One vector per row, one after the other, and their length: the first `length` components where it
    /// is given. `tokens` counts each row's.
    pub(super) fn vectors(
        &self,
        outputs: &[Tensor],
        tokens: &[u32],
        length: Option<usize>,
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
        let kept = length.unwrap_or(width).min(width);
        let mut vectors = Vec::with_capacity(tokens.len() * kept);
        let mut sums = vec![0.0_f64; width];
        for (row, &count) in tokens.iter().enumerate() {
            let count = if self.pooling == Pooling::None { 1 } else { count as usize };
            if count > longest || count == 0 {
                return Err(self.misshapen(tensor, tokens.len()));
            }
            let start = row * longest * width;
            self.pool(tensor.data(), start..start + count * width, &mut sums);
            let sums = &mut sums[..kept];
            if self.normalize {
                normalize(sums);
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "vectors are singles; infinities are refused below"
            )]
            vectors.extend(sums.iter().map(|&sum| sum as f32));
        }
        if vectors.iter().all(|value| value.is_finite()) {
            Ok((vectors, kept))
        } else {
            Err(OutputError::NonFinite { output: self.name.clone() })
        }
    }

    /// Pools the token vectors in `range` into `sums`; NaN anywhere stays NaN.
    fn pool(&self, data: &Data, range: Range<usize>, sums: &mut [f64]) {
        let width = sums.len();
        if width == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
        let tokens = (range.len() / width) as f64;
        let used = match self.pooling {
            Pooling::Cls => range.start..range.start + width,
            Pooling::LastToken => range.end - width..range.end,
            _ => range,
        };
        match self.pooling {
            Pooling::Max => {
                sums.fill(f64::NEG_INFINITY);
                each(data, used, width, |index, _, value| {
                    let largest = &mut sums[index];
                    if value > *largest || value.is_nan() {
                        *largest = value;
                    }
                });
            }
            Pooling::WeightedMean => {
                sums.fill(0.0);
                each(data, used, width, |index, position, value| sums[index] += position * value);
            }
            _ => {
                sums.fill(0.0);
                each(data, used, width, |index, _, value| sums[index] += value);
            }
        }
        let divisor = match self.pooling {
            Pooling::Mean => tokens,
            Pooling::MeanSqrtLen => tokens.sqrt(),
            Pooling::WeightedMean => tokens * (tokens + 1.0) / 2.0,
            _ => return,
        };
        for sum in sums {
            *sum /= divisor;
        }
    }

    fn misshapen(&self, tensor: &Tensor, rows: usize) -> OutputError {
        let shape = tensor.shape();
        OutputError::Shape(format!("output {} has the shape {shape:?} for {rows} rows", self.name))
    }
}

/// Calls `add` with the component, the token's position counted from one, and the value, of each
/// element in `range`.
fn each(data: &Data, range: Range<usize>, width: usize, mut add: impl FnMut(usize, f64, f64)) {
    let mut position = 0.0;
    if let Data::Fp32(values) = data {
        for token in values[range].chunks_exact(width) {
            position += 1.0;
            token.iter().enumerate().for_each(|(index, &value)| add(index, position, f64::from(value)));
        }
        return;
    }
    let start = range.start;
    for at in range {
        let index = (at - start) % width;
        position += if index == 0 { 1.0 } else { 0.0 };
        add(index, position, data.float_at(at).unwrap_or(f64::NAN));
    }
}

/// Scales to length one; a zero vector stays zero.
fn normalize(vector: &mut [f64]) {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
    for value in vector {
        *value /= length;
    }
}
