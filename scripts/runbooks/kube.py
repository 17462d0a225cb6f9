"""What of a release the remedies look at, by kubectl."""

import json

from .plan import Failed, Refused, run

COMPONENT = "app.kubernetes.io/component=server"
ROLLOUTS = "rollouts.argoproj.io"
SCALED_OBJECTS = "scaledobjects.keda.sh"
# By which the owners of GitOps mark what they keep as Git says: Argo CD by annotation (its default) or label, Flux by labels.
MARKS = {
    "Argo CD": ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"),
    "Flux": ("helm.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/name"),
}


class Kube:
    """A release in a namespace."""

    def __init__(self, namespace, release):
        self.namespace, self.release = namespace, release
        self.selector = f"app.kubernetes.io/instance={release},{COMPONENT}"

    def words(self, *arguments):
        """A command of kubectl in this namespace."""
        return ["kubectl", "--namespace", self.namespace, *arguments]

    def get(self, kind, name=None, selector=None, everywhere=False):
        """An object, or a list of objects where no name is given. None, or an empty list, where the kind is not known."""
        which = [name] if name else ["--selector", selector] if selector else []
        where = ["--all-namespaces"] if everywhere else []
        try:
            text = run(self.words("get", kind, *which, *where, "--ignore-not-found", "--output", "json"))
        except Failed as failure:
            if "doesn't have a resource type" in str(failure):
                return None if name else []
            raise
        found = json.loads(text) if text.strip() else None
        return found if name else (found or {}).get("items", [])

    def cluster(self):
        """The server that the commands talk to, to be read before --apply is said."""
        address = run(["kubectl", "config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}"])
        return f"cluster {address}, namespace {self.namespace}, release {self.release}"

    def pods(self):
        """The release's pods."""
        return self.get("pods", selector=self.selector)

    def workload(self):
        """What makes them: a Rollout or a Deployment."""
        for kind in (ROLLOUTS, "deployments.apps"):
            if found := self.get(kind, selector=self.selector):
                return found[0]
        raise Refused(
            f"there is no Deployment and no Rollout of the release {self.release} in {self.namespace}: name the right ones by"
            " --namespace and --release"
        )

    def owner(self, thing):
        """Whose GitOps keeps an object as Git says; None where nobody does."""
        marks = set(thing["metadata"].get("labels") or {}) | set(thing["metadata"].get("annotations") or {})
        return next((name for name, known in MARKS.items() if marks & set(known)), None)

    def scaler(self):
        """What scales the release, KEDA's object before the autoscaler that KEDA makes of it; None where nothing does."""
        ours = f"app.kubernetes.io/instance={self.release}"
        found = self.get(SCALED_OBJECTS, selector=ours) or self.get("horizontalpodautoscalers", selector=ours)
        return found[0] if found else None

    def spare(self):
        """How many pods may be taken out now by the disruption budget; None where there is none."""
        budgets = self.get("poddisruptionbudgets", selector=f"app.kubernetes.io/instance={self.release}")
        return budgets[0].get("status", {}).get("disruptionsAllowed", 0) if budgets else None


def name(thing):
    """An object's name."""
    return thing["metadata"]["name"]


def is_ready(pod):
    """Whether a pod gets requests: ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)


def image(thing):
    """The image that a workload's pods run."""
    containers = thing["spec"]["template"]["spec"]["containers"]
    return next((it["image"] for it in containers if it["name"] == "ml-inference-api"), containers[0]["image"])
