"""usage: helm4.py HELM4

Holds Helm 4 against Helm 3: it takes the chart, and makes the same objects of every case. HELM names Helm 3. Called by
`check.sh --helm4`.
"""

import os
import sys

import manifests


def objects(program, values):
    os.environ["HELM"] = program
    return manifests.parse(manifests.render(values))


def differences(one, other):
    """What differs between two renders, in whatever order their objects are."""
    first, second = ({manifests.name(it): it for it in some} for some in (one, other))
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            yield f"{name} is not the same"


def main(helm4):
    helm3 = os.environ["HELM"]
    version = manifests.run([helm4, "version", "--short"], "helm has no version").strip()
    problems = [] if version.startswith("v4.") else [f"{helm4} is {version}, not Helm 4"]
    for case, values in manifests.cases().items():
        os.environ["HELM"] = helm4
        chosen = ["--values", str(values)] if values else []
        manifests.helm("lint", "--strict", "--kube-version", manifests.KUBERNETES[-1], *chosen, str(manifests.CHART), what=f"Helm 4 refuses {case}")
        rendered = objects(helm3, values)
        problems += [f"{case}: {it}" for it in differences(rendered, objects(helm4, values))]
        if not list(differences(rendered, rendered[1:])):
            problems.append(f"{case}: an object taken out on purpose was not missed")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"Helm {version} takes the chart and makes the same objects of all {len(manifests.cases())} cases")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
