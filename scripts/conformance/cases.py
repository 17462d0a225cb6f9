"""Builds the ONNX operator cases as a repository of models, with what ONNX Runtime in Python answers.

    cases.py FOLDER

FOLDER/models/NAME/model.onnx is a repository to serve; beside it lie every servable case's inputs and
the runtime's outputs (store.py). What is servable is decided by facts that
know nothing of the server: the runtime loads and runs the case, its inputs and outputs are tensors of
types that the protocol has, and all runs of two sessions give the same bits. The rest is counted by reason.
"""

import collections
import ctypes
import pathlib
import re
import sys
import time
import warnings

import numpy
import onnx
import onnxruntime

import store
from tensors import ELEMENTS, RUNTIME_TYPES, Tensor

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
BFLOAT16 = "tensor(bfloat16)"

# How often a session must give the same bits: more often than a case is asked.
RUNS = 8

NOT_LOADABLE = "the runtime cannot load it"
# Words of its refusal, and what they mean.
NOT_LOADED = {
    "Unsupported model IR version": "a newer IR version than it reads",
    "models stamped with official released onnx opset versions": "a newer opset than is released",
    "is not a registered function/op": "an operator that it has not",
    "NOT_IMPLEMENTED": "no kernel for the operator with these types",
}


class LeftOut(Exception):
    """Why a case is not servable: a reason to count by, and a detail."""

    def __init__(self, reason, detail=""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def node_cases():
    """The package's node cases. Making them divides by zero on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return sorted(collect_testcases(None), key=lambda case: case.name)


def session(model):
    """A session as the server's: one thread, all optimizations, the CPU and nothing else."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    try:
        made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The binding raises many types, some of them its own.
        text = str(error)
        why = next((why for words, why in NOT_LOADED.items() if words in text), "another fault")
        raise LeftOut(f"{NOT_LOADABLE}: {why}", text) from None
    made.disable_fallback()
    return made


def check_types(made):
    """Every input and output must be a tensor of a type that the protocol has."""
    types = {outlet.type for outlet in [*made.get_inputs(), *made.get_outputs()]}
    other = sorted(kind for kind in types if not kind.startswith("tensor("))
    if other:
        raise LeftOut("a sequence, map or optional type, which the protocol has not", ", ".join(other))
    unknown = sorted(types - set(RUNTIME_TYPES))
    if unknown:
        raise LeftOut("an element type that the protocol has not", ", ".join(unknown))


def run(made, inputs):
    """The outputs as tensors in the protocol's binary form."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    outlets = made.get_outputs()
    try:
        if any(outlet.type == BFLOAT16 for outlet in outlets):
            # The binding can't hand these on as numpy arrays.
            values = made.run_with_ort_values(None, {tensor.name: ort_value(tensor) for tensor in inputs}, options)
            outputs = [bits_of(found) if found.data_type() == BFLOAT16 else found.numpy() for found in values]
        else:
            outputs = made.run(None, {tensor.name: value(tensor) for tensor in inputs}, options)
    except Exception as error:
        raise LeftOut("the runtime cannot run it", str(error)) from None
    pairs = zip(outlets, outputs, strict=True)
    return [Tensor.of(outlet.name, RUNTIME_TYPES[outlet.type], output) for outlet, output in pairs]


def value(tensor):
    """A tensor as the runtime's Python binding takes it."""
    if tensor.datatype == "BYTES":
        return numpy.array(tensor.texts(), object).reshape(tensor.shape)
    return ort_value(tensor) if tensor.datatype == "BF16" else elements(tensor)


def ort_value(tensor):
    """A tensor of numbers as a value of the runtime."""
    if tensor.datatype == "BF16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(elements(tensor), onnx.TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(elements(tensor))


def elements(tensor):
    """A tensor of numbers as a numpy array of its own, BF16 as bits."""
    return numpy.frombuffer(tensor.raw, ELEMENTS[tensor.datatype]).reshape(tensor.shape).copy()


def bits_of(found):
    """A BF16 value of the runtime as an array of its bits."""
    raw = ctypes.string_at(found.data_ptr(), found.tensor_size_in_bytes())
    return numpy.frombuffer(raw, numpy.uint16).reshape(found.shape())


def answer(case):
    """The model's bytes, the inputs and the runtime's outputs of a servable case."""
    if not NAME.fullmatch(case.name):
        raise LeftOut("a name that no model can have")
    model = case.model.SerializeToString()
    made = session(model)
    check_types(made)
    ((given, _),) = case.data_sets
    outlets = made.get_inputs()
    if len(given) != len(outlets):
        raise LeftOut("the runtime cannot run it", f"{len(given)} inputs for {len(outlets)}")
    inputs = []
    for outlet, array in zip(outlets, given, strict=True):
        if isinstance(array, onnx.TensorProto):
            array = onnx.numpy_helper.to_array(array)
        bits = array.view(numpy.uint16) if outlet.type == BFLOAT16 else array
        inputs.append(Tensor.of(outlet.name, RUNTIME_TYPES[outlet.type], bits))
    outputs = run(made, inputs)
    # Dropout's generator takes its seed and then the numbers after it, and makes the same of 0 and 1.
    again = (run(made, inputs) for _ in range(RUNS))
    if any(outputs_again != outputs for outputs_again in again) or run(session(model), inputs) != outputs:
        raise LeftOut("two runs give different outputs (random)")
    return model, inputs, outputs


def main(folder):
    """Writes the repository, the cases and the counts."""
    onnxruntime.set_default_logger_severity(4)
    started = time.monotonic()
    cases, left_out = [], []
    found = node_cases()
    for index, case in enumerate(found):
        if sys.stderr.isatty():
            print(f"\r    {index + 1}/{len(found)} cases", end="", file=sys.stderr)
        try:
            model, inputs, outputs = answer(case)
        except LeftOut as why:
            left_out.append({"case": case.name, "reason": why.reason, "detail": why.detail[-400:]})
            continue
        place = folder / "models" / case.name
        place.mkdir(parents=True)
        (place / "model.onnx").write_bytes(model)
        cases.append(store.Case(case.name, inputs, outputs))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    store.save(folder, len(found), cases, left_out)
    reasons = collections.Counter(entry["reason"] for entry in left_out)
    print(f"    {len(cases)} of {len(found)} cases are servable ({time.monotonic() - started:.0f} s); left out:")
    for reason, count in reasons.most_common():
        print(f"      {count:5} {reason}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
