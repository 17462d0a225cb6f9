"""Tensors as the Open Inference Protocol writes them; shared by cases.py and client.py.

A tensor is kept as its binary form (little-endian elements; BYTES elements each behind a 4-byte
length), so comparing bit for bit is comparing bytes: NaN payloads and the sign of zero count.
"""

import dataclasses
import math
import struct

import numpy

# The runtime's element types that the protocol has, and numpy's type of the elements.
# BF16 has no numpy type: its elements travel as their bits.
RUNTIME_TYPES = {
    "tensor(bool)": "BOOL", "tensor(string)": "BYTES",
    "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32", "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32", "tensor(int64)": "INT64",
    "tensor(float16)": "FP16", "tensor(bfloat16)": "BF16", "tensor(float)": "FP32", "tensor(double)": "FP64",
}  # fmt: skip
ELEMENTS = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "BF16": "<u2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
FLOATS = {"FP16", "BF16", "FP32", "FP64"}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A named tensor; `raw` is its binary form."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: bytes

    @staticmethod
    def of(name, datatype, array):
        """From a numpy array; BF16 as an array of its bits."""
        array = numpy.asarray(array)
        if datatype == "BYTES":
            raw = b"".join(_with_length(text) for text in array.reshape(-1).tolist())
        else:
            raw = numpy.ascontiguousarray(array).astype(ELEMENTS[datatype], copy=False).tobytes()
        return Tensor(name, datatype, array.shape, raw)

    def count(self):
        """The number of elements."""
        return math.prod(self.shape)

    def texts(self):
        """The elements of a BYTES tensor."""
        found, at = [], 0
        while at < len(self.raw):
            (size,) = struct.unpack_from("<I", self.raw, at)
            found.append(self.raw[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return found

    def array(self):
        """The elements as a flat numpy array; BF16 widened to FP32, which loses nothing."""
        elements = numpy.frombuffer(self.raw, ELEMENTS[self.datatype])
        if self.datatype == "BF16":
            return (elements.astype("<u4") << 16).view("<f4")
        return elements

    def is_finite(self):
        """False when an element is NaN or infinite, which JSON cannot carry."""
        return self.datatype not in FLOATS or bool(numpy.isfinite(self.array()).all())

    def data(self, nested):
        """The elements for JSON's `data`, flat or nested by the shape."""
        if self.datatype == "BYTES":
            flat = self.texts()
        elif self.datatype in FLOATS:
            # As doubles, every narrower float is exact, and json writes what reads back the same.
            flat = self.array().astype("<f8").tolist()
        else:
            flat = self.array().tolist()
        return _nest(flat, self.shape) if nested and self.shape else flat


def from_json(name, datatype, shape, data):
    """A tensor from JSON's `data`, flat or nested."""
    flat = _flatten(data)
    if datatype == "BYTES":
        raw = b"".join(_with_length(text) for text in flat)
    elif datatype == "BF16":
        raw = (numpy.array(flat, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    elif datatype in FLOATS:
        raw = numpy.array(flat, "<f8").astype(ELEMENTS[datatype]).tobytes()
    else:
        # Through Python's integers: 64-bit values must not pass through a double.
        raw = numpy.array(flat, dtype=ELEMENTS[datatype]).tobytes()
    return Tensor(name, datatype, tuple(shape), raw)


def difference(expected, actual):
    """In a few words how `actual` differs from `expected`; None when every bit is the same."""
    if (expected.datatype, expected.shape) != (actual.datatype, actual.shape):
        return f"expected {expected.datatype} {list(expected.shape)}, got {actual.datatype} {list(actual.shape)}"
    if expected.raw == actual.raw:
        return None
    if len(expected.raw) != len(actual.raw):
        return f"expected {len(expected.raw)} bytes, got {len(actual.raw)}"
    if expected.datatype == "BYTES":
        return f"expected {expected.texts()[:4]!r}, got {actual.texts()[:4]!r}"
    width = numpy.dtype(ELEMENTS[expected.datatype]).itemsize
    bits = [numpy.frombuffer(tensor.raw, f"<u{width}") for tensor in (expected, actual)]
    wrong = numpy.flatnonzero(bits[0] != bits[1])
    first = int(wrong[0])
    values = [tensor.array()[first] for tensor in (expected, actual)]
    return f"{len(wrong)} of {expected.count()} elements differ, the first at {first}: expected {values[0]}, got {values[1]}"


def _with_length(text):
    encoded = text if isinstance(text, bytes) else str(text).encode()
    return struct.pack("<I", len(encoded)) + encoded


def _nest(flat, shape):
    if len(shape) == 1:
        return flat
    width = math.prod(shape[1:])
    return [_nest(flat[row * width : (row + 1) * width], shape[1:]) for row in range(shape[0])]


def _flatten(data):
    flat, rest = [], [data] if not isinstance(data, list) else [iter(data)]
    if not isinstance(data, list):
        return rest
    while rest:
        for item in rest[-1]:
            if isinstance(item, list):
                rest.append(iter(item))
                break
            flat.append(item)
        else:
            rest.pop()
    return flat
