"""The authority of a cluster, the certificates of its parts, and files by which programs find and trust its API server."""

import json
import subprocess

from .failure import Failure

DAYS = "2"
SERVER = "subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\nextendedKeyUsage=serverAuth\n"
CLIENT = "extendedKeyUsage=clientAuth\n"
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "front-proxy-client": "/CN=front-proxy-client",
}


class Pki:
    """Keys and certificates in one folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)
        self._openssl("req", "-x509", *self._new_key("ca"), "-out", "ca.crt", "-days", DAYS, "-subj", "/CN=e2e-authority")
        # Service accounts' tokens are signed with a key of their own.
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "service-accounts.key")
        self._openssl("ec", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub")
        self._certificate("kube-apiserver", "/CN=kube-apiserver", SERVER)
        for name, subject in CLIENTS.items():
            self._certificate(name, subject, CLIENT)

    def file(self, name):
        """The path of one of its files."""
        return self.folder / name

    def kubeconfig(self, path, port, user=None, token=None):
        """Writes a kubeconfig for a client with a certificate, or for the bearer of a token."""
        who = {"token": token} if token else {
            "client-certificate": str(self.file(f"{user}.crt")),
            "client-key": str(self.file(f"{user}.key")),
        }  # fmt: skip
        server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(self.file("ca.crt"))}
        # JSON is YAML, too.
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": server}],
            "users": [{"name": "e2e", "user": who}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        }))  # fmt: skip
        path.chmod(0o600)
        return path

    def _certificate(self, name, subject, extensions):
        self.file(f"{name}.ext").write_text(extensions)
        self._openssl("req", *self._new_key(name), "-out", f"{name}.csr", "-subj", subject)
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", DAYS, "-out", f"{name}.crt", "-extfile", f"{name}.ext",
        )  # fmt: skip

    @staticmethod
    def _new_key(name):
        # Elliptic curves: RSA keys take seconds on a busy machine.
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments):
        try:
            done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise Failure("openssl is not installed: install it (Debian: openssl)") from None
        if done.returncode:
            raise Failure(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
