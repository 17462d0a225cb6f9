//! The ranges of shapes that TensorRT builds an engine for.
//!
//! Without them the provider builds one for the first shape that comes, and anew for every shape outside of what came
//! so far: minutes each. So the ranges are told at load, as wide as anything that will be run: from one of everything
//! to the largest batch of the longest rows. What is tuned for is a full batch of usual length.

use crate::model::{Dim, Signature};

/// How large anything may get that a model is asked to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargestShape {
    /// Rows of a batch.
    pub rows: usize,
    /// Tokens of a row, where the model says how many.
    pub tokens: Option<usize>,
}

/// Rows and tokens that an engine is tuned for, as far as the model takes so many.
const USUAL_ROWS: usize = 32;
const USUAL_TOKENS: usize = 128;

/// The provider's options, `NAME:1x16,NAME:1x16` each; none where all shapes are fixed, or nothing says how far a free
/// dimension goes.
pub(super) fn options(signature: &Signature, largest: LargestShape) -> Option<[(&'static str, String); 3]> {
    let dims = || signature.inputs.iter().flat_map(|input| input.dims.iter());
    if dims().all(|dim| matches!(dim, Dim::Fixed(_))) || dims().any(|dim| *dim == Dim::AnyRank) {
        return None;
    }
    let sizes = |rows: usize, tokens: Option<usize>| -> Option<String> {
        let inputs: Option<Vec<String>> = signature
            .inputs
            .iter()
            .map(|input| {
                let size = |(place, dim): (usize, &Dim)| match dim {
                    Dim::Fixed(size) => Some(size.to_string()),
                    Dim::Free(_) if place == 0 => Some(rows.to_string()),
                    Dim::Free(_) => tokens.map(|tokens| tokens.to_string()),
                    Dim::AnyRank => None,
                };
                let sizes: Option<Vec<String>> = input.dims.iter().enumerate().map(size).collect();
                Some(format!("{}:{}", input.name, sizes?.join("x")))
            })
            .collect();
        Some(inputs?.join(","))
    };
    let usual = largest.tokens.map(|tokens| tokens.min(USUAL_TOKENS));
    Some([
        ("trt_profile_min_shapes", sizes(1, largest.tokens.map(|_| 1))?),
        ("trt_profile_opt_shapes", sizes(largest.rows.min(USUAL_ROWS), usual)?),
        ("trt_profile_max_shapes", sizes(largest.rows, largest.tokens)?),
    ])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::TensorSpec;
    use crate::tensor::DataType;

    fn signature(inputs: &[(&str, &[Dim])]) -> Signature {
        let spec = |(name, dims): &(&str, &[Dim])| TensorSpec {
            name: Arc::from(*name),
            data_type: DataType::Int64,
            dims: dims.to_vec(),
        };
        Signature { inputs: inputs.iter().map(spec).collect(), optional: Vec::new(), outputs: Vec::new() }
    }

    const FREE: Dim = Dim::Free(None);

    fn of(signature: &Signature, rows: usize, tokens: Option<usize>) -> Option<[String; 3]> {
        options(signature, LargestShape { rows, tokens }).map(|options| options.map(|(_, shapes)| shapes))
    }

    #[test]
    fn texts_go_from_one_token_to_the_longest_and_pictures_keep_their_size() {
        let texts = signature(&[("ids", &[FREE, FREE]), ("mask", &[FREE, FREE])]);
        assert_eq!(
            of(&texts, 64, Some(256)).unwrap(),
            ["ids:1x1,mask:1x1", "ids:32x128,mask:32x128", "ids:64x256,mask:64x256"]
        );
        let pictures = signature(&[("x", &[FREE, Dim::Fixed(3), Dim::Fixed(224), Dim::Fixed(224)])]);
        assert_eq!(of(&pictures, 8, None).unwrap(), ["x:1x3x224x224", "x:8x3x224x224", "x:8x3x224x224"]);
    }

    #[test]
    fn nothing_is_told_that_nobody_knows() {
        assert_eq!(of(&signature(&[("x", &[Dim::Fixed(1), Dim::Fixed(4)])]), 8, None), None);
        assert_eq!(of(&signature(&[("x", &[FREE, FREE])]), 8, None), None);
        assert_eq!(of(&signature(&[("x", &[Dim::AnyRank])]), 8, Some(4)), None);
    }
}
