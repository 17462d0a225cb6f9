"""Pod security and RBAC, as the API server enforces them."""

import json

from .. import chart
from ..chart import RELEASE
from ..failure import expect
from ..mutation import changed
from ..scenario import scenario

SECRET = "ml-model-secrets"

# Where in the pod, what is written there, and the rule that it breaks.
BREACHES = (
    ("spec.securityContext.runAsUser", 0, "runAsUser=0"),
    ("spec.containers.0.securityContext.runAsUser", 0, "runAsUser=0"),
    ("spec.securityContext.runAsNonRoot", False, "runAsNonRoot"),
    ("spec.securityContext.seccompProfile.type", "Unconfined", "seccompProfile"),
    ("spec.containers.0.securityContext", {"privileged": True}, "privileged"),
    ("spec.containers.0.securityContext.allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
    ("spec.containers.0.securityContext.capabilities", {}, "unrestricted capabilities"),
    ("spec.containers.0.securityContext.capabilities.add", ["SYS_ADMIN"], "SYS_ADMIN"),
    ("spec.containers.0.ports.0.hostPort", 8080, "hostPort"),
    ("spec.hostNetwork", True, "host namespaces"),
    ("spec.hostPID", True, "host namespaces"),
    ("spec.volumes.0", {"name": "tmp", "hostPath": {"path": "/"}}, "hostPath"),
)

# What the ServiceAccount must not do: verb, group, resource and, where it matters, name.
DENIED = (
    ("get", "", "secrets", "another"), ("list", "", "secrets", ""), ("watch", "", "secrets", ""),
    ("delete", "", "secrets", SECRET), ("patch", "", "secrets", SECRET), ("create", "", "secrets", ""),
    ("get", "", "configmaps", "ml-config"), ("list", "", "configmaps", ""), ("list", "", "pods", ""), ("create", "", "pods", ""),
    ("create", "", "pods/exec", ""), ("get", "", "pods/log", ""), ("list", "", "serviceaccounts", ""),
    ("create", "", "serviceaccounts/token", RELEASE), ("list", "", "nodes", ""), ("list", "", "namespaces", ""),
    ("list", "apps", "deployments", ""), ("patch", "apps", "deployments", RELEASE),
    ("escalate", "rbac.authorization.k8s.io", "roles", ""), ("create", "rbac.authorization.k8s.io", "rolebindings", ""),
)  # fmt: skip


@scenario
def pod_security(cluster):
    """The pod passes pod security `restricted`; each breach of it is refused, also under a Deployment"""
    with cluster.namespace("pod-security") as namespace:
        rendered = chart.render(cluster, namespace)
        deployment = chart.only(rendered, "Deployment")
        template = deployment["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": namespace}, "spec": template["spec"]}
        # The ServiceAccount of the chart is not there, and admission asks for it first.
        pod = changed(pod, "spec.serviceAccountName", "default")
        taken, said = cluster.api.try_to_create(pod)
        expect(taken and not said, "the API server has something against the pod:", said)
        for path, value, rule in BREACHES:
            taken, said = cluster.api.try_to_create(changed(pod, path, value))
            expect(not taken, f"a pod with {path} {value} was taken")
            expect('violates PodSecurity "restricted' in said and rule in said, f"{path} {value} was refused otherwise:", said)
        check_deployment(cluster, namespace, rendered, deployment)


def check_deployment(cluster, namespace, rendered, deployment):
    """A Deployment of such pods is let in with a warning, and gets none."""
    account = chart.only(rendered, "ServiceAccount")
    root = changed(deployment, "spec.template.spec.securityContext.runAsUser", 0)
    said = cluster.apply([account, root]).err
    warned = "would violate PodSecurity" in said and "runAsUser=0" in said
    expect(warned, "nothing warned of a Deployment that runs as root:", said)

    def failed():
        conditions = chart.deployment(cluster, namespace).get("status", {}).get("conditions", [])
        return [it["message"] for it in conditions if it["type"] == "ReplicaFailure"]

    message = cluster.wait("the Deployment's pods to be refused", failed)[0]
    expect("violates PodSecurity" in message, "the Deployment's pods failed for another reason:", message)
    expect(not chart.pods(cluster, namespace), "a pod that runs as root was created")


@scenario
def rbac(cluster):
    """The ServiceAccount reads one Secret by name and nothing else, and pods have no token of it"""
    with cluster.namespace("rbac") as namespace, cluster.namespace("rbac-other") as other:
        chart.install(cluster, namespace)
        for name, where in ((SECRET, namespace), ("another", namespace), (SECRET, other)):
            cluster.kubectl("create", "secret", "generic", name, "--namespace", where, "--from-literal=api-keys=none")
        token = cluster.kubectl("create", "token", RELEASE, "--namespace", namespace).out.strip()
        config = cluster.pki.kubeconfig(cluster.folder / "rbac.kubeconfig", cluster.secure_port, token=token)

        def ask(*arguments, **options):
            return cluster.kubectl(*arguments, kubeconfig=config, **options)

        who = ask("auth", "whoami", "--output", "json").out
        expect(f"system:serviceaccount:{namespace}:{RELEASE}" in who, "the token is another's:", who)
        found = json.loads(ask("get", "secret", SECRET, "--namespace", namespace, "--output", "json").out)
        expect(found["metadata"]["name"] == SECRET, "the ServiceAccount cannot read its Secret")
        check_forbidden(ask, namespace, other)
        check_reviews(cluster, namespace)
        check_rules(ask, namespace)
        check_pods(cluster, namespace)


def check_forbidden(ask, namespace, other):
    """By asking for real, as the bearer of its token."""
    for words, where in (
        (("get", "secret", "another"), namespace), (("get", "secrets"), namespace), (("get", "pods"), namespace),
        (("get", "configmap", "ml-config"), namespace), (("get", "secret", SECRET), other),
    ):  # fmt: skip
        said = ask(*words, "--namespace", where, refused=True).err
        expect("Forbidden" in said, f"'{' '.join(words)}' in {where} was not forbidden, but:", said)


def check_reviews(cluster, namespace):
    """By the API server's own answer for other verbs; the one that is granted shows that it answers for the right one."""
    for verb, group, resource, name in [("get", "", "secrets", SECRET), *DENIED]:
        resource, _, part = resource.partition("/")
        attributes = {
            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part, "name": name
        }  # fmt: skip
        spec = {"user": f"system:serviceaccount:{namespace}:{RELEASE}", "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        _, answer = cluster.api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        granted = (verb, resource, name) == ("get", "secrets", SECRET)
        expect(answer["status"]["allowed"] == granted, f"{verb} {resource}/{part} {name} was answered by:", answer["status"])


def check_rules(ask, namespace):
    """All that it may do, by the API server's own list: the one rule of the chart, and what everybody may ask of themselves."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    # kubectl would read the definitions of foreign kinds in order to check the review, which it may not either.
    answer = ask("create", "--filename", "-", "--output", "json", "--validate=false", stdin=json.dumps(review)).out
    rules = json.loads(answer)["status"]["resourceRules"]
    ours = [it for it in rules if not set(it["apiGroups"]) <= {"authorization.k8s.io", "authentication.k8s.io"}]
    wanted = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get"]}]
    expect(ours == wanted, "the ServiceAccount may do other things:", json.dumps(ours))


def check_pods(cluster, namespace):
    """The API server put no token into the pods."""
    pods = cluster.wait("a pod of the release", lambda: chart.pods(cluster, namespace))
    for pod in pods:
        expect(pod["spec"]["automountServiceAccountToken"] is False, "a pod mounts a token")
        projected = [it["name"] for it in pod["spec"]["volumes"] if "projected" in it]
        expect(not projected, "a pod has volumes with tokens:", projected)
