"""ResNet-50 as an ONNX graph with random weights, each normalization folded into the convolution before it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
STAGES = (3, 4, 6, 3)
SEED = 20_151_210
# The last convolution of a block, small beside what goes past the block: the sums stay of one size over all blocks.
CALM = 0.3


class Builder:
    """Collects nodes and weights."""

    def __init__(self):
        self.random = np.random.default_rng(SEED)
        self.nodes, self.constants, self.count = [], [], 0

    def node(self, kind, inputs, **attributes):
        """A node; the name of its output."""
        self.count += 1
        name = f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, array):
        """A weight; its name."""
        self.count += 1
        name = f"weight_{self.count}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def convolution(self, x, sizes, stride=1, scale=1.0):
        """A convolution of `sizes`: channels in and out, and the kernel's edge."""
        before, after, edge = sizes
        weight = self.random.standard_normal((after, before, edge, edge), np.float32)
        weight *= np.float32(scale * (2.0 / (before * edge * edge)) ** 0.5)
        offset = self.random.standard_normal(after, np.float32) * np.float32(0.01)
        pads = [edge // 2] * 4
        return self.node("Conv", [x, self.constant(weight), self.constant(offset)], kernel_shape=[edge, edge],
                         strides=[stride, stride], pads=pads)  # fmt: skip

    def block(self, x, before, inner, stride):
        """Narrow, look around, widen; what came in goes past it."""
        after = inner * 4
        y = self.node("Relu", [self.convolution(x, (before, inner, 1))])
        y = self.node("Relu", [self.convolution(y, (inner, inner, 3), stride)])
        y = self.convolution(y, (inner, after, 1), scale=CALM)
        past = x if before == after and stride == 1 else self.convolution(x, (before, after, 1), stride)
        return self.node("Relu", [self.node("Add", [y, past])])


def build(size, width, classes):
    """The model: `width` is 64 in ResNet-50."""
    b = Builder()
    x = b.node("Relu", [b.convolution("pixels", (3, width, 7), 2)])
    x = b.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    before = width
    for stage, blocks in enumerate(STAGES):
        inner = width << stage
        for number in range(blocks):
            x = b.block(x, before, inner, 2 if number == 0 and stage else 1)
            before = inner * 4
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x])])
    weight = b.random.standard_normal((before, classes), np.float32) * np.float32((4.0 / before) ** 0.5)
    last = b.node("Gemm", [x, b.constant(weight), b.constant(np.zeros(classes, np.float32))])
    b.nodes[-1].output[0] = "logits"
    assert last != "logits"
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, size, size])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
    graph = helper.make_graph(b.nodes, "resnet-50", [pixels], [logits], b.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model, full_check=True)
    return model
