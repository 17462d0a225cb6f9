"""usage: server.py BINARY [NAME]

Tries the runbooks that talk to the admin listener (scripts/runbooks) against the real server: what is only shown changes nothing,
--apply does it, refusals refuse, faults are told. All of it, or what NAME says. RUNBOOKS names another run.sh, for mutate.py. Called by check.sh.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stack import Inference, end_by_signals, get_json, post, quiet, status

RUN = Path(os.environ.get("RUNBOOKS", "scripts/runbooks/run.sh"))
DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3
SECRET = "hunter2-not-to-be-seen"
PATIENCE = 30
TRACING = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER_ARG": "0.25", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


class Wrong(Exception):
    """Something is not as it has to be."""


def expect(condition, *seen):
    """Fails with what was seen unless the condition holds."""
    if not condition:
        raise Wrong("\n".join(map(str, seen)))


def call(code, *arguments):
    """What run.sh says; it must end with this code."""
    done = subprocess.run([RUN, *map(str, arguments)], capture_output=True, text=True)
    said = done.stdout + done.stderr
    expect(done.returncode == code, f"'{' '.join(map(str, arguments))}' ended with {done.returncode}, not {code}:", said)
    return said


def models(server):
    """The state of all versions."""
    return {(it["name"], it["version"]): it["state"] for it in json.loads(post(f"http://{server.admin}/v2/repository/index", b"")[2])}


def try_models(server, folder):
    """load-model and unload-model, of good files and of bad ones."""
    both = {("fraud-detector", "1"): "READY", ("digits", "1"): "READY"}
    admin = ("--admin", server.admin)
    expect(models(server) == both, models(server))
    said = call(DONE, "unload-model", "digits", *admin)
    expect("Nothing was done." in said and models(server) == both, "what was only shown was done", said)
    call(REFUSED, "unload-model", "nobody", *admin)
    said = call(DONE, "unload-model", "digits", *admin, "--apply")
    expect(models(server)["digits", "1"] == "UNAVAILABLE" and "UNAVAILABLE (unloaded)" in said, said)
    expect("the last model" in call(REFUSED, "unload-model", "fraud-detector", *admin, "--apply"), "the last model was unloaded")
    expect(models(server)["fraud-detector", "1"] == "READY", models(server))
    said = call(DONE, "load-model", "digits", *admin)
    expect(models(server)["digits", "1"] == "UNAVAILABLE", "what was only shown was done", said)
    call(DONE, "load-model", "digits", *admin, "--apply")
    expect(models(server) == both, models(server))
    bad = folder / "models" / "digits" / "2"
    bad.mkdir()
    (bad / "model.onnx").write_bytes(b"no graph")
    said = call(FAILED, "load-model", "digits", *admin, "--apply")
    expect("model_load_failed" in said and models(server)["digits", "1"] == "READY", "a bad load was not told, or did harm:", said)
    shutil.rmtree(bad)
    call(DONE, "load-model", "digits", *admin, "--apply")
    expect(models(server) == both, models(server))


def try_telemetry(server, quiet_server):
    """Changed for a while and put back: after its time, after an interruption, and where another instance refuses."""
    path = f"http://{server.admin}/telemetry"
    before = get_json(path)
    expect(before == {"log_level": "info", "sampling_ratio": 0.25}, before)
    change = ("telemetry", "--sampling", "1", "--log-level", "debug", "--admin", server.admin)
    call(DONE, *change)
    expect(get_json(path) == before, "what was only shown was done")
    during = {"log_level": "debug", "sampling_ratio": 1.0}
    for ending in (None, signal.SIGINT, signal.SIGTERM):
        running = subprocess.Popen([RUN, *change, "--for", "3s" if ending is None else "10m", "--apply"], stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + PATIENCE
        while get_json(path) != during:
            expect(time.monotonic() < until and running.poll() is None, "it was not changed:", running.stdout.read() if running.poll() is not None else get_json(path))
            time.sleep(0.05)
        if ending:
            # run.sh has given its place to Python: the signal comes to where it must.
            running.send_signal(ending)
        said, _ = running.communicate(timeout=PATIENCE)
        expect(running.returncode == DONE and "put back" in said and get_json(path) == before, f"it was not put back after {ending}:", said, get_json(path))
    expect("no tracing" in call(REFUSED, "telemetry", "--sampling", "1", "--admin", quiet_server.admin, "--apply"), "")
    expect("answered 400" in call(FAILED, "telemetry", "--log-level", "nonsense=nonsense", "--admin", server.admin, "--for", "1s", "--apply"), "")
    expect(get_json(path) == before, get_json(path))
    for wrong in (("--sampling", "2"), ("--for", "2h"), ("--for", "0s")):
        call(USAGE, "telemetry", *wrong, "--admin", server.admin)
    expect("nothing to change" in call(REFUSED, "telemetry", "--admin", server.admin), "")


def try_diagnostics(server, folder):
    """What the server tells, and its log with the ids of failed requests, without what sounds like a secret."""
    log = folder / "service.jsonl"
    failed = '{"timestamp":"2026-01-01T00:00:00Z","level":"ERROR","code":"inference_failed","request_id":"look-1","trace_id":"bb52"}'
    log.write_text(f'{failed}\n{{"level":"INFO","trace_id":"none"}}\n{{"level":"WARN","authorization":"Bearer {SECRET}"}}\npassword={SECRET}\nno JSON\n')
    to = folder / "bundle"
    arguments = ("diagnostics", "--no-cluster", "--admin", server.admin, "127.0.0.1:9", "--log", log, "--to", to)
    call(DONE, *arguments)
    expect(not to.exists(), "what was only shown was done")
    call(DONE, *arguments, "--apply")
    own = to / server.admin.replace(":", "-")
    expect("inference_workers" in (own / "metrics.txt").read_text(), sorted(to.rglob("*")))
    expect("READY" in (own / "models.json").read_text() and "log_level" in (own / "telemetry.json").read_text(), own)
    expect((to / "trace-ids.txt").read_text() == "2026-01-01T00:00:00Z ERROR inference_failed look-1 bb52\n", (to / "trace-ids.txt").read_text())
    expect("127.0.0.1:9 does not answer" in (to / "missing.txt").read_text(), (to / "missing.txt").read_text())
    texts = "".join(it.read_text() for it in to.rglob("*") if it.is_file())
    expect(SECRET not in texts and '"request_id":"look-1"' in texts and "no JSON" in texts, texts[-2000:])
    expect("is not empty" in call(REFUSED, *arguments, "--apply"), "")


def certificate(folder, name, days):
    """A certificate of its own authority, and its key."""
    files = folder / f"{name}.crt", folder / f"{name}.key"
    quiet(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", days, "-subj", "/CN=localhost", "-out", files[0], "-keyout", files[1]])
    return files


def try_certificate(server, served, folder):
    """The end of the certificate in use, and whether it is the one on the disk, also after a renewal that could not be used."""
    public = server.url.removeprefix("http://").removeprefix("https://")
    own = ("certificate", "--admin", server.admin)
    said = call(DONE, *own, "--at", public, "--file", served[0])
    expect("UTC, in 30.0 days" in said and f"{public}: serves the certificate" in said, said)
    other = certificate(folder, "other", "30")
    expect("serves another certificate" in call(FAILED, *own, "--at", public, "--file", other[0]), "")
    shutil.copy(certificate(folder, "soon", "5")[0], served[0])
    shutil.copy(folder / "soon.key", served[1])
    until = time.monotonic() + PATIENCE
    while "in 5.0 days" not in subprocess.run([RUN, *own], capture_output=True, text=True).stdout:
        expect(time.monotonic() < until, "a certificate of five days was not seen")
        time.sleep(0.5)
    expect("the certificate in use ends in 5.0 days" in call(FAILED, *own, "--at", public, "--file", served[0]), "")
    served[0].write_text("nothing")
    while "looked at since the start: 0" in call(FAILED, *own):
        expect(time.monotonic() < until + PATIENCE, "a file that cannot be used was not counted")
        time.sleep(0.5)
    expect("has no certificate" in call(FAILED, *own, "--at", public, "--file", served[0]), "")


def main(binary, only=None):
    """All of them, each told when it passed."""
    end_by_signals()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ("fraud-detector", "digits"):
            shutil.copytree(Path("models") / model, folder / "models" / model)
        (folder / "tls").mkdir()
        served = certificate(folder / "tls", "tls", "30")
        server = Inference(binary, [folder / "models"], folder, TRACING | {"MODEL_NAME": "fraud-detector"})
        tls = {"ML_INFERENCE_TLS__CERT_FILE": str(served[0]), "ML_INFERENCE_TLS__KEY_FILE": str(served[1])}
        other = Inference(binary, [folder / "models" / "fraud-detector"], folder, tls, "with-tls")
        tries = {
            "models": lambda: try_models(server, folder), "telemetry": lambda: try_telemetry(server, other),
            "diagnostics": lambda: try_diagnostics(server, folder), "certificate": lambda: try_certificate(other, served, folder),
        }  # fmt: skip
        for what, function in tries.items() if only is None else [(only, tries[only])]:
            try:
                function()
            except Wrong as wrong:
                print(f"error: {what}: {wrong}", file=sys.stderr)
                return 1
            print(f"runbooks: {what}: as they say")
        expect(status(f"{server.url}/health") == 200, "the server is not ready at the end")
        call(FAILED, "load-model", "digits", "--admin", "127.0.0.1:9")
        call(FAILED, "load-model", "digits", "--admin", server.admin, "--token-file", folder / "nothing")
    print(f"runbooks: tried with the real server in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.pop("KUBECONFIG", None)
    sys.exit(main(*sys.argv[1:]))
