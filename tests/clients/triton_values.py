"""What the tests of Triton's clients send, over HTTP and gRPC alike."""

import ml_dtypes
import numpy as np

# Extremes of every type: the fixture's name for it, and two values.
VALUES = {
    "bool": np.array([[True, False]]),
    "uint8": np.array([[0, 255]], np.uint8),
    "uint16": np.array([[1, 65535]], np.uint16),
    "uint32": np.array([[1, 2**32 - 1]], np.uint32),
    "uint64": np.array([[1, 2**64 - 1]], np.uint64),
    "int8": np.array([[-128, 127]], np.int8),
    "int16": np.array([[-(2**15), 2**15 - 1]], np.int16),
    "int32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "int64": np.array([[-(2**63), 2**63 - 1]], np.int64),
    "float16": np.array([[65504, 2**-24]], np.float16),
    "bfloat16": np.array([[1, -3.140625]], ml_dtypes.bfloat16),
    "float64": np.array([[0.1, -1.7976931348623157e308]], np.float64),
}
ROWS = np.array([[1, 2, 3], [0.1, -0.5, 1e-7]], np.float32)


def texts(*values):
    return np.array(values, dtype=np.object_)
