//! The signature and the metadata of a graph, from a session.
//!
//! Initializers that a caller may override are optional inputs: nobody has to give them.

use std::sync::Arc;

use ort::session::Session;
use ort::value::{TensorElementType, ValueType};

use super::graph_file::GraphFile;
use super::{GraphMetadata, LoadError, zip_map};
use crate::model::{Dim, Signature, TensorSpec};
use crate::tensor::DataType;

/// What the session says of its inputs and outputs, and the file beyond it: class labels are the
/// columns of a ZipMap's scores, and a tensor without a shape can't be told from a scalar here.
pub(super) fn signature(session: &Session, file: &GraphFile) -> Result<Signature, LoadError> {
    let class_labels = &file.class_labels;
    let inputs = session.inputs().iter().map(|outlet| spec((outlet.name(), outlet.dtype()), "input", file));
    // One that can't be served is left out: the graph runs without it.
    let optional = session.overridable_initializers();
    let optional = optional
        .iter()
        .filter_map(|initializer| spec((initializer.name(), initializer.dtype()), "input", file).ok());
    let outputs = session.outputs().iter().map(|outlet| {
        if zip_map::is_zip_map(outlet.dtype()) && !class_labels.is_empty() {
            let (name, dims) = (Arc::from(outlet.name()), zip_map::dims(class_labels));
            return Ok(TensorSpec { name, data_type: DataType::Fp32, dims });
        }
        spec((outlet.name(), outlet.dtype()), "output", file)
    });
    Ok(Signature {
        inputs: inputs.collect::<Result<_, _>>()?,
        optional: optional.collect(),
        outputs: outputs.collect::<Result<_, _>>()?,
    })
}

/// What the graph's author wrote about it.
pub(super) fn metadata(session: &Session) -> GraphMetadata {
    let Ok(metadata) = session.metadata() else { return GraphMetadata::default() };
    let written = |text: Option<String>| text.filter(|text| !text.is_empty());
    GraphMetadata {
        producer: written(metadata.producer()),
        domain: written(metadata.domain()),
        description: written(metadata.description()),
        // The runtime's way to say that none was written.
        version: metadata.version().filter(|&version| version != i64::MAX),
    }
}

/// Only tensors have a place in a signature.
fn spec(
    (name, value_type): (&str, &ValueType),
    place: &str,
    file: &GraphFile,
) -> Result<TensorSpec, LoadError> {
    let refuse = |what: String| LoadError::Unsupported(format!("{place} {name:?} {what}"));
    match value_type {
        ValueType::Tensor { ty, shape, dimension_symbols } => {
            let data_type = data_type(*ty)
                .ok_or_else(|| refuse(format!("has element type {ty}, which no client can send or read")))?;
            let symbols = dimension_symbols.iter();
            let mut dims: Vec<Dim> =
                shape.iter().zip(symbols).map(|(&size, symbol)| dim(size, symbol)).collect();
            // An output may still have the shape that the runtime inferred.
            if dims.is_empty() && file.shapeless.contains(name) {
                dims.push(Dim::AnyRank);
            }
            Ok(TensorSpec { name: Arc::from(name), data_type, dims })
        }
        ValueType::Sequence(_) => Err(refuse("is a sequence, and only tensors can be served".into())),
        ValueType::Map { .. } => Err(refuse("is a map, and only tensors can be served".into())),
        ValueType::Optional(_) => Err(refuse("is optional, and only tensors can be served".into())),
    }
}

fn dim(size: i64, symbol: &str) -> Dim {
    match usize::try_from(size) {
        Ok(size) => Dim::Fixed(size),
        Err(_) => Dim::Free((!symbol.is_empty()).then(|| symbol.into())),
    }
}

fn data_type(element: TensorElementType) -> Option<DataType> {
    Some(match element {
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::Uint8 => DataType::Uint8,
        TensorElementType::Uint16 => DataType::Uint16,
        TensorElementType::Uint32 => DataType::Uint32,
        TensorElementType::Uint64 => DataType::Uint64,
        TensorElementType::Int8 => DataType::Int8,
        TensorElementType::Int16 => DataType::Int16,
        TensorElementType::Int32 => DataType::Int32,
        TensorElementType::Int64 => DataType::Int64,
        TensorElementType::Float16 => DataType::Fp16,
        TensorElementType::Bfloat16 => DataType::Bf16,
        TensorElementType::Float32 => DataType::Fp32,
        TensorElementType::Float64 => DataType::Fp64,
        TensorElementType::String => DataType::Bytes,
        _ => return None,
    })
}
