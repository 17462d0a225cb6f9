"""Calls the automated runbooks (scripts/runbooks) for a namespace, and looks whether they changed what they may."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from . import chart, tools
from .chart import RELEASE
from .cluster import COMMAND_SECONDS
from .failure import expect

# RUNBOOKS names another one, to see that the scenarios fail where it is made wrong.
RUN = Path(os.environ.get("RUNBOOKS", "scripts/runbooks/run.sh")).resolve()
QUICK = {"delivery": {"minReadySeconds": 1}}
REFUSED = 3
STEPS, NOTHING = "\nsteps:\n", "Nothing was done."
# What a remedy might change; what controllers write by themselves into these, once all is calm, is nothing.
KINDS = ("deployments", "replicasets", "pods", "horizontalpodautoscalers", "poddisruptionbudgets", "services", "configmaps", "secrets")
CALM_SECONDS = 2


class Runbook:
    """Calls run.sh with this cluster's kubectl and helm, for a namespace."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        programs = cluster.folder / "runbooks-bin"
        if not programs.exists():
            programs.mkdir()
            for name in ("kubectl", "helm"):
                (programs / name).symlink_to(tools.program(name))
        self.variables = cluster.variables | {"PATH": f"{programs}:{os.environ['PATH']}"}

    def call(self, name, *arguments):
        """Runs it; exit code, and what it said."""
        where = ("--namespace", self.namespace)
        done = subprocess.run(
            [str(RUN), name, *map(str, arguments), *where], env=self.variables, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def shown(self, name, *arguments):
        """What it would do, which must have changed nothing."""
        before = self.versions()
        code, said = self.call(name, *arguments)
        expect(code == 0 and STEPS in said and said.rstrip().endswith("--apply does it."), f"{name} showed nothing ({code}):", said)
        after = self.versions()
        expect(before == after, f"{name} without --apply changed something:", {it for it in before.items() ^ after.items()})
        return said

    def applied(self, name, *arguments):
        """Does it, after it was shown: each step that was shown must have been done, and no other."""
        shown = steps(self.shown(name, *arguments))
        code, said = self.call(name, *arguments, "--apply")
        expect(code == 0 and NOTHING not in said, f"{name} --apply failed ({code}):", said)
        done = [line.split(". ", 1)[1] for line in said.splitlines() if line.startswith("==> ")]
        expect(done == shown, f"{name} --apply did other steps than were shown:", shown, done)
        return said

    def refused(self, why, name, *arguments):
        """It must be refused for this reason, with --apply, and have changed nothing."""
        before = self.versions()
        code, said = self.call(name, *arguments, "--apply")
        expect(code == REFUSED and why in said, f"{name} {' '.join(map(str, arguments))} had to be refused ({why}); it ended with {code}:", said)
        after = self.versions()
        expect(before == after, f"{name} was refused and changed something:", {it for it in before.items() ^ after.items()})

    def versions(self):
        """The versions of all objects that a remedy might change, nodes' specs among them."""
        found = {}
        for thing in self.cluster.list(",".join(KINDS), self.namespace):
            # An autoscaler without metrics writes its conditions again and again.
            own = json.dumps(thing["spec"]) if thing["kind"] == "HorizontalPodAutoscaler" else thing["metadata"]["resourceVersion"]
            found[thing["kind"], thing["metadata"]["name"]] = own
        for thing in self.cluster.api.get("/api/v1/nodes")["items"]:
            found["Node", thing["metadata"]["name"]] = json.dumps(thing["spec"], sort_keys=True)
        return found

    def calm(self):
        """Waits until the controllers have written what they have to write."""
        seen = [self.versions()]

        def same():
            seen.append(self.versions())
            return seen[-1] == seen[-2]

        self.cluster.wait("the controllers to be done", same, 90, CALM_SECONDS)


def steps(said):
    """The steps that were shown."""
    lines = said.split(STEPS, 1)[1].split("\n\n", 1)[0].splitlines()
    return [line.split(". ", 1)[1] for line in lines]


def pod_names(cluster, namespace):
    """The names of the pods that are ready."""
    return sorted(it["metadata"]["name"] for it in chart.pods(cluster, namespace) if chart.is_ready(it))


@contextlib.contextmanager
def release(cluster, name, values=None, replicas=3, stays=frozenset()):
    """The chart in a namespace of its own, calm, and its runbook."""
    with cluster.namespace(name) as namespace:
        chart.install(cluster, namespace, QUICK | (values or {}))
        chart.wait_available(cluster, namespace, replicas)
        runbook = Runbook(cluster, namespace)
        runbook.calm()
        yield namespace, runbook
        chart.uninstall(cluster, namespace, stays)


def mark(cluster, namespace, kind, annotation):
    """Marks an object as those that keep it as Git says do."""
    cluster.kubectl("annotate", kind, RELEASE, f"{annotation}=x", "--namespace", namespace)
