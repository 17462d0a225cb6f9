"""What will be gone after a restart, in one folder, without secrets: descriptions, events, logs, metrics, health, trace ids."""

import json
import re
from pathlib import Path

from .kube import name
from .plan import Failed, Plan, Refused, run, shown

LOG_LINES = 5000
# Words that make a value a secret, in names of variables, labels, headers and fields.
WORDS = r"token|secret|password|passphrase|credential|authorization|api[-_]?key|private[-_]?key|headers"
SECRET_NAME = re.compile(WORDS, re.I)
SECRET_TEXT = re.compile(rf"""((?:["']?)[\w./-]*(?:{WORDS})[\w./-]*(?:["']?)\s*[:=]\s*)(?!\s|["']?\s*$)("[^"]*"|'[^']*'|.+?)(?=$|,|;|\s*\}})""", re.I | re.M)
BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.I)
HIDDEN = "(left out)"
NOISE = ("managedFields",)
# What an instance tells at its admin listener, and the name of the file.
ADMIN = {
    "metrics.txt": ("GET", "/metrics"), "health.json": ("GET", "/health"), "models.json": ("POST", "/v2/repository/index"),
    "telemetry.json": ("GET", "/telemetry"),
}  # fmt: skip


def without_secrets(text):
    """A text with what looks like a secret left out."""
    return BEARER.sub(rf"\1 {HIDDEN}", SECRET_TEXT.sub(rf"\g<1>{HIDDEN}", text))


def cleaned(thing):
    """An object without values of variables whose names sound like secrets, and without copies of itself in annotations."""
    if isinstance(thing, list):
        return [cleaned(it) for it in thing]
    if not isinstance(thing, dict):
        return BEARER.sub(rf"\1 {HIDDEN}", thing) if isinstance(thing, str) else thing
    if "value" in thing and SECRET_NAME.search(str(thing.get("name", ""))):
        return {"name": thing["name"], "value": HIDDEN}
    kept = {key: value for key, value in thing.items() if key not in NOISE and not key.endswith("last-applied-configuration")}
    # Names of Secrets, and flags such as automountServiceAccountToken, are no secrets.
    return {key: HIDDEN if isinstance(value, str) and re.fullmatch(WORDS, key, re.I) else cleaned(value) for key, value in kept.items()}


def trace_ids(log):
    """Of the log's lines that tell of a fault: time, code, request id and trace id."""
    found = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("trace_id") and entry.get("level") in ("ERROR", "WARN"):
            found.append(" ".join(str(entry.get(key, "-")) for key in ("timestamp", "level", "code", "request_id", "trace_id")))
    return "\n".join(found) + "\n" if found else ""


class Bundle:
    """A folder that fills; what could not be had is told in it."""

    def __init__(self, folder, missing):
        self.folder, self.missing = Path(folder), [without_secrets(it) for it in missing]

    def write(self, path, text):
        """Writes a file that only its owner reads."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_text(text)
        target.chmod(0o600)

    def take(self, path, function, clean):
        """Writes what a function gives, cleaned; notes why where it fails."""
        try:
            self.write(path, clean(function()))
        except Failed as failure:
            self.missing.append(f"{path}: {without_secrets(str(failure))}")

    def close(self):
        """Says what is in it."""
        if self.missing:
            self.write("missing.txt", "\n".join(self.missing) + "\n")
        files = sorted(it for it in self.folder.rglob("*") if it.is_file())
        return f"{self.folder}: {len(files)} files, {len(self.missing)} could not be had" + (" (missing.txt says why)" if self.missing else "")


def as_json(text):
    """An answer of kubectl, cleaned."""
    return json.dumps(cleaned(json.loads(text)), indent=1) + "\n"


def of_cluster(kube, pods):
    """File, command and how it is cleaned, for everything that is asked of the cluster. No Secret is, and no values of Helm."""
    kinds = "deployments,replicasets,pods,horizontalpodautoscalers,poddisruptionbudgets,services,endpointslices,networkpolicies"
    yield "objects.txt", kube.words("get", kinds, "--output", "wide"), without_secrets
    yield "objects.json", kube.words("get", kinds, "--output", "json"), as_json
    yield "events.txt", kube.words("get", "events", "--sort-by", ".metadata.creationTimestamp"), without_secrets
    yield "nodes.txt", ["kubectl", "get", "nodes", "--output", "wide"], without_secrets
    yield "helm-history.txt", ["helm", "--namespace", kube.namespace, "history", kube.release], without_secrets
    for pod in pods:
        yield f"{pod}/describe.txt", kube.words("describe", "pod", pod), without_secrets
        yield f"{pod}/log.jsonl", kube.words("logs", pod, f"--tail={LOG_LINES}"), without_secrets
        yield f"{pod}/log-before.jsonl", kube.words("logs", pod, "--previous", f"--tail={LOG_LINES}"), without_secrets


def collect(kube, admins, missing, options):
    """keep what a restart would lose, in one folder without secrets"""
    folder = Path(options.to)
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty: name a new folder by --to")
    plan, bundle = Plan(f"diagnostics into {folder}"), Bundle(folder, missing)
    if kube:
        plan.fact(kube.cluster())
        pods = [name(it) for it in kube.pods()]
        if options.pod and options.pod not in pods:
            raise Refused(f"{options.pod} is no pod of {kube.release} in {kube.namespace}; there are: {', '.join(pods) or 'none'}")
        for path, words, clean in of_cluster(kube, [options.pod] if options.pod else pods):
            plan.act(f"{shown(words)} > {path}", lambda path=path, words=words, clean=clean: bundle.take(path, lambda: run(words), clean))
    for admin in admins:
        for file, (method, route) in ADMIN.items():
            path = f"{admin.label.removeprefix('pod/').replace(':', '-')}/{file}"
            plan.act(
                f"{method} {route} at {admin.label} > {path}",
                lambda path=path, admin=admin, method=method, route=route: bundle.take(path, lambda: admin.text(method, route), without_secrets),
            )
    for number, log in enumerate(options.log, 1):
        plan.act(f"{log} > log-{number}.jsonl", lambda log=log, number=number: bundle.take(f"log-{number}.jsonl", lambda: read(log), without_secrets))
    if not plan.steps:
        raise Refused("nothing to collect: with --no-cluster say --admin or --log")
    plan.act("the ids of failed requests out of the logs > trace-ids.txt", lambda: bundle.write("trace-ids.txt", ids(folder)))
    plan.act("what could not be had > missing.txt", bundle.close)
    plan.fact("reads only; what sounds like a secret is left out, Secrets are not asked for; look it through before it leaves the house")
    return plan


def read(path):
    """A log's text."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None


def ids(folder):
    """The trace ids of all logs in a folder."""
    return "".join(trace_ids(it.read_text()) for it in sorted(folder.rglob("log*.jsonl")))
