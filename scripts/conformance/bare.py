"""What the same sessions cost in a bare Python process: `bare.py FOLDER` prints CPU seconds and bytes.

Each case is run once, as the server's warm-up does, since the first run is what grows the arenas.
"""

import os
import pathlib
import sys
import time

import cases
import onnxruntime
import store
from server import resident_bytes


def main(folder):
    """Loads and runs every servable case, keeping all sessions."""
    onnxruntime.set_default_logger_severity(4)
    found = list(store.load(folder))
    before, started = resident_bytes(os.getpid()), time.process_time()
    sessions = []
    for case in found:
        made = cases.session(str(folder / "models" / case.name / "model.onnx"))
        cases.run(made, case.inputs)
        sessions.append(made)
    print(time.process_time() - started, resident_bytes(os.getpid()) - before)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
