"""Resident memory and CPU of ONNX Runtime's CPU provider over random shapes, one process a setting.

Each setting of the arena runs the same seeded sequence of shapes in a process of its own, so that none
inherits what another has left behind. Prints a line a setting, and with --json what it measured.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

SETTINGS = (
    "arena",
    "arena, no pattern",
    "arena, shrinks each run",
    "arena, shrinks each 100th run",
    "arena, as requested",
    "no arena",
    "no arena, no pattern",
)
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process that are in memory, less those of files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) * 1024


def session_of(setting: str, model: Path):
    """A session with one thread under the setting."""
    import onnxruntime as ort  # the library must not be loaded in the parent

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = not setting.startswith("no arena")
    options.enable_mem_pattern = "no pattern" not in setting
    if setting == "arena, as requested":
        info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        same_as_requested = 1
        ort.create_and_register_allocator(info, ort.OrtArenaCfg(0, same_as_requested, -1, -1))
        options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run_options(setting: str, index: int):
    """The options of the run of that index."""
    import onnxruntime as ort

    options = ort.RunOptions()
    if "shrinks each run" in setting or ("100th" in setting and index % 100 == 99):
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def measure(setting: str, arguments: argparse.Namespace) -> dict:
    """Runs the sequence and gives its figures."""
    import numpy as np

    session = session_of(setting, arguments.model)
    shapes = random.Random(arguments.seed)
    loaded, points, peak = resident(), [], 0
    before = resource.getrusage(resource.RUSAGE_SELF)
    for index in range(arguments.shapes):
        least = (arguments.rows, arguments.width) if arguments.fixed else (1, 1)
        rows, width = shapes.randint(least[0], arguments.rows), shapes.randint(least[1], arguments.width)
        inputs = {given.name: np.ones((rows, width), np.int64) for given in session.get_inputs()}
        session.run(None, inputs, run_options(setting, index))
        peak = max(peak, resident()) if index % 10 == 0 else peak
        if (index + 1) % max(arguments.shapes // 10, 1) == 0:
            points.append(resident())
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "setting": setting,
        "cpu_ms_per_run": cpu * 1e3 / arguments.shapes,
        "page_faults_per_run": (after.ru_minflt - before.ru_minflt) / arguments.shapes,
        "loaded": loaded,
        "points": points,
        "peak": max(peak, *points),
    }


def in_own_process(setting: str, arguments: argparse.Namespace) -> dict:
    """The same in a new process."""
    command = [sys.executable, __file__, "--setting", setting, "--model", arguments.model]
    for name in ("shapes", "rows", "width", "seed"):
        command += [f"--{name}", str(getattr(arguments, name))]
    command += ["--fixed"] if arguments.fixed else []
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def line(found: dict) -> str:
    """A setting's figures as a row of a table."""
    mib = [f"{(point - found['loaded']) / MIB:.0f}" for point in found["points"]]
    return (
        f"| {found['setting']} | {found['cpu_ms_per_run']:.2f} | {found['page_faults_per_run']:.0f} "
        f"| {' '.join(mib)} | {(found['peak'] - found['loaded']) / MIB:.0f} |"
    )


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/sentence-embedder/1/model.onnx"))
    parser.add_argument("--shapes", type=int, default=2500, help="runs of each setting")
    parser.add_argument("--rows", type=int, default=8, help="most rows of a run")
    parser.add_argument("--width", type=int, default=128, help="most tokens of a row")
    parser.add_argument("--fixed", action="store_true", help="the largest shape each time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--setting", help="measure this one here and print JSON")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="settings to measure; all without it")
    return parser.parse_args()


def main() -> None:
    """Measures one setting here, or each in turn."""
    arguments = parsed()
    if arguments.setting:
        print(json.dumps(measure(arguments.setting, arguments)))
        return
    print("| setting | CPU ms a run | page faults a run | grown after each tenth, MiB | peak, MiB |")
    print("|---|---|---|---|---|", flush=True)
    for setting in arguments.only or SETTINGS:
        print(line(in_own_process(setting, arguments)), flush=True)


if __name__ == "__main__":
    main()
