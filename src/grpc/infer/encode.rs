//! From the model's outputs to an answer.

use std::collections::{HashMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};

use super::typed;
use crate::grpc::answer::Encoded;
use crate::grpc::proto::inference::infer_parameter::ParameterChoice;
use crate::grpc::proto::inference::model_infer_response::InferOutputTensor;
use crate::grpc::proto::inference::{InferParameter, ModelInferResponse, ModelStreamInferResponse};
use crate::service::{Form, Model, ServiceError, Wanted};
use crate::tensor::Tensor;

/// Raw tensors of together so many bytes at most are copied into the message: that costs less than to send
/// more than one piece.
const COPIED: usize = 4 << 10;
/// `raw_output_contents`, number 6, with a length.
const RAW_KEY: u8 = 6 << 3 | 2;
/// The parameter of a stream's response that holds the error's code.
const ERROR_CODE: &str = "error_code";

/// The outputs that are wanted, out of all in the signature's order.
///
/// # Errors
/// `inference_failed` where the model gave others than its signature says.
pub(super) fn response(
    model: &Model,
    wanted: &Wanted,
    outputs: Vec<Tensor>,
) -> Result<ModelInferResponse, ServiceError> {
    let specs = &model.facts.signature.outputs;
    let outputs = wanted.settled(model, outputs)?;
    let mut response = ModelInferResponse {
        model_name: model.name().to_owned(),
        model_version: model.facts.version.to_string(),
        id: wanted.id.clone().unwrap_or_default(),
        outputs: Vec::with_capacity(wanted.outputs.len()),
        ..ModelInferResponse::default()
    };
    for output in &wanted.outputs {
        let tensor = &outputs[output.index];
        let contents = match output.form {
            Form::Typed => Some(typed::contents(tensor.data())),
            Form::Raw => {
                response.raw_output_contents.push(tensor.data().to_raw());
                None
            }
        };
        let shape = tensor.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX));
        response.outputs.push(InferOutputTensor {
            name: specs[output.index].name.to_string(),
            datatype: tensor.data_type().name().to_owned(),
            shape: shape.collect(),
            parameters: HashMap::new(),
            contents,
        });
    }
    Ok(response)
}

/// An answer for itself. Large raw tensors are sent from where they lie.
pub(super) fn whole(mut response: ModelInferResponse) -> Encoded {
    if response.raw_output_contents.iter().map(Bytes::len).sum::<usize>() <= COPIED {
        return Encoded::of(&response);
    }
    // The field with the highest number: it stands last in any case.
    let raw = std::mem::take(&mut response.raw_output_contents);
    let mut pieces = VecDeque::with_capacity(raw.len() * 2);
    for tensor in raw {
        let mut head = BytesMut::with_capacity(11);
        head.put_u8(RAW_KEY);
        prost::encoding::encode_varint(tensor.len() as u64, &mut head);
        pieces.push_back(head.freeze());
        pieces.push_back(tensor);
    }
    Encoded::in_pieces(&response, pieces)
}

/// An answer on a stream.
pub(super) fn streamed(response: ModelInferResponse) -> Encoded {
    Encoded::of(&ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) })
}

/// What went wrong with the request called `id` on a stream, whose other requests go on.
pub(super) fn failed(error: &ServiceError, id: Option<&str>) -> Encoded {
    let code = ParameterChoice::StringParam(error.code.text().to_owned());
    let code = InferParameter { parameter_choice: Some(code) };
    let response = ModelInferResponse {
        id: id.unwrap_or_default().to_owned(),
        parameters: HashMap::from([(ERROR_CODE.to_owned(), code)]),
        ..ModelInferResponse::default()
    };
    let error_message = error.detail.clone();
    Encoded::of(&ModelStreamInferResponse { error_message, infer_response: Some(response) })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn pieces_are_the_message_as_a_whole() {
        let mut response =
            ModelInferResponse { model_name: "m".to_owned(), id: "i".to_owned(), ..Default::default() };
        for sizes in [&[0_usize, 3][..], &[COPIED, 0, 5], &[200_000]] {
            response.raw_output_contents = sizes.iter().map(|&size| vec![7; size].into()).collect();
            let mut encoded = whole(response.clone());
            let mut all = Vec::new();
            while let Some(piece) = encoded.pop() {
                all.extend_from_slice(&piece);
            }
            let length = u32::from_be_bytes(all[1..5].try_into().unwrap()) as usize;
            assert_eq!((all[0], length), (0, all.len() - 5), "{sizes:?}");
            assert_eq!(ModelInferResponse::decode(&all[5..]).unwrap(), response, "{sizes:?}");
        }
    }
}
