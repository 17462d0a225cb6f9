"""The Open Inference Protocol v2 by gRPC: grpcio with messages made of the committed definitions.

`Calls.infer` asks a model with raw or typed contents and gives its outputs as tensors, or raises
`Refused` with the status and `Wrong` where the answer breaks the protocol.
"""

import pathlib

import grpc
import numpy
from client import Refused, Wrong
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensors import ELEMENTS, Tensor, from_json

DESCRIPTORS = pathlib.Path(__file__).parents[2] / "proto" / "generated" / "descriptors.binpb"
# The field of a type; FP16 and BF16 have none.
FIELDS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def messages():
    """The request's and the response's class."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    names = ["inference.ModelInferRequest", "inference.ModelInferResponse"]
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


class Calls:
    """One channel."""

    def __init__(self, address):
        self._request, response = messages()
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=self._request.SerializeToString,
            response_deserializer=response.FromString,
        )
        self._asked = 0

    def infer(self, model, inputs, outputs, *, raw):
        """The outputs of `model`, which are called `outputs` in this order."""
        self._asked += 1
        # Without inputs nothing tells one form from the other, and the answer is typed.
        raw = raw and bool(inputs)
        request = self._request(model_name=model, id=str(self._asked))
        for tensor in inputs:
            entry = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            if raw:
                request.raw_input_contents.append(tensor.raw)
            else:
                getattr(entry.contents, FIELDS[tensor.datatype]).extend(elements(tensor))
        try:
            answer = self._infer(request, timeout=60)
        except grpc.RpcError as error:
            raise Refused(error.code().name, None, error.details()) from None
        if (answer.model_name, answer.id) != (model, request.id):
            raise Wrong(f"the answer is of {answer.model_name!r} to {answer.id!r}")
        if [output.name for output in answer.outputs] != list(outputs):
            raise Wrong(f"the outputs are {[output.name for output in answer.outputs]}")
        return read(answer, raw)

    def close(self):
        """Ends the channel."""
        self._channel.close()


def elements(tensor):
    """What a field of typed contents holds."""
    if tensor.datatype == "BYTES":
        return [text.encode() for text in tensor.texts()]
    return tensor.array().tolist()


def can_be_typed(tensors):
    """Whether each tensor has a field, and floats that survive Python's."""
    return all(tensor.datatype in FIELDS for tensor in tensors)


def read(answer, was_raw):
    """An answer's outputs: raw where the request was, or where one has no other form."""
    is_raw = was_raw or any(output.datatype not in FIELDS for output in answer.outputs)
    if len(answer.raw_output_contents) != (len(answer.outputs) if is_raw else 0):
        raise Wrong(f"{len(answer.raw_output_contents)} raw outputs of {len(answer.outputs)}")
    found = []
    for index, output in enumerate(answer.outputs):
        name, datatype, shape = output.name, output.datatype, tuple(output.shape)
        if is_raw:
            found.append(Tensor(name, datatype, shape, answer.raw_output_contents[index]))
            continue
        values = list(getattr(output.contents, FIELDS[datatype]))
        if datatype == "BYTES":
            found.append(from_json(name, datatype, shape, values))
        else:
            found.append(Tensor(name, datatype, shape, numpy.array(values, ELEMENTS[datatype]).tobytes()))
    return found
