"""usage: argo.py [--write]

The manifests of deploy/argo-rollouts that are rendered from the chart: canary.yaml and blue-green.yaml, each out of the values
beside it. Without --write it says which differ and exits with 1. HELM names the program; without it, it is built.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

CHART = Path("helm/ml-inference-api")
FOLDER = Path("deploy/argo-rollouts")
NAMES = ("canary", "blue-green")
KUBERNETES = "1.36.0"
# What a reader came for first; the rest in the order of the chart.
FIRST = ("Rollout", "AnalysisTemplate", "Service", "HTTPRoute", "GRPCRoute")
HEAD = """# Rendered from helm/ml-inference-api with {values} by `make chart`: change the chart or the values, not this file.
# Apply it in place of k8s/, or install the chart with these values: README.md.
"""


def helm():
    """The program."""
    if path := os.environ.get("HELM"):
        return path
    done = subprocess.run(["scripts/tools/program.sh", "helm"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit("error: helm could not be provided (the reason is above)")
    return done.stdout.strip()


def render(program, values):
    """What the chart makes of a file of values, without hooks, which only Helm runs."""
    command = [program, "template", "ml-inference-api", str(CHART), "--namespace", "production", "--kube-version", KUBERNETES]
    done = subprocess.run([*command, "--no-hooks", "--values", str(values)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: helm refuses {values}:\n{done.stderr.strip()}")
    return done.stdout


def documents(text):
    """Its documents, without what only Helm needs, those that a reader came for first."""
    text = re.sub(r"^# Source: .*\n", "", text, flags=re.M)
    text = re.sub(r"^ +(?:helm\.sh/(?:chart|resource-policy)|app\.kubernetes\.io/managed-by): .*\n", "", text, flags=re.M)
    found = [it.strip("\n") + "\n" for it in re.split(r"^---$\n?", text, flags=re.M)]
    kinds = {it: kind[1] for it in found if (kind := re.search(r"^kind: (\w+)$", it, re.M))}
    return sorted(kinds, key=lambda it: FIRST.index(kinds[it]) if kinds[it] in FIRST else len(FIRST))


def rendered():
    """File to text."""
    program = helm()
    return {
        FOLDER / f"{name}.yaml": HEAD.format(values=f"{name}-values.yaml")
        + "---\n".join(documents(render(program, FOLDER / f"{name}-values.yaml")))
        for name in NAMES
    }


def main(write):
    stale = [(path, text) for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    if write:
        for path, text in stale:
            path.write_text(text)
        print(f"{len(NAMES)} manifests of Argo Rollouts are made of the chart, {len(stale)} of them anew")
    elif stale:
        sys.exit(f"error: {', '.join(str(it[0]) for it in stale)}: not what the chart renders; run `make chart`")


if __name__ == "__main__":
    main("--write" in sys.argv[1:])
