#!/usr/bin/env python3
"""Writes the small models with which an image is proved, each as a folder of models to mount.

    proof_models.py FOLDER [PROVIDER]

FOLDER/locale/lower     one StringNormalizer node: strings to lower case by the locale en_US.UTF-8
FOLDER/provider/affine  y = x W of four numbers, with its golden example, to be run by PROVIDER

The few protobuf fields are written by hand, so that proving an image needs no package.
"""

import pathlib
import struct
import sys

FLOAT, STRING = 1, 8  # TensorProto.DataType
STRING_ATTRIBUTE = 3  # AttributeProto.AttributeType
WEIGHTS = ((1.0, 0.5, 0.0, -1.0), (0.25, 2.0, 0.0, 0.0), (0.0, -0.5, 1.0, 0.0), (4.0, 0.0, 0.125, 1.0))
MANIFEST = """\
schema = 1
name = "affine"
task = "tensors"
[execution]
providers = ["{provider}"]
[[golden]]
input = {{ x = {row} }}
expected = {{ y = {product} }}
"""


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    """A length-delimited field: text or a message."""
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def value_info(name: str, element: int, *sizes: int | str) -> bytes:
    """ValueInfoProto: a name, an element type, and dimensions, free where named."""
    shape = b"".join(data(1, data(2, size) if isinstance(size, str) else number(1, size)) for size in sizes)
    return data(1, name) + data(2, data(1, number(1, element) + data(2, shape)))


def attribute(name: str, value: str) -> bytes:
    """AttributeProto of one string."""
    return data(1, name) + data(4, value) + number(20, STRING_ATTRIBUTE)


def model(name: str, node: bytes, x: bytes, y: bytes, initializer: bytes = b"") -> bytes:
    """ModelProto of one node between x and y."""
    graph = data(1, node) + data(2, name) + initializer + data(11, x) + data(12, y)
    return number(1, 8) + data(8, data(1, "") + number(2, 17)) + data(7, graph)


def lower() -> bytes:
    """Strings to lower case, by the locale that ONNX names as the default."""
    attributes = (("case_change_action", "LOWER"), ("locale", "en_US.UTF-8"))
    node = data(1, "x") + data(2, "y") + data(4, "StringNormalizer")
    node += b"".join(data(5, attribute(name, value)) for name, value in attributes)
    return model("lower", node, value_info("x", STRING, "n"), value_info("y", STRING, "n"))


def affine() -> bytes:
    """A row of four numbers times the weights."""
    raw = b"".join(struct.pack("<4f", *row) for row in WEIGHTS)
    weights = number(1, 4) + number(1, 4) + number(2, FLOAT) + data(8, "w") + data(9, raw)
    node = data(1, "x") + data(1, "w") + data(2, "y") + data(4, "MatMul")
    rows = (value_info(name, FLOAT, "n", 4) for name in ("x", "y"))
    return model("affine", node, *rows, initializer=data(5, weights))


def main() -> None:
    """Write the models."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder, provider = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else "cpu"
    for path, graph in (("locale/lower", lower()), ("provider/affine", affine())):
        (folder / path / "1").mkdir(parents=True, exist_ok=True)
        (folder / path / "1" / "model.onnx").write_bytes(graph)
    row = [1.0, -2.0, 3.0, 0.5]
    product = [sum(x * weights[column] for x, weights in zip(row, WEIGHTS, strict=True)) for column in range(4)]
    manifest = MANIFEST.format(provider=provider, row=row, product=product)
    (folder / "provider/affine/model.toml").write_text(manifest, encoding="utf-8")


if __name__ == "__main__":
    main()
