"""NVIDIA's libraries by ctypes: which versions are in use, without any package."""

import ctypes
from pathlib import Path


def opened(folder, name):
    """A shared library out of the folder, else where the loader finds it; none when it is nowhere."""
    for place in (Path(folder) / name, name):
        try:
            return ctypes.CDLL(str(place))
        except OSError:
            continue
    return None


def dotted(number, major, minor):
    """A version number that was packed into one integer."""
    return f"{number // major}.{number % major // minor}"


def cuda(folder):
    """The version of CUDA's runtime."""
    library, number = opened(folder, "libcudart.so.13"), ctypes.c_int()
    if library is None or library.cudaRuntimeGetVersion(ctypes.byref(number)):
        return "not found"
    return dotted(number.value, 1000, 10)


def cudnn(folder):
    """The version of cuDNN."""
    library = opened(folder, "libcudnn.so.9")
    if library is None:
        return "not found"
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = library.cudnnGetVersion()
    return f"{number // 10000}.{number % 10000 // 100}.{number % 100}"


def tensorrt(folder):
    """The version of TensorRT; none when it is not there."""
    library = opened(folder, "libnvinfer.so.10")
    if library is None:
        return None
    number = library.getInferLibVersion()
    return f"{number // 10000}.{number % 10000 // 100}.{number % 100}"


def versions(folder, runtime):
    """All of them as one sentence's parts; `runtime` is ONNX Runtime's own version."""
    found = {"ONNX Runtime": runtime, "CUDA": cuda(folder), "cuDNN": cudnn(folder)}
    return found | {"TensorRT": tensorrt(folder) or "not there"}
