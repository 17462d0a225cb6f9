#!/usr/bin/env python3
"""Writes a model of one StringNormalizer node, which needs the locale en_US.UTF-8, to a folder.

    string_model.py FOLDER      FOLDER/lower/1/model.onnx: strings to lower case, case by that locale

The few protobuf fields are written by hand, so that proving an image needs no package.
"""

import pathlib
import sys

STRING = 8  # TensorProto.DataType
STRING_ATTRIBUTE = 3  # AttributeProto.AttributeType


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


def tensor_of_strings(name: str) -> bytes:
    """ValueInfoProto: strings in one free dimension."""
    shape = data(1, data(2, "n"))
    return data(1, name) + data(2, data(1, number(1, STRING) + data(2, shape)))


def attribute(name: str, value: str) -> bytes:
    """AttributeProto of one string."""
    return data(1, name) + data(4, value) + number(20, STRING_ATTRIBUTE)


def model() -> bytes:
    """ModelProto: x -> StringNormalizer -> y."""
    attributes = (("case_change_action", "LOWER"), ("locale", "en_US.UTF-8"))
    node = data(1, "x") + data(2, "y") + data(4, "StringNormalizer")
    node += b"".join(data(5, attribute(name, value)) for name, value in attributes)
    graph = data(1, node) + data(2, "lower") + data(11, tensor_of_strings("x")) + data(12, tensor_of_strings("y"))
    return number(1, 8) + data(8, data(1, "") + number(2, 17)) + data(7, graph)


def main() -> None:
    """Write the model."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1]) / "lower" / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model())


if __name__ == "__main__":
    main()
