"""Flux's source-controller and helm-controller, which are the real programs, with a real registry for the chart and cosign to sign
it. A key pair takes the place of keyless signatures, whose authority and log cannot be here."""

import hashlib
import json
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

from . import chart, tools
from .api import MERGE
from .chart import RELEASE
from .failure import Failure, expect

DEFINITIONS = ("flux-source", "flux-helm")
ENVIRONMENTS = Path("deploy/gitops/environments")
OVERLAYS = Path("deploy/gitops/flux")
KEYS = "chart-signers"
# No log of signatures and no time stamps: services of others.
SIGNING = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogConfig": {}, "tsaConfig": {}}
HELM, SOURCE = "helm.toolkit.fluxcd.io/v2", "source.toolkit.fluxcd.io/v1"


class Registry:
    """Keeps charts and their signatures while the block goes on."""

    def __init__(self, cluster):
        self.cluster, self.folder = cluster, Path(tempfile.mkdtemp(prefix="registry-", dir=cluster.folder))
        self.host = f"127.0.0.1:{cluster.port()}"
        self.url = f"oci://{self.host}/charts"

    def __enter__(self):
        config = {
            "version": 0.1, "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": str(self.folder / "content")}},
            "http": {"addr": self.host}, "catalog": {"maxentries": 10},
        }  # fmt: skip
        file = self.folder / "config.yml"
        file.write_text(yaml.safe_dump(config))
        self.process = self.cluster.spawn("oci-registry", [tools.program("oci-registry"), "serve", file])
        self.cluster.wait("the registry to answer", self._answers)
        return self

    def __exit__(self, *_):
        self.cluster.end(self.process)

    def _answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def push(self, folder):
        """Pushes a chart as `helm push` does, and returns what names it, by digest."""
        packed = self.cluster.helm("package", folder, "--destination", self.folder).out.split("to: ")[1].strip()
        said = self.cluster.helm("push", packed, self.url, "--plain-http")
        [digest] = [line.split()[1] for line in (said.out + said.err).splitlines() if line.startswith("Digest:")]
        return f"{self.host}/charts/{RELEASE}@{digest}"


class Signer:
    """A key pair and cosign."""

    def __init__(self, cluster, name):
        self.cluster, self.folder = cluster, Path(tempfile.mkdtemp(prefix=f"signer-{name}-", dir=cluster.folder))
        self.config = self.folder / "signing.json"
        self.config.write_text(json.dumps(SIGNING))
        self._cosign("generate-key-pair", "--output-key-prefix", self.folder / "key")

    @property
    def public(self):
        """The public key, as text."""
        return (self.folder / "key.pub").read_text()

    def sign(self, reference):
        """Signs what is named, and pushes the signature beside it."""
        self._cosign(
            "sign", "--key", self.folder / "key.key", "--signing-config", self.config, "--allow-http-registry", "--yes", reference,
        )  # fmt: skip

    def _cosign(self, *arguments):
        self.cluster.run(["env", "COSIGN_PASSWORD=", tools.program("cosign"), *arguments])


class Controllers:
    """Both run while the block goes on."""

    def __init__(self, cluster):
        self.cluster, self.running = cluster, []

    def __enter__(self):
        cluster = self.cluster
        cluster.install_crds(*DEFINITIONS)
        artifacts = f"127.0.0.1:{cluster.port()}"
        storage = tempfile.mkdtemp(prefix="flux-artifacts-", dir=cluster.folder)
        self._start("flux-source", "--storage-path", storage, "--storage-addr", artifacts, "--storage-adv-addr", artifacts)
        self._start("flux-helm")
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            self.cluster.end(process)

    def _start(self, name, *more):
        addresses = [f"--{it}-addr=127.0.0.1:{self.cluster.port()}" for it in ("metrics", "health")]
        command = [tools.program(name), *addresses, "--log-level=info", "--min-retry-delay=1s", "--max-retry-delay=5s", *more]
        self.running.append(self.cluster.spawn(name, command, {"RUNTIME_NAMESPACE": "flux-system"}))


class Release:
    """What deploy/gitops/flux has for an environment, with the chart of the registry here and a key in place of workflows."""

    def __init__(self, cluster, environment, registry, public_key, **values):
        self.cluster, self.environment, self.values = cluster, environment, values
        self.registry, self.public_key, self.ignores = registry, public_key, True
        self.texts = {it.name: it.read_text() for it in (ENVIRONMENTS / environment).glob("*.yaml")}

    def objects(self):
        """What Flux's kustomize-controller would apply."""
        built = chart.objects(self.cluster.kubectl("kustomize", OVERLAYS / self.environment).out)
        named = {it["kind"]: it for it in built}
        repository, release, files = (named[kind] for kind in ("OCIRepository", "HelmRelease", "ConfigMap"))
        spec = repository["spec"]
        spec |= {"url": f"{self.registry.url}/{RELEASE}", "insecure": True, "interval": "2s"}
        spec["verify"] = {"provider": spec["verify"]["provider"], "secretRef": {"name": KEYS}}
        # A test cannot wait for minutes.
        release["spec"] |= {"interval": "5s", "timeout": "90s", "values": self.values}
        if not self.ignores:
            del release["spec"]["driftDetection"]["ignore"]
        self._rename(release, files)
        secret = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEYS, "namespace": self.environment},
            "stringData": {"key.pub": self.public_key},
        }  # fmt: skip
        return [*built, secret]

    def _rename(self, release, files):
        """The ConfigMap with the files as they are now, under a name of their hash, as kustomize gives it."""
        data = {it["valuesKey"]: self.texts[it["valuesKey"]] for it in release["spec"]["valuesFrom"]}
        name = f"{RELEASE}-values-{hashlib.sha256(json.dumps(data).encode()).hexdigest()[:10]}"
        files["data"], files["metadata"]["name"] = data, name
        for it in release["spec"]["valuesFrom"]:
            it["name"] = name

    def apply(self):
        """As kustomize-controller does: on the server's side. Returns when the release is to be made anew."""
        made = self.objects()
        self.cluster.apply(made, "--server-side", "--force-conflicts", "--field-manager=kustomize-controller")

    def write(self, file, text):
        """Another content of one of the three files, as a merge brings it."""
        self.texts[file] = text
        self.apply()

    def get(self, kind="helmreleases", api=HELM):
        """The HelmRelease, or another object of Flux's, as it is now."""
        return self.cluster.api.get(f"/apis/{api}/namespaces/{self.environment}/{kind}/{RELEASE}")

    def condition(self, name, kind="helmreleases", api=HELM):
        """(status, reason, message) of a condition, where the controller has seen the object as it is; nothing before."""
        it = self.get(kind, api)
        status = (it or {}).get("status", {})
        for found in status.get("conditions", []):
            if found["type"] == name and found.get("observedGeneration") == it["metadata"]["generation"]:
                return found["status"], found["reason"], found["message"]
        return None

    def refused(self):
        """Waits until the chart is refused for its signature, and returns why."""

        def found():
            it = self.condition("SourceVerified", "ocirepositories", SOURCE)
            return it and it[0] == "False" and it

        _, reason, message = self.cluster.wait("the chart to be refused", found, 60)
        expect(reason == "VerificationError", f"the chart was refused for {reason}: {message}")
        return message

    def ready(self, seconds=120, test="Succeeded"):
        """Waits until the release is ready, its test ended as a kubelet would end it."""

        def reached():
            end_test(self.cluster, self.environment, test)
            now = self.condition("Ready")
            return now and now[0] == "True" and now

        try:
            return self.cluster.wait(f"the release in {self.environment} to be ready", reached, seconds)
        except Failure as failure:
            raise Failure(f"{failure}; Flux says {self.get().get('status', {}).get('conditions')}") from None

    def reconcile(self, kind="helmreleases", api=HELM):
        """Asks for a reconciliation as `flux reconcile` does, and waits for its end."""
        now = str(time.time())
        path = f"/apis/{api}/namespaces/{self.environment}/{kind}/{RELEASE}"
        body = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}}
        code, said = self.cluster.api.call("PATCH", path, body, MERGE)
        expect(code == 200, f"a reconciliation could not be asked for: {said}")

        def done():
            return self.get(kind, api)["status"].get("lastHandledReconcileAt") == now

        self.cluster.wait("the reconciliation to be done", done, 60)

    def history(self):
        """(status of the release, result of its test) of the revisions that Flux knows, the latest first."""
        return [(it["status"], next(iter(it.get("testHooks", {}).values()), {}).get("phase")) for it in self.get()["status"]["history"]]


def end_test(cluster, namespace, phase):
    """Ends the pod of `helm test` so: nothing runs in pods here."""
    path = f"/api/v1/namespaces/{namespace}/pods/{RELEASE}-test"
    pod = cluster.api.get(path)
    if pod and pod["status"].get("phase") == "Running":
        cluster.api.call("PATCH", f"{path}/status", {"status": {"phase": phase}}, MERGE)
