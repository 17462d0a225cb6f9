"""The automated runbooks that talk to the server in the pods, and the lines with kubectl of all runbooks. One real server stands behind all pods."""

import contextlib
import re
import subprocess
import urllib.request
from pathlib import Path

from .. import chart
from ..chart import RELEASE
from ..failure import expect
from ..runbook import pod_names, release
from ..scenario import scenario
from ..server import Server

LINE = re.compile(r"kubectl -n NAMESPACE [^`\n]*")


@contextlib.contextmanager
def served(cluster):
    """Our binary behind every pod, for logs and port-forward: the way there is the API server's own, the process is one for all."""
    server = Server(cluster, "fraud-detector", "digits")
    server.ports |= {"http": cluster.behind.http, "admin": cluster.behind.admin}
    with server:
        # What a container runtime makes of the lines of a process.
        lines = server.process.log_path.read_text().splitlines()
        cluster.behind.log.write_text("".join(f"2026-01-01T00:00:00.000000000Z stderr F {line}\n" for line in lines))
        yield


@scenario
def runbook_admin(cluster):
    """load-model, unload-model and telemetry with --pods reach the admin listener of each pod by kubectl port-forward"""
    with served(cluster), release(cluster, "runbook-admin", replicas=3) as (_, runbook):
        said = runbook.applied("telemetry", "--pods", "--log-level", "debug", "--for", "1s")
        expect(said.count("put back: pod/") == 1 and said.count("'log_level': 'info'") >= 6, "the level was not put back for three pods:", said)
        # One process is behind all three: the second unload finds nothing to unload, which is no fault.
        said = runbook.applied("unload-model", "digits", "--pods")
        expect(said.count("digits: 1 UNAVAILABLE (unloaded)") == 3, "digits was not unloaded in three pods:", said)
        runbook.refused("is the last model at pod/", "unload-model", "fraud-detector", "--pods")
        runbook.refused("does not serve at pod/", "unload-model", "digits", "--pods")
        said = runbook.applied("load-model", "digits", "--pods")
        expect(said.count("digits: 1 READY") == 3, "digits was not loaded in three pods:", said)


@scenario
def runbook_diagnostics(cluster):
    """diagnostics keeps descriptions, events, logs and what each pod tells; it changes nothing, and no secret is in it"""
    secret = "hunter2-not-to-be-seen"
    with served(cluster), release(cluster, "runbook-diagnostics", stays={"Secret/ml-model-secrets"}) as (namespace, runbook):
        cluster.kubectl("create", "secret", "generic", "ml-model-secrets", f"--from-literal=token={secret}", "--namespace", namespace)
        cluster.kubectl("set", "env", f"deployment/{RELEASE}", f"API_TOKEN={secret}", f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer {secret}", "--namespace", namespace)
        chart.wait_available(cluster, namespace, 3)
        runbook.calm()
        folder = cluster.folder / "diagnostics"
        before = runbook.versions()
        runbook.applied("diagnostics", "--pods", "--to", folder)
        expect(before == runbook.versions(), "diagnostics changed something")
        texts = {str(it.relative_to(folder)): it.read_text() for it in folder.rglob("*") if it.is_file()}
        pod = pod_names(cluster, namespace)[0]
        for name, has in (("objects.txt", RELEASE), ("objects.json", '"kind": "Pod"'), ("events.txt", "Scheduled"), ("nodes.txt", "worker-1"),
                          ("helm-history.txt", "deployed"), (f"{pod}/describe.txt", "API_TOKEN"), (f"{pod}/metrics.txt", "inference_workers"),
                          (f"{pod}/models.json", "READY"), (f"{pod}/health.json", "ready"), (f"{pod}/log.jsonl", '"level"')):  # fmt: skip
            expect(has in texts.get(name, ""), f"{name} of the bundle lacks {has}:", texts.get(name, sorted(texts))[:2000])
        with_secret = [name for name, text in texts.items() if secret in text]
        expect(not with_secret, "the secret is in:", with_secret)
        expect("missing.txt" not in texts, "something could not be had:", texts.get("missing.txt"))
        runbook.refused("is not empty", "diagnostics", "--to", folder)


def lines_of_runbooks():
    """Every line with kubectl of docs/runbooks, with its page, once."""
    found = {}
    for page in sorted(Path("docs/runbooks").glob("*.md")):
        for line in LINE.findall(page.read_text()):
            found.setdefault(line.strip(), page.name)
    return found


@scenario
def runbook_lines(cluster):
    """every line with kubectl of docs/runbooks is taken by a real API server; logs and ports are those of a real server"""
    cluster.install_crds("cert-manager")
    with served(cluster), release(cluster, "runbook-lines") as (namespace, runbook):
        lines = lines_of_runbooks()
        expect(len(lines) >= 8, "the pages have only these lines:", lines)
        places = {"NAMESPACE": namespace, "POD": pod_names(cluster, namespace)[0], "COLLECTOR": RELEASE}
        for line, page in lines.items():
            words = re.sub(r"\b(NAMESPACE|POD|COLLECTOR)\b", lambda it: places[it[0]], line)
            if "port-forward" in words:
                forward(cluster, runbook, words)
                continue
            # What filters the output finds nothing where all is well.
            done = subprocess.run(["bash", "-c", words.partition("|")[0]], env=runbook.variables, capture_output=True, text=True, timeout=60)
            expect(done.returncode == 0 and (done.stdout.strip() or "certificate" in words), f"{page}: '{words}' failed:", done.stdout, done.stderr)


def forward(cluster, runbook, words):
    """A port-forward as it is written, on ports of its own: what comes back is the server's."""
    http, admin = cluster.port(), cluster.port()
    command = words.replace(" 8080 8082", f" {http}:8080 {admin}:8082").split()
    expect(str(http) in command[-2], "the line forwards other ports than are known here:", words)
    process = cluster.spawn("port-forward", ["env", f"PATH={runbook.variables['PATH']}", *command])
    said = cluster.wait("the forwarded admin listener to answer", lambda: reply(admin, "/metrics"), 30)
    expect("inference_workers" in said, "something else answers:", said[:500])
    cluster.wait("the forwarded public port to answer", lambda: "fraud-detector" in (reply(http, "/predict") or ""), 30)
    cluster.end(process)


def reply(port, path):
    """What a port of the loopback address answers; None where nothing does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None
