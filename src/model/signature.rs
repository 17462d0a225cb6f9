//! Names, types and dimensions of a graph's inputs and outputs.
//!
//! Read from a session by `engine/`, used by `task/` to lay out rows and by `service/` to validate
//! a request before a row is queued: the runtime's own error codes don't tell the caller's faults
//! from ours (`DESIGN` 6 of the project's plan; `ARCHITECTURE.md`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::tensor::{DataType, Tensor};

/// One dimension of a tensor in a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Any size; equal names mean equal sizes within one run.
    Free(Option<Arc<str>>),
    /// Any number of dimensions of any size: the only entry of a tensor whose graph declares no
    /// shape, not even a rank.
    AnyRank,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => size.fmt(f),
            Self::Free(Some(name)) => f.write_str(name),
            Self::Free(None) => f.write_str("?"),
            Self::AnyRank => f.write_str("..."),
        }
    }
}

/// Name, element type and dimensions of one input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in the graph.
    pub name: Arc<str>,
    /// The element type.
    pub data_type: DataType,
    /// Dimensions, outermost first; empty for a scalar, [`Dim::AnyRank`] alone where unknown.
    pub dims: Vec<Dim>,
}

impl TensorSpec {
    /// The shape as shown to people: `[batch,30]`.
    pub fn shape_text(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(Dim::to_string).collect();
        format!("[{}]", dims.join(","))
    }

    /// True when the first dimension is free.
    pub fn has_free_first_dim(&self) -> bool {
        matches!(self.dims.first(), Some(Dim::Free(_)))
    }

    /// Checks rank and fixed sizes of `shape`.
    ///
    /// # Errors
    /// What was expected and what came.
    pub fn check_shape(&self, shape: &[usize]) -> Result<(), String> {
        let fits = |(dim, &size): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != size);
        let is_such = self.dims.len() == shape.len() && self.dims.iter().zip(shape).all(fits);
        if is_such || self.is_any_rank() {
            return Ok(());
        }
        // A caller may send any number of sizes.
        let came = if shape.len() > 16 { format!("{} sizes", shape.len()) } else { format!("{shape:?}") };
        Err(format!("expected shape {}, got {came}", self.shape_text()))
    }

    /// True when the graph declares no shape: a tensor of any rank fits.
    pub fn is_any_rank(&self) -> bool {
        self.dims == [Dim::AnyRank]
    }

    fn first_dim_name(&self) -> Option<&Arc<str>> {
        match self.dims.first() {
            Some(Dim::Free(name)) => name.as_ref(),
            _ => None,
        }
    }
}

/// A tensor that does not fit its place in the signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SignatureError {
    /// The input at fault.
    pub input: Arc<str>,
    /// What was expected and what came.
    pub detail: String,
}

/// The inputs and outputs of a graph, in the graph's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Inputs that must be given, in the graph's order.
    pub inputs: Vec<TensorSpec>,
    /// Inputs that the graph has values for itself, and that a caller may override; in its order.
    pub optional: Vec<TensorSpec>,
    /// Outputs, in the graph's order.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// True when the declared shapes allow batching: every input and every output has rank >= 1
    /// and a free first dimension, with equal names where named. Whether rows are really
    /// independent is checked by running (`engine`).
    pub fn batchable_by_shape(&self) -> bool {
        let mut specs = self.inputs.iter().chain(&self.outputs);
        if self.inputs.is_empty() || self.outputs.is_empty() {
            return false;
        }
        if !specs.clone().all(TensorSpec::has_free_first_dim) {
            return false;
        }
        let name = specs.clone().find_map(TensorSpec::first_dim_name);
        specs.all(|spec| spec.first_dim_name().is_none_or(|other| Some(other) == name))
    }

    /// The output called `name` and its position.
    pub fn output(&self, name: &str) -> Option<(usize, &TensorSpec)> {
        self.outputs.iter().enumerate().find(|(_, spec)| &*spec.name == name)
    }

    /// Checks types, ranks, fixed dimensions and equal named dimensions of `tensors`, which stand
    /// in the order of the inputs.
    ///
    /// # Errors
    /// The first input that does not fit, with what was expected and what came.
    pub fn check(&self, tensors: &[Tensor]) -> Result<(), SignatureError> {
        let mut named: HashMap<&str, (usize, &str)> = HashMap::new();
        self.inputs.iter().zip(tensors).try_for_each(|(spec, tensor)| fits(spec, tensor, &mut named))
    }

    /// Checks optional inputs, each with its index in [`optional`](Self::optional), like
    /// [`check`](Self::check) the others.
    ///
    /// # Errors
    /// The first that does not fit, is given twice or does not exist.
    pub fn check_optional(&self, given: &[(usize, Tensor)]) -> Result<(), SignatureError> {
        let mut named = HashMap::new();
        for (place, (index, tensor)) in given.iter().enumerate() {
            let Some(spec) = self.optional.get(*index) else {
                let detail = format!("expected one of {} optional inputs, got another", self.optional.len());
                return Err(SignatureError { input: "".into(), detail });
            };
            if given[..place].iter().any(|(earlier, _)| earlier == index) {
                let detail = "expected each input once, got this one twice".to_owned();
                return Err(SignatureError { input: Arc::clone(&spec.name), detail });
            }
            fits(spec, tensor, &mut named)?;
        }
        Ok(())
    }
}

/// Holds `tensor` against `spec`; `named` has the sizes of the named dimensions so far, and the input
/// that set each.
fn fits<'a>(
    spec: &'a TensorSpec,
    tensor: &Tensor,
    named: &mut HashMap<&'a str, (usize, &'a str)>,
) -> Result<(), SignatureError> {
    let fail = |detail| SignatureError { input: Arc::clone(&spec.name), detail };
    if spec.data_type != tensor.data_type() {
        let came = tensor.data_type();
        return Err(fail(format!("expected {}, got {came}", spec.data_type)));
    }
    spec.check_shape(tensor.shape()).map_err(fail)?;
    for (dim, &size) in spec.dims.iter().zip(tensor.shape()) {
        let Dim::Free(Some(name)) = dim else { continue };
        let (known, by) = *named.entry(name).or_insert((size, &spec.name));
        if known != size {
            return Err(fail(format!("dimension {name} is {size} here and {known} in input {by}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dims: &[Dim]) -> TensorSpec {
        TensorSpec { name: name.into(), data_type: DataType::Fp32, dims: dims.to_vec() }
    }

    fn free(name: &str) -> Dim {
        Dim::Free(Some(name.into()))
    }

    #[test]
    fn batchable_needs_a_free_first_dimension_everywhere_with_one_name() {
        let of = |inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>| {
            Signature { inputs, optional: vec![], outputs }.batchable_by_shape()
        };
        let ok = spec("x", &[free("batch"), Dim::Fixed(3)]);
        assert!(of(vec![ok.clone()], vec![spec("y", &[Dim::Free(None)])]));
        assert!(of(vec![ok.clone()], vec![spec("y", &[free("batch")])]));
        assert!(!of(vec![ok.clone()], vec![spec("y", &[free("tokens")])]));
        assert!(!of(vec![ok.clone()], vec![spec("y", &[])]));
        assert!(!of(vec![ok.clone()], vec![spec("y", &[Dim::Fixed(1)])]));
        assert!(!of(vec![ok], vec![]));
        assert!(!of(vec![], vec![spec("y", &[free("batch")])]));
    }

    #[test]
    fn any_rank_takes_every_shape_of_its_type_and_is_never_batchable() {
        let any = spec("x", &[Dim::AnyRank]);
        assert_eq!((any.shape_text().as_str(), any.has_free_first_dim()), ("[...]", false));
        let signature =
            Signature { inputs: vec![any], optional: vec![], outputs: vec![spec("y", &[free("batch")])] };
        assert!(!signature.batchable_by_shape());
        for shape in [vec![], vec![1], vec![2, 0, 3]] {
            let tensor = Tensor::new(shape.clone(), vec![0.0_f32; shape.iter().product()]).unwrap();
            assert_eq!(signature.check(&[tensor]), Ok(()), "{shape:?}");
        }
        let integers = Tensor::new(vec![1], vec![1_i64]).unwrap();
        assert!(signature.check(&[integers]).is_err());
    }

    #[test]
    fn named_dimensions_must_agree_across_inputs() {
        let signature = Signature {
            inputs: vec![
                spec("ids", &[free("batch"), free("sequence")]),
                spec("mask", &[free("batch"), free("sequence")]),
            ],
            optional: vec![],
            outputs: vec![],
        };
        let two_by = |width: usize| Tensor::new(vec![2, width], vec![0.0_f32; 2 * width]).unwrap();
        assert_eq!(signature.check(&[two_by(3), two_by(3)]), Ok(()));
        let error = signature.check(&[two_by(3), two_by(4)]).unwrap_err();
        assert_eq!(error.detail, "dimension sequence is 4 here and 3 in input ids");
        assert_eq!(&*error.input, "mask");
    }

    #[test]
    fn optional_inputs_are_held_against_their_own_specs() {
        let signature = Signature {
            inputs: vec![spec("x", &[free("batch")])],
            optional: vec![spec("scale", &[]), spec("shift", &[Dim::Fixed(2)])],
            outputs: vec![],
        };
        let scalar = Tensor::new(vec![], vec![1.0_f32]).unwrap();
        let pair = Tensor::new(vec![2], vec![1.0_f32; 2]).unwrap();
        let whole = Tensor::new(vec![2], vec![1_i64; 2]).unwrap();
        let refused = |given: &[(usize, Tensor)]| signature.check_optional(given).unwrap_err().to_string();
        assert_eq!(signature.check_optional(&[]), Ok(()));
        assert_eq!(signature.check_optional(&[(1, pair.clone()), (0, scalar.clone())]), Ok(()));
        assert_eq!(refused(&[(0, pair.clone())]), "expected shape [], got [2]");
        assert_eq!(refused(&[(1, whole)]), "expected FP32, got INT64");
        assert!(refused(&[(0, scalar.clone()), (0, scalar)]).contains("twice"));
        assert!(refused(&[(2, pair)]).contains("2 optional inputs"));
    }
}
