"""The training pipeline's objects: pipelines/argo, with the definitions of Argo Workflows. Its controller is not run here."""

from pathlib import Path

from ..chart import objects
from ..failure import expect
from ..mutation import REMOVED, changed
from ..scenario import scenario
from .refusals import check_broken

ARGO = Path("pipelines/argo")
KINDS = {"Workflow": "workflow.yaml", "WorkflowTemplate": "workflow-template.yaml", "CronWorkflow": "cron-workflow.yaml"}
TRAIN = "spec.templates.train-model"

# Kind, where in it, what is written there, and what the API server has to say to it.
BROKEN = (
    ("WorkflowTemplate", "spec.entrypont", "ml-pipeline", "unknown field"),
    ("WorkflowTemplate", f"{TRAIN}.container.image", ["x"], "must be of type string"),
    ("WorkflowTemplate", f"{TRAIN}.container.resources.requests.memory", "{{workflow.parameters.train-memory}}", "should match"),
    ("WorkflowTemplate", "spec.templates.ml-pipeline.dag.tasks.train.name", REMOVED, "Required value"),
    ("Workflow", "spec.arguments.parameters.gpus.name", REMOVED, "Required value"),
    ("Workflow", "spec.activeDeadlineSeconds", "soon", "must be of type integer"),
    ("CronWorkflow", "spec.workflowSpec", REMOVED, "Required value"),
    ("CronWorkflow", "spec.schedules", "0 3 * * 1", "must be of type array"),
)


@scenario
def training(cluster):
    """pipelines/argo: the API server takes all of it into a restricted namespace and refuses what is spoilt; pods of the steps may run there"""
    cluster.install_crds("argo-workflows")
    made = [it for path in sorted(ARGO.glob("*.yaml")) if path.name != "kustomization.yaml" for it in objects(path.read_text())]
    # kustomize's rbac.yaml makes the first; what is checked before it has to be somewhere.
    with cluster.namespace("ml-pipelines"), cluster.namespace("staging"), cluster.namespace("production"):
        check_broken(cluster, [next(it for it in made if it["kind"] == kind) for kind in KINDS], BROKEN)
        said = cluster.kubectl("apply", "--kustomize", ARGO, "--validate=strict", "--server-side").err
        expect(not said.strip(), f"the API server warned of {ARGO}:", said)
        labels = cluster.get("namespace", "ml-pipelines")["metadata"]["labels"]
        expect(labels.get("pod-security.kubernetes.io/enforce") == "restricted", "the pipeline's namespace is not restricted:", labels)
        created = cluster.kubectl("create", "--filename", ARGO / KINDS["Workflow"], "--output", "name").out
        expect(created.startswith("workflow.argoproj.io/ml-training-pipeline-"), "a run was not made by its generated name:", created)
        check_pods(cluster, next(it for it in made if it["kind"] == "WorkflowTemplate"))
        check_rights(cluster)


def check_pods(cluster, template):
    """The container of each step, in a pod as Argo would make it: taken under the restricted standard, and not without its closure."""
    spec = template["spec"]
    for step in (it for it in spec["templates"] if "container" in it):
        container = {key: value for key, value in step["container"].items() if key != "args"} | {"name": "main"}
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"step-{step['name']}", "namespace": "ml-pipelines"},
            "spec": {
                "containers": [container], "volumes": spec["volumes"], "securityContext": spec["securityContext"],
                "serviceAccountName": spec["serviceAccountName"], "automountServiceAccountToken": False,
                "tolerations": step.get("tolerations", []),
            },
        }  # fmt: skip
        taken, said = cluster.api.try_to_create(pod)
        expect(taken and not said, f"the API server does not take the pod of {step['name']}:", said)
        taken, said = cluster.api.try_to_create(changed(pod, "spec.containers.main.securityContext", {}))
        expect(not taken and "restricted" in said, f"the pod of {step['name']} was taken without its security context:", said)


def check_rights(cluster):
    """The executor reports results and reads nothing; the steps' account may nothing."""
    for account, verb, kind, wanted in (
        ("ml-pipeline-executor", "create", "workflowtaskresults.argoproj.io", "yes"),
        ("ml-pipeline-executor", "patch", "workflowtaskresults.argoproj.io", "yes"),
        ("ml-pipeline-executor", "get", "workflowtaskresults.argoproj.io", "no"),
        ("ml-pipeline-executor", "get", "secrets", "no"),
        ("ml-pipeline", "create", "workflowtaskresults.argoproj.io", "no"),
        ("ml-pipeline", "get", "secrets", "no"),
    ):
        who = f"system:serviceaccount:ml-pipelines:{account}"
        asked = ("auth", "can-i", verb, kind, "--namespace", "ml-pipelines", "--as", who)
        said = cluster.kubectl(*asked, refused=wanted == "no").out.strip()
        expect(said == wanted, f"{account} {verb} {kind}: expected {wanted}, came {said}")
