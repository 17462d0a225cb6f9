"""Runs every check of objects (agreement.py, safety.py, policy.py) over each case of the chart and over k8s/, holds k8s/
against the chart object by object, and looks at deploy/kserve. Prints every problem and exits with 1 if there is one. Called by check.sh; HELM names the program.
"""

import copy
import sys
from pathlib import Path

import agreement
import kserve
import manifests
import policy
import safety

K8S = Path("k8s")
ENFORCE = "pod-security.kubernetes.io/enforce"
CHECKS = agreement.CHECKS | safety.CHECKS | policy.CHECKS


def problems(objects, values, case):
    """(name of the check, sentence) of all that is wrong with the objects of a case. Variants have no name in the table of policies."""
    for name, check in CHECKS.items():
        if case or name not in policy.CHECKS:
            yield from ((name, sentence) for sentence in check(objects, values | {"case": case}))


def helms(it):
    """Whether an object is Helm's alone: a hook."""
    return "helm.sh/hook" in it["metadata"].get("annotations", {})


def without_helm(it):
    """An object without the labels that say that Helm made it."""
    it = copy.deepcopy(it)
    for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
        it["metadata"].get("labels", {}).pop(label, None)
    return it


def plain_manifests():
    """The objects of k8s/ by its kustomization, which lists every file there."""
    listed = manifests.parse((K8S / "kustomization.yaml").read_text())[0]["resources"]
    return listed, [it for file in listed for it in manifests.parse((K8S / file).read_text())]


def differences(plain, rendered):
    """k8s/ has what the chart renders by default, and a namespace that demands the restricted standard, and no more."""
    wanted = {manifests.name(it): without_helm(it) for it in rendered if not helms(it)}
    found = {manifests.name(it): it for it in plain}
    for name in sorted(wanted.keys() - found.keys()):
        yield f"k8s/ has no {name}, which the chart renders"
    for name in sorted(found.keys() & wanted.keys()):
        if found[name] != wanted[name]:
            yield f"{name} of k8s/ is not as the chart renders it"
    demanded = {it["metadata"]["name"]: it["metadata"].get("labels", {}).get(ENFORCE) for it in plain if it["kind"] == "Namespace"}
    if demanded != {manifests.NAMESPACE: "restricted"}:
        yield f"the namespaces of k8s/ enforce {demanded}, and not restricted in {manifests.NAMESPACE} alone"
    more = [name for name in found.keys() - wanted.keys() if not name.startswith("Namespace ")]
    if more or len(found) != len(plain):
        yield f"k8s/ has more than the chart renders: {sorted(more)}"


def main():
    found = []
    total = 0
    for case, file in manifests.cases().items():
        objects = manifests.parse(manifests.render(file))
        total += len(objects)
        found += [(case, *it) for it in problems(objects, manifests.merged(file), case)]
        if case == "default":
            rendered = objects
    for case, values in manifests.variants().items():
        objects = manifests.parse(manifests.render(values))
        total += len(objects)
        found += [(case, *it) for it in problems(objects, manifests.merged(values), None)]
    listed, plain = plain_manifests()
    found += [("k8s", *it) for it in problems(plain, manifests.merged(None), "default")]
    found += [("k8s", "differences", it) for it in differences(plain, rendered)]
    if sorted(listed) != sorted(it.name for it in K8S.glob("*") if it.name != "kustomization.yaml"):
        found.append(("k8s", "kustomization", "does not list every file of k8s/"))
    serving = kserve.objects()
    found += [("kserve", "kserve", it) for it in kserve.problems(serving)]
    for case, name, sentence in found:
        print(f"error: {case}: {name}: {sentence}", file=sys.stderr)
    total += len(plain) + len(serving)
    print(f"{total} objects of {len(manifests.cases()) + len(manifests.variants())} renders, k8s/ and deploy/kserve agree by {len(CHECKS) + 2} checks")
    return 1 if found or not plain or not serving else 0


if __name__ == "__main__":
    sys.exit(main())
