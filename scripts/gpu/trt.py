"""TensorRT's options: an engine for every shape that is asked for, kept in a folder."""

from .copies import execution, largest
from .samples import HALF

USUAL = 32


def shapes(facts, rows, least):
    """The inputs' shapes as the provider reads them; `least` is 1 for the shortest text, else none."""
    parts = []
    for value in facts["inputs"]:
        sizes = [least] if least and len(value["shape"]) == 1 else value["shape"]
        parts.append(f"{value['name']}:{'x'.join(map(str, [rows, *sizes]))}")
    return ",".join(parts)


def options(lane, name, rows):
    """The provider's options for a model: one engine for up to so many rows of all lengths, built once into a folder."""
    folder = lane.folder / f"engines-{rows}"
    folder.mkdir(exist_ok=True)
    made = {
        "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder), "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }  # fmt: skip
    if name in lane.models.facts:
        facts = lane.models.facts[name]
        made["trt_profile_min_shapes"] = shapes(facts, 1, 1)
        made["trt_profile_opt_shapes"] = shapes(facts, min(USUAL, rows), None)
        made["trt_profile_max_shapes"] = shapes(facts, rows, None)
    return made


def execution_of(lane, name, rows=None):
    """Lines of [execution]."""
    more = ['precision = "fp16"'] if name.endswith(HALF) else []
    return execution("tensorrt", *more, **options(lane, name, rows or largest(name)))


def bare_options(lane, name):
    """The same for the bare loop."""
    return options(lane, name, largest(name)) | ({"trt_fp16_enable": "1"} if name.endswith(HALF) else {})
