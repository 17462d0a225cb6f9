"""What README.md says to type on a cluster, taken out of the page as it stands."""

import json
import shlex
import threading
from pathlib import Path

from readme import document

from .. import chart
from ..failure import Failure, expect
from ..scenario import scenario

PAGE = Path("README.md")
# The page leaves the registry to its reader.
REGISTRY = ("REGISTRY", "ghcr.io/myorg")
NAMESPACE = "production"


def typed():
    """The blocks of the page that scripts/readme/lanes.json gives to this scenario, each as its commands."""
    rows = document.lanes()
    ours = {command for command, row in rows.items() if row["lane"] == "make e2e"}
    blocks = [document.commands(block) for block in document.blocks(PAGE.read_text()) if block.language == "sh"]
    found = [block for block in blocks if ours & set(block)]
    missed = ours - {command for block in found for command in block}
    expect(found and not missed, f"{PAGE} no longer has what lanes.json says that this scenario runs:", *missed)
    return found


def run(cluster, command):
    """One command, with the programs and the configuration of the lane."""
    program, *words = shlex.split(command.replace(*REGISTRY))
    if program not in ("kubectl", "helm"):
        raise Failure(f"{PAGE} has '{command}' among the commands for a cluster, which is neither kubectl nor helm")
    done = getattr(cluster, program)(*words)
    expect(not done.err.strip(), f"'{command}' warned:", done.err)
    return done.out


def finish_test(cluster, failures):
    """As a kubelet ends the pod of `helm test` well: kwok lets it run for ever."""

    def pod():
        items = cluster.list("pods", NAMESPACE)
        return next((it for it in items if (it["metadata"].get("annotations") or {}).get("helm.sh/hook") == "test"), None)

    try:
        name = cluster.wait("the pod of 'helm test'", pod)["metadata"]["name"]
        done = json.dumps({"status": {"phase": "Succeeded"}})
        cluster.kubectl("patch", "pod", name, "--namespace", NAMESPACE, "--subresource=status", "--type=merge", "--patch", done)
    except Failure as failure:
        failures.append(failure)


@scenario
def readme(cluster):
    """README.md's commands for a cluster, as they stand: namespace, helm install and test; then kubectl apply -k"""
    with_helm, *plain = typed()
    with cluster.namespace(NAMESPACE, labels=None):
        failures = []
        for command in with_helm:
            if " test " not in command:
                run(cluster, command)
                continue
            chart.wait_available(cluster, NAMESPACE, 3)
            kubelet = threading.Thread(target=finish_test, args=(cluster, failures))
            kubelet.start()
            said = run(cluster, command)
            kubelet.join()
            expect(not failures, "the pod of 'helm test' could not be ended:", *failures)
            expect("Phase:          Succeeded" in said, "'helm test' does not say that it went well:", said)
        image = chart.deployment(cluster, NAMESPACE)["spec"]["template"]["spec"]["containers"][0]["image"]
        expect(image.startswith(f"{REGISTRY[1]}/ml-inference-api:"), "the image is not of the registry that was named:", image)
    expect(plain, f"{PAGE} has no block without Helm")
    for commands in plain:
        with cluster.namespace(NAMESPACE, labels=None):
            for command in commands:
                run(cluster, command)
            chart.wait_available(cluster, NAMESPACE, 3)
