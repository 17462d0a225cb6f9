"""As much of ONNX Runtime's C API as a bare loop with IoBinding needs, by ctypes: the very library that the server
loads, and no Python package. The table of functions only ever grows at its end, so an entry's place is fixed; the
places are those of `OrtApi` in onnxruntime_c_api.h.
"""

import ctypes
import os

API = 24
ERRORS_ONLY = 3
DEVICE_ALLOCATOR, DEFAULT_MEMORY = 0, 0
ALL_OPTIMIZATIONS = 99
TYPES = {"FLOAT": (1, 4), "INT64": (7, 8), "FLOAT16": (10, 2)}

P, TEXT, INT, SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
OUT = ctypes.POINTER(ctypes.c_void_p)
TEXTS = ctypes.POINTER(ctypes.c_char_p)
FUNCTIONS = {
    "CreateEnv": (3, INT, TEXT, OUT),
    "CreateSession": (7, P, TEXT, P, OUT),
    "CreateSessionOptions": (10, OUT),
    "EnableProfiling": (14, P, TEXT),
    "SetSessionGraphOptimizationLevel": (23, P, INT),
    "SetIntraOpNumThreads": (24, P, INT),
    "CreateTensorWithDataAsOrtValue": (49, P, P, SIZE, ctypes.POINTER(ctypes.c_int64), SIZE, INT, OUT),
    "CreateMemoryInfo": (68, TEXT, INT, INT, INT, OUT),
    "GetAllocatorWithDefaultOptions": (78, OUT),
    "SessionEndProfiling": (110, P, P, OUT),
    "RunWithBinding": (133, P, P, P),
    "CreateIoBinding": (134, P, OUT),
    "BindInput": (136, P, TEXT, P),
    "BindOutputToDevice": (138, P, TEXT, P),
    "AddSessionConfigEntry": (130, P, TEXT, TEXT),
    "AppendTensorRT": (170, P, P),
    "CreateTensorRTOptions": (171, OUT),
    "UpdateTensorRTOptions": (172, P, TEXTS, TEXTS, SIZE),
    "AppendCUDA": (204, P, P),
    "CreateCUDAOptions": (205, OUT),
    "UpdateCUDAOptions": (206, P, TEXTS, TEXTS, SIZE),
}
MESSAGE, RELEASE_STATUS, RELEASE_VALUE, RELEASE_BINDING = 2, 93, 96, 135


class Fault(Exception):
    """What ONNX Runtime says."""


class ApiBase(ctypes.Structure):
    """`OrtApiBase`."""

    _fields_ = [("api", ctypes.CFUNCTYPE(P, ctypes.c_uint32)), ("version", ctypes.CFUNCTYPE(TEXT))]


class Runtime:
    """The library, loaded once in a process."""

    def __init__(self, library):
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        self.library = ctypes.CDLL(str(library))
        self.library.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
        base = self.library.OrtGetApiBase().contents
        self.version = base.version().decode()
        table = base.api(API)
        if not table:
            raise Fault(f"the library ({self.version}) is older than API {API}")
        self.table = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))
        self.made = {}
        self.environment = self.create("CreateEnv", ERRORS_ONLY, b"bare")

    def function(self, place, result, *arguments):
        """An entry of the table."""
        if place not in self.made:
            self.made[place] = ctypes.CFUNCTYPE(result, *arguments)(self.table[place])
        return self.made[place]

    def call(self, name, *arguments):
        """Calls a function that answers with a status."""
        place, *types = FUNCTIONS[name]
        status = self.function(place, P, *types)(*arguments)
        if status:
            text = self.function(MESSAGE, TEXT, P)(status).decode(errors="replace")
            self.function(RELEASE_STATUS, None, P)(status)
            raise Fault(text)

    def create(self, name, *arguments):
        """Calls one whose last argument takes what it made."""
        made = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(made))
        return made

    def release(self, place, what):
        """Lets go of something that was made."""
        self.function(place, None, P)(what)

    def session(self, path, provider, options, profile=None):
        """A session with one thread and no spinning, on a provider with its options."""
        settings = self.create("CreateSessionOptions")
        self.call("SetIntraOpNumThreads", settings, 1)
        self.call("SetSessionGraphOptimizationLevel", settings, ALL_OPTIMIZATIONS)
        self.call("AddSessionConfigEntry", settings, b"session.intra_op.allow_spinning", b"0")
        if profile:
            self.call("EnableProfiling", settings, os.fsencode(profile))
        name = {"cuda": "CUDA", "tensorrt": "TensorRT"}.get(provider)
        if name:
            chosen = self.create(f"Create{name}Options")
            texts = lambda parts: (ctypes.c_char_p * len(parts))(*(str(part).encode() for part in parts))  # noqa: E731
            self.call(f"Update{name}Options", chosen, texts(list(options)), texts(list(options.values())), len(options))
            self.call(f"Append{name}", settings, chosen)
        return Session(self, self.create("CreateSession", self.environment, os.fsencode(path), settings))


class Session:
    """A session, and what is bound to it."""

    def __init__(self, runtime, handle):
        self.runtime, self.handle = runtime, handle

    def bind(self, inputs, outputs, provider, is_copied):
        """Inputs and outputs for runs to come.

        An input of the host is copied to the provider's device here, once; outputs are left on the device, or, where
        they are to be copied, come back to the host with each run.
        """
        return Binding(self, inputs, outputs, b"Cpu" if is_copied or provider == "cpu" else b"Cuda")

    def end_profiling(self):
        """Writes the profile; its path."""
        allocator = self.runtime.create("GetAllocatorWithDefaultOptions")
        text = self.runtime.create("SessionEndProfiling", self.handle, allocator)
        return ctypes.string_at(text.value).decode()


class Binding:
    """An IoBinding with the memory of its inputs."""

    def __init__(self, session, inputs, outputs, place):
        self.session, self.runtime = session, session.runtime
        create = self.runtime.create
        self.handle = create("CreateIoBinding", session.handle)
        host = create("CreateMemoryInfo", b"Cpu", DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY)
        self.values = []
        for name, kind, shape, data in inputs:
            sizes = (ctypes.c_int64 * len(shape))(*shape)
            memory = ctypes.create_string_buffer(data, len(data))
            value = create(
                "CreateTensorWithDataAsOrtValue", host, ctypes.cast(memory, P), len(data), sizes, len(shape), TYPES[kind][0]
            )
            self.values.append((name.encode(), value, memory))
        self.bind_inputs()
        where = create("CreateMemoryInfo", place, DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY)
        for name in outputs:
            self.runtime.call("BindOutputToDevice", self.handle, name.encode(), where)

    def bind_inputs(self):
        """Hands the inputs over, which copies them to the device."""
        for name, value, _ in self.values:
            self.runtime.call("BindInput", self.handle, name, value)

    def run(self):
        """One run; it has ended when this returns."""
        self.runtime.call("RunWithBinding", self.session.handle, None, self.handle)

    def close(self):
        """Lets go of inputs and outputs."""
        self.runtime.release(RELEASE_BINDING, self.handle)
        for _, value, _ in self.values:
            self.runtime.release(RELEASE_VALUE, value)
