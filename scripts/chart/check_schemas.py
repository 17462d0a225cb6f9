"""Proves that the schemas of scripts/tools/schemas.sh are good for something: kubeconform accepts what is right in
schemas.yaml, and refuses each of it with one field misspelt or of a wrong type, naming the field.
Called by check.sh; KUBECONFORM names the program, SCHEMAS the folder of schemas.
"""

import copy
import pathlib
import sys

import conform
import manifests
import yaml

HERE = pathlib.Path(__file__).parent
# Kind, the field as a path, and what stands in its place: another name, or a value of the wrong type.
MISTAKES = [
    ("Deployment", "spec.replicas", "replcas"),
    ("Deployment", "spec.template.spec.containers.0.readinessProbe", "readynessProbe"),
    ("Deployment", "spec.template.spec.containers.0.ports.0.containerPort", {"not": "a number"}),
    ("Deployment", "metadata.labels", "lables"),
    ("HorizontalPodAutoscaler", "spec.maxReplicas", ["three"]),
    ("ServiceMonitor", "spec.endpoints.0.interval", "intervl"),
    ("ServiceMonitor", "metadata.labels", "lables"),
    ("PrometheusRule", "spec.groups.0.rules.0.expr", "expression"),
    ("Rollout", "spec.strategy.canary.steps.0.setWeight", "setWieght"),
    ("Rollout", "spec.template.spec.containers.0.readinessProbe", "readynessProbe"),
    ("AnalysisTemplate", "spec.metrics.0.successCondition", "succesCondition"),
    ("HTTPRoute", "spec.rules.0.backendRefs.0.weight", "wieght"),
    ("HTTPRoute", "spec.rules.0.backendRefs.0.port", {"not": "a number"}),
    ("ScaledObject", "spec.maxReplicaCount", "maxReplicas"),
    ("ExternalSecret", "spec.secretStoreRef", "secretStore"),
    ("Certificate", "spec.issuerRef", "issuer"),
    ("InferenceService", "spec.predictor.model", "modle"),
    ("ServingRuntime", "spec.supportedModelFormats", "supportedFormats"),
]


def spoil(document, path, instead):
    """The document with the field at the path renamed or of another type; and the name to look for in the refusal."""
    *way, last = path.split(".")
    spoilt = copy.deepcopy(document)
    place = spoilt
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    if isinstance(instead, str):
        place[instead] = place.pop(last)
        return spoilt, instead
    place[last] = instead
    return spoilt, last


def judge(version, documents):
    """kubeconform's verdict on each document."""
    verdicts = {it["name"]: it for it in conform.kubeconform(version, given=yaml.safe_dump_all(documents))}
    if len(verdicts) != len(documents):
        sys.exit(f"error: kubeconform judged {len(verdicts)} of {len(documents)} documents")
    return verdicts


def renamed(document, name):
    document["metadata"]["name"] = name
    return document


def main():
    good = {document["kind"]: document for document in yaml.safe_load_all((HERE / "schemas.yaml").read_text())}
    wrong = 0
    for version in manifests.KUBERNETES:
        documents = [renamed(copy.deepcopy(document), kind.lower()) for kind, document in good.items()]
        sought = {}
        for number, (kind, path, instead) in enumerate(MISTAKES):
            spoilt, word = spoil(good[kind], path, instead)
            documents.append(renamed(spoilt, f"mistake-{number}"))
            sought[f"mistake-{number}"] = (f"{kind} with a wrong {path}", word)
        for name, verdict in judge(version, documents).items():
            what, word = sought.get(name, (f"a good {name}", None))
            fine = verdict["status"] == ("statusInvalid" if word else "statusValid")
            if not fine or word and word not in verdict["msg"]:
                print(f"error: Kubernetes {version}, {what}: {verdict['status']} {verdict['msg']}", file=sys.stderr)
                wrong += 1
    if wrong:
        sys.exit(1)
    print(f"for Kubernetes {' and '.join(manifests.KUBERNETES)} alike the schemas accept {len(good)} good objects and refuse "
          f"{len(MISTAKES)} mistakes")


if __name__ == "__main__":
    main()
