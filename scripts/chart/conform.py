"""Holds every object against the schema of its kind, by kubeconform, for the oldest and the newest Kubernetes: all renders of the
chart, k8s/, and what deploy/ has for Kubernetes. What a version does not have is named in conformity.yaml, and must be refused
there. Called by check.sh; HELM and KUBECONFORM name the programs, SCHEMAS the folder of schemas.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import manifests
import yaml

ABSENT = yaml.safe_load((Path(__file__).parent / "conformity.yaml").read_text())
# Not of Kubernetes: kustomize reads it, and nobody else.
OTHERS = {"Kustomization"}
# What must be there; of the rest of deploy/ every document with an apiVersion and a kind is an object too.
FOLDERS = ["k8s", "deploy/kserve", "deploy"]


# Proof that kubeconform can refuse: objects of a render with a field spoilt. Each must be refused by every version.
SPOILT = [
    ("Deployment", lambda it: it["spec"]["template"]["spec"]["containers"][0].update(readynessProbe={})),
    ("NetworkPolicy", lambda it: it["spec"].update(policyTypes="Egress")),
    ("HorizontalPodAutoscaler", lambda it: it["spec"].update(maxReplicas="many")),
]


def spoilt(folder):
    """Writes what is spoilt: (name, file)."""
    objects = manifests.parse(manifests.render(None))
    for kind, spoil in SPOILT:
        it = manifests.of_kind(objects, kind)[0]
        spoil(it)
        file = folder / f"spoilt-{kind}.json"
        file.write_text(json.dumps(it))
        yield manifests.name(it), str(file)


def written(folder):
    """Writes every object into a file of its own: (case, object, file)."""
    sources = {case: manifests.render(values) for case, values in (manifests.cases() | manifests.variants()).items()}
    for source in FOLDERS:
        files = sorted(Path(source).glob("**/*.yaml"))
        if not files:
            sys.exit(f"error: {source} has no manifests")
        sources |= {str(file): file.read_text() for file in files}
    for case, text in sources.items():
        for it in manifests.parse(text):
            if isinstance(it, dict) and "apiVersion" in it and it.get("kind", "Kustomization") not in OTHERS:
                file = folder / f"{len(list(folder.iterdir()))}.json"
                file.write_text(json.dumps(it))
                yield case, manifests.name(it), str(file)


def kubeconform(version, *files, given=None):
    """What kubeconform says of each object, of files or of a text that it is given."""
    schemas = os.environ["SCHEMAS"]
    command = [
        os.environ["KUBECONFORM"], "-strict", "-verbose", "-output", "json", "-kubernetes-version", version,
        "-schema-location", f"{schemas}/core/{{{{ .NormalizedKubernetesVersion }}}}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json",
        "-schema-location", f"{schemas}/crds/{{{{ .Group }}}}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json",
        *files,
    ]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False, input=given)
    try:
        return json.loads(done.stdout)["resources"]
    except ValueError:
        sys.exit(f"error: kubeconform has no answer:\n{done.stderr.strip()}")


def verdicts(version, files):
    """File to what kubeconform says of it, nothing where it is right."""
    found = kubeconform(version, *files)
    return {it["filename"]: "" if it["status"] == "statusValid" else it["msg"] or it["status"] for it in found}


def main():
    problems, total = [], 0
    with tempfile.TemporaryDirectory() as folder:
        objects, wrong = list(written(Path(folder))), list(spoilt(Path(folder)))
        for version in manifests.KUBERNETES:
            said = verdicts(version, [*(file for _, _, file in objects), *(file for _, file in wrong)])
            problems += [f"kubeconform takes {name}, which was spoilt on purpose" for name, file in wrong if not said[file]]
            absent = {(case, name) for case, names in (ABSENT[version] or {}).items() for name in names}
            for case, name, file in objects:
                total += 1
                verdict = said.get(file, "kubeconform did not read it")
                if (case, name) in absent:
                    absent.discard((case, name))
                    if not verdict:
                        problems.append(f"Kubernetes {version}: {case}: {name} is there: take it out of conformity.yaml")
                elif verdict:
                    problems.append(f"Kubernetes {version}: {case}: {name}: {verdict}")
            problems += [f"conformity.yaml names {name} of {case}, which is not there" for case, name in sorted(absent)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{len(objects)} objects have the form that Kubernetes {' and '.join(manifests.KUBERNETES)} and the CRDs ask for")
    return 1 if problems or not total else 0


if __name__ == "__main__":
    sys.exit(main())
