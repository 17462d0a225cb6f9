"""A real Kubernetes control plane on loopback: etcd, the API server with the aggregation layer, the controllers with a
quick autoscaler, the scheduler, and kwok in place of nodes. Ports, keys and state are its own, so that several can run."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from . import nodes, tools
from .api import Api
from .failure import Failure
from .pki import Pki
from .processes import Ports, Processes, environment

BOOT_SECONDS = 120
COMMAND_SECONDS = 300
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


class Output:
    """What a command printed."""

    def __init__(self, done):
        self.out, self.err = done.stdout, done.stderr


class Cluster:
    """The control plane and the tools that talk to it. Use it by `with`: what it started ends, however the block ends."""

    def __init__(self, hpa_sync="2s"):
        self.hpa_sync = hpa_sync
        self.folder = Path(tempfile.mkdtemp(prefix="ml-inference-api-e2e-"))
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.variables = environment(self.folder)
        self.processes = Processes(self.logs, self.variables)
        self.ports = Ports()
        self.installed, self.namespaces = set(), set()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts everything and returns when nodes are ready and pods can be created."""
        self.secure_port = self.ports.next()
        self.behind = nodes.Behind(self.ports.next(), self.ports.next(), self.folder / "pods.log")
        self.pki = Pki(self.folder / "pki")
        self.api = Api(self.secure_port, self.pki)
        self.pki.kubeconfig(self.kubeconfig, self.secure_port, "admin")
        self._start_etcd()
        self._start_api_server()
        self._start_controllers()
        self._start_kwok()
        self.apply([*nodes.nodes(), *nodes.devices()])
        self.wait("all nodes to be ready", self._nodes_ready, BOOT_SECONDS)
        self._wait_service_account("default")

    def stop(self):
        """Ends every process. The logs stay, until `forget`."""
        self.processes.stop()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def forget(self):
        """Removes what is left of it on the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # Its parts.

    def _start_etcd(self):
        client, peer = (f"http://127.0.0.1:{self.ports.next()}" for _ in range(2))
        self.etcd = client
        self.spawn("etcd", [
            tools.program("etcd"), "--data-dir", self.folder / "etcd", "--log-level", "warn", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ])  # fmt: skip

    def _start_api_server(self):
        key = self.pki.file
        self.spawn("kube-apiserver", [
            tools.program("kube-apiserver"), "--etcd-servers", self.etcd, "--authorization-mode", "RBAC",
            # As clusters are set up: what pods may do is decided by pod security, so it must be what refuses them.
            "--allow-privileged=true",
            "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", self.secure_port,
            # Nobody can route to a loopback address, so it is not published.
            "--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.0.0.0/22",
            "--client-ca-file", key("ca.crt"),
            "--tls-cert-file", key("kube-apiserver.crt"), "--tls-private-key-file", key("kube-apiserver.key"),
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", key("service-accounts.pub"),
            "--service-account-signing-key-file", key("service-accounts.key"),
            # The aggregation layer, by which an adapter serves custom metrics.
            "--requestheader-client-ca-file", key("ca.crt"), "--requestheader-allowed-names", "front-proxy-client",
            "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
            "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
            "--proxy-client-cert-file", key("front-proxy-client.crt"),
            "--proxy-client-key-file", key("front-proxy-client.key"),
        ])  # fmt: skip
        self.wait("the API server to be ready", self._api_ready, BOOT_SECONDS)

    def _start_controllers(self):
        def common(name):
            path = self.pki.kubeconfig(self.folder / f"{name}.kubeconfig", self.secure_port, name)
            options = [f"--{kind}kubeconfig={path}" for kind in ("", "authentication-", "authorization-")]
            options += ["--bind-address", "127.0.0.1", "--secure-port", self.ports.next(), "--leader-elect=false"]
            return [tools.program(name), *options]

        self.spawn("kube-controller-manager", [
            *common("kube-controller-manager"), "--use-service-account-credentials",
            "--service-account-private-key-file", self.pki.file("service-accounts.key"),
            "--root-ca-file", self.pki.file("ca.crt"),
            "--horizontal-pod-autoscaler-sync-period", self.hpa_sync,
        ])  # fmt: skip
        self.spawn("kube-scheduler", common("kube-scheduler"))

    def _start_kwok(self):
        stages = [*nodes.stages(tools.stages(), self.folder / "stages"), nodes.behind(self.folder / "behind.yaml", self.behind)]
        configs = [part for path in stages for part in ("--config", path)]
        kubelet = self.ports.next()
        self.spawn("kwok", [
            tools.program("kwok"), "--kubeconfig", self.kubeconfig, "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds", "40", "--node-ip", "127.0.0.1", "--cidr", "10.245.0.0/16",
            # Where the API server finds what a kubelet would answer: logs, port-forward.
            "--server-address", f"127.0.0.1:{kubelet}", "--node-port", kubelet, *configs,
        ])  # fmt: skip

    def _api_ready(self):
        with contextlib.suppress(OSError):
            return self.api.call("GET", "/readyz", timeout=5)[0] == 200

    def _nodes_ready(self):
        items = self.api.get("/api/v1/nodes")["items"]
        return len(items) == len(nodes.nodes()) and all(condition(it, "Ready") for it in items)

    def _wait_service_account(self, namespace):
        # A bare pod is refused until its namespace has this.
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        self.wait(f"the default ServiceAccount of {namespace}", lambda: self.api.get(path), BOOT_SECONDS)

    # What scenarios use.

    def port(self):
        """A free port of the loopback address."""
        return self.ports.next()

    def spawn(self, name, command, variables=None):
        """Starts a process that ends with the cluster; its log is kept with the others."""
        return self.processes.spawn(name, command, variables)

    def end(self, process):
        """Ends a process that `spawn` started before the cluster ends."""
        self.processes.stop_one(process)

    def wait(self, what, holds, seconds=60, interval=0.2):
        """Asks until the answer is truthy, and returns it; fails with a sentence after so many seconds, or at once when a
        process has ended by itself."""
        deadline = time.monotonic() + seconds
        while not (answer := holds()):
            self.processes.check()
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s in vain for {what}")
            time.sleep(interval)
        return answer

    def run(self, command, stdin=None, refused=False):
        """Runs a command to its end. It must succeed, or, with `refused`, fail; the other is a failure of the scenario."""
        words = [str(part) for part in command]
        shown = " ".join([Path(words[0]).name, *words[1:]])
        try:
            done = subprocess.run(
                words, input=stdin if stdin is not None else "", env=self.variables, capture_output=True, text=True,
                timeout=COMMAND_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(f"'{shown}' did not end within {COMMAND_SECONDS} s") from None
        if refused and done.returncode == 0:
            raise Failure(f"'{shown}' had to be refused and was not; it printed:\n{done.stdout}{done.stderr}")
        if not refused and done.returncode != 0:
            raise Failure(f"'{shown}' failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        return Output(done)

    def kubectl(self, *arguments, stdin=None, refused=False, kubeconfig=None):
        """Runs kubectl, as the administrator unless another kubeconfig is given."""
        options = ["--kubeconfig", kubeconfig or self.kubeconfig, "--cache-dir", self.folder / "discovery"]
        return self.run([tools.program("kubectl"), *options, *arguments], stdin, refused)

    def helm(self, *arguments, stdin=None, refused=False):
        """Runs helm against this cluster."""
        return self.run([tools.program("helm"), *arguments], stdin, refused)

    def apply(self, objects, *arguments, refused=False):
        """Applies manifests: text, or objects."""
        text = objects if isinstance(objects, str) else "\n---\n".join(json.dumps(it) for it in objects)
        return self.kubectl("apply", "--filename", "-", *arguments, stdin=text, refused=refused)

    def get(self, kind, name, namespace=None):
        """An object, as kubectl finds it; None where there is none."""
        where = ["--namespace", namespace] if namespace else []
        text = self.kubectl("get", kind, name, *where, "--ignore-not-found", "--output", "json").out
        return json.loads(text) if text.strip() else None

    def list(self, kinds, namespace, selector=None):
        """The objects of some kinds (joined by commas) in a namespace."""
        which = ["--selector", selector] if selector else []
        text = self.kubectl("get", kinds, "--namespace", namespace, *which, "--output", "json").out
        return json.loads(text)["items"]

    def install_crds(self, *names):
        """Teaches the API server foreign kinds, by names as of `tools.crds`, and waits until it serves them."""
        missing = [name for name in names if name not in self.installed]
        if not missing:
            return
        files = [part for name in missing for path in tools.crds(name) for part in ("--filename", path)]
        # Server-side: client-side would put each definition into an annotation, for which many are too large.
        made = self.kubectl("apply", "--server-side", "--force-conflicts", "--output=name", *files).out.split()
        for path in (f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name.partition('/')[2]}" for name in made):
            self.wait(f"{path} to be established", lambda path=path: condition(self.api.get(path), "Established"), 120)
        self.installed.update(missing)

    @contextlib.contextmanager
    def namespace(self, name, labels=RESTRICTED):
        """A namespace with pod security `restricted`, which goes when the block ends well, else by `clean`: until then its
        state can be looked at. With no labels the block makes it itself."""
        # One of an earlier scenario is left to end by itself.
        self.wait(f"the earlier namespace {name} to go", lambda: not self.api.get(f"/api/v1/namespaces/{name}"), 90)
        self.namespaces.add(name)
        if labels is not None:
            self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}])
            self._wait_service_account(name)
        yield name
        self._delete_namespaces(name)

    def clean(self):
        """Deletes the namespaces of a scenario that failed."""
        self._delete_namespaces(*sorted(self.namespaces))

    def _delete_namespaces(self, *names):
        if names:
            self.kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait=false")
        self.namespaces.difference_update(names)

    def state(self):
        """What a reader of a failure wants to see: workloads, pods and the latest events, then the ends of all logs."""
        parts = []
        for command in (
            ("get", "deployments,replicasets,pods,horizontalpodautoscalers", "--all-namespaces", "--output", "wide"),
            ("get", "events", "--all-namespaces", "--sort-by", ".metadata.creationTimestamp"),
        ):
            try:
                parts.append("\n".join(line[:200] for line in self.kubectl(*command).out.splitlines()[-40:]))
            except Failure as failure:
                parts.append(str(failure))
        return "\n\n".join([*parts, self.processes.tails()])


def condition(thing, kind):
    """Whether a condition of an object is true."""
    # Null where a manifest has written so.
    conditions = thing.get("status", {}).get("conditions") or []
    return any(it["type"] == kind and it["status"] == "True" for it in conditions)
