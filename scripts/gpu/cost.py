"""What a row of a model costs by its graph alone: floating-point operations and bytes, for the roofline.

FLOPs are those of matrix products and convolutions, two for each multiplication with its addition; the rest is a few
percent. Bytes are every node's inputs and outputs, once each, as if nothing were fused or kept in a cache, and the
weights, which a batch shares: what a perfect card would have to move lies below.
"""

import onnx
from onnx import TensorProto, helper

WIDTHS = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT64: 8, TensorProto.INT32: 4, TensorProto.BOOL: 1}
VIEWS = {"Reshape", "Unsqueeze", "Flatten", "Shape", "Identity"}


def product(sizes):
    """All of them multiplied."""
    total = 1
    for size in sizes:
        total *= size
    return total


def shaped(model, shapes):
    """Type and shape of every value for one row."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(helper.make_tensor_value_info(value.name, kind, [1, *shapes[value.name]]))
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    settle(fixed.graph, shapes)
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if not all(sizes):
            raise ValueError(f"the shape of {value.name} is not known: {sizes}")
        found[value.name] = (value.type.tensor_type.elem_type, sizes)
    return found


def settle(graph, shapes):
    """Puts a constant in place of each node that reads an input's shape: inference does not follow it into a Slice."""
    for node in [node for node in graph.node if node.op_type == "Shape"]:
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        sizes = [1, *shapes[node.input[0]]][ends.get("start", 0) : ends.get("end")]
        graph.initializer.append(helper.make_tensor(node.output[0], TensorProto.INT64, [len(sizes)], sizes))
        graph.node.remove(node)


def flops(node, values, weights):
    """Of one node."""
    if node.op_type not in ("MatMul", "Gemm", "Conv"):
        return 0
    out = product(values[node.output[0]][1])
    if node.op_type == "MatMul":
        return 2 * out * values[node.input[0]][1][-1]
    if node.op_type == "Gemm":
        return 2 * out * weights[node.input[1]][0]
    return 2 * out * product(weights[node.input[1]][1:])


def of(model, shapes):
    """FLOPs and bytes a row, and bytes of weights a run."""
    values = shaped(model, shapes)
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    size = lambda name: WIDTHS[values[name][0]] * product(values[name][1])  # noqa: E731
    moved = sum(
        sum(size(name) for name in (*node.input, *node.output) if name in values)
        for node in model.graph.node
        if node.op_type not in VIEWS
    )
    # A table of which a row takes a few lines.
    looked_up = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    return {
        "flops": sum(flops(node, values, weights) for node in model.graph.node),
        "row_bytes": moved,
        "weight_bytes": sum(WIDTHS[t.data_type] * product(t.dims) for t in model.graph.initializer if t.name not in looked_up),
        "link_bytes": sum(size(value.name) for value in (*model.graph.input, *model.graph.output)),
    }
