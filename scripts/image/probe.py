#!/usr/bin/env python3
"""Asks a running image what it promises: its health, its metrics, and its models' golden examples.

probe.py http://HOST:PORT ready                  health, live, startup and metrics are as they should be
probe.py http://HOST:PORT golden MODEL_FOLDER    every [[golden]] of model.toml, by POST /predict/MODEL
probe.py http://HOST:PORT status PATH            print the status of a GET
probe.py http://HOST:PORT predict MODEL BODY EXPECTED   one JSON body and its whole expected `output` member
"""

import base64
import json
import math
import pathlib
import sys
import time
import tomllib
import urllib.error
import urllib.request

DEFAULT_TOLERANCE = 1e-3
PATIENCE_S = 20
MEDIA_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def ask(url: str, body: bytes | None = None, media_type: str = "application/json") -> tuple[int, bytes]:
    """Status and body of one request."""
    headers = {"content-type": media_type} if body is not None else {}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def must(condition: bool, text: str) -> None:
    """Stop with a sentence unless the condition holds."""
    if not condition:
        sys.exit(f"error: {text}")


def check_ready(url: str) -> None:
    """The health routes and the metrics of a server that is ready."""
    for path in ("/health", "/health/ready", "/health/live", "/health/startup"):
        status, body = ask(url + path)
        must(status == 200, f"GET {path}: {status} {body[:200]!r}")
    models = json.loads(ask(url + "/health")[1])["models"]
    must(bool(models) and all(model["state"] == "ready" for model in models), f"GET /health: {models}")
    status, body = ask(url + "/metrics")
    text = body.decode()
    for name in ("inference_requests_total", "http_requests_total", "build_info"):
        must(status == 200 and f"\n{name}" in text, f"GET /metrics: {status}, {name} is not in it")
    print("ready: " + ", ".join(model["name"] for model in models))


def tolerances(told: object) -> tuple[float, float]:
    """The relative and absolute tolerance of a golden example, as model.toml writes them."""
    if isinstance(told, dict):
        return told.get("relative", DEFAULT_TOLERANCE), told.get("absolute", DEFAULT_TOLERANCE)
    return (told, told) if isinstance(told, (int, float)) else (DEFAULT_TOLERANCE, DEFAULT_TOLERANCE)


def differs(found: object, expected: object, tolerance: tuple[float, float], where: str = "prediction") -> str | None:
    """Where a prediction differs from what is expected of it; only expected members are compared."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where} is {found}"
        parts = (differs(found.get(key), value, tolerance, f"{where}.{key}") for key, value in expected.items())
        return next((part for part in parts if part), None)
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{where} is {found}"
        parts = (differs(one, other, tolerance, where) for one, other in zip(found, expected, strict=True))
        return next((part for part in parts if part), None)
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        relative, absolute = tolerance
        agrees = isinstance(found, (int, float)) and math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)
    else:
        agrees = found == expected
    return None if agrees else f"{where} is {found}, not {expected}"


def bodies(instance: object) -> list[tuple[str, bytes]]:
    """The ways to send an instance: as JSON, and an image as itself too."""
    ways = [("application/json", json.dumps(instance).encode())]
    if isinstance(instance, dict) and set(instance) == {"b64"}:
        image = base64.b64decode(instance["b64"])
        media_type = next((name for magic, name in MEDIA_TYPES.items() if image.startswith(magic)), None)
        must(media_type is not None, "a golden image is neither PNG nor JPEG")
        ways.append((media_type, image))
    return ways


def check_golden(url: str, folder: str) -> None:
    """Every golden example of a model, asked over HTTP."""
    manifest = tomllib.loads((pathlib.Path(folder) / "model.toml").read_text(encoding="utf-8"))
    name, golden = manifest["name"], manifest.get("golden", [])
    must(bool(golden), f"{name} has no golden example to ask for")
    asked = 0
    for example in golden:
        tolerance = tolerances(example.get("tolerance"))
        for media_type, body in bodies(example["input"]):
            status, answer = ask(f"{url}/predict/{name}", body, media_type)
            must(status == 200, f"POST /predict/{name} ({media_type}): {status} {answer[:300]!r}")
            fault = differs(json.loads(answer), example["expected"], tolerance)
            must(fault is None, f"POST /predict/{name} ({media_type}): {fault}")
            asked += 1
    print(f"{name}: {asked} predictions are those of its {len(golden)} golden examples")


def check_predict(url: str, model: str, body: str, expected: str) -> None:
    """One prediction, its whole output compared."""
    status, answer = ask(f"{url}/predict/{model}", body.encode())
    must(status == 200, f"POST /predict/{model}: {status} {answer[:300]!r}")
    fault = differs(json.loads(answer), json.loads(expected), tolerances(None))
    must(fault is None, f"POST /predict/{model}: {fault}")
    print(f"{model}: {body} gives {expected}")


def check_drain(url: str, started: str) -> None:
    """See the server turn from ready to draining: begun before the signal, so that a busy machine sees it too."""
    must(ask(url + "/health")[0] == 200, "GET /health is not 200 before the signal")
    pathlib.Path(started).touch()
    for _ in range(PATIENCE_S * 20):
        status, body = ask(url + "/health")
        if status != 200:
            code = json.loads(body).get("code")
            must(status == 503 and code == "draining", f"GET /health while it drains: {status} {code}")
            return
        time.sleep(0.05)
    must(False, f"GET /health is still 200 {PATIENCE_S} s after the signal")


def main() -> None:
    """Do what the command line says."""
    must(len(sys.argv) >= 3, __doc__)
    url, what, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if what == "ready":
        check_ready(url)
    elif what == "golden":
        check_golden(url, *rest)
    elif what == "predict":
        check_predict(url, *rest)
    elif what == "drain":
        check_drain(url, *rest)
    else:
        must(False, __doc__)


if __name__ == "__main__":
    main()
