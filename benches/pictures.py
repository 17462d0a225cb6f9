"""What a picture costs beside Pillow: CPU per picture from bytes to the 8 x 8 grey singles that `digits` takes.

pictures.py [BINARY]: needs Pillow and NumPy. Pillow unpacks, converts, resizes and makes the array; the server also
reads base64 out of JSON, runs the graph and writes the answer. Ratios of medians, in turns, one thread busy at a time.
"""

import base64
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TURNS, ROUNDS, DURATION = 5, 60, "2s"


def picture(form):
    """A smooth picture in colour, 640 x 480, as a file's bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.BICUBIC).save(file, form, quality=90)
    return file.getvalue()


def by_pillow(raw):
    """Pillow's CPU, microseconds a picture."""
    begun = time.process_time()
    for _ in range(ROUNDS):
        opened = Image.open(io.BytesIO(raw))
        np.asarray(opened.convert("L").resize((8, 8), Image.BILINEAR), np.float32)
    return (time.process_time() - begun) / ROUNDS * 1e6


def by_server(binary, body):
    """The whole process's CPU, microseconds a request."""
    command = [binary, "bench", ROOT / "models/digits", "--input", body, "--duration", DURATION, "--batch", "1"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"CPU ([\d.]+) us a request", told)[1])


def main():
    """Prints a row of the table in docs/performance.md for each format."""
    binary = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/ml-inference-api"
    print("| picture | bytes | Pillow, CPU us | server, CPU us | server / Pillow |")
    print("|---|---|---|---|---|")
    for form in ("JPEG", "PNG"):
        raw = picture(form)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
            json.dump({"b64": base64.b64encode(raw).decode()}, body)
            body.flush()
            pairs = [(by_pillow(raw), by_server(binary, body.name)) for _ in range(TURNS)]
        pillow, server = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = sorted(server / pillow for pillow, server in pairs)
        print(f"| {form} 640 x 480 | {len(raw)} | {pillow:.0f} | {server:.0f} "
              f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


if __name__ == "__main__":
    main()
