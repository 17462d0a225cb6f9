"""A registry on loopback, of the few calls by which Helm pushes and pulls a chart (OCI's distribution API). Used by the proofs."""

import hashlib
import http.server
import re
import threading
import urllib.parse

BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)")


class Registry(http.server.ThreadingHTTPServer):
    """Runs while the block goes on; `address` is where."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs, self.manifests, self.types = {}, {}, {}
        self.address = f"127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def keep(self, name, reference, content, kind):
        """A manifest, by its tag and by its digest; returns the digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for it in (reference, digest):
            self.manifests[name, it], self.types[name, it] = content, kind
        return digest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, code, content=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self):
        """What was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):  # noqa: N802
        """What is kept, or that nothing is."""
        store, path = self.server, urllib.parse.urlsplit(self.path).path
        if path == "/v2/":
            return self.answer(200)
        if (blob := BLOB.fullmatch(path)) and blob.group(2) in store.blobs:
            return self.answer(200, store.blobs[blob.group(2)], Content_Type="application/octet-stream", Docker_Content_Digest=blob.group(2))
        if (manifest := MANIFEST.fullmatch(path)) and manifest.groups() in store.manifests:
            content = store.manifests[manifest.groups()]
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            return self.answer(200, content, Content_Type=store.types[manifest.groups()], Docker_Content_Digest=digest)
        return self.answer(404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):  # noqa: N802
        """A place to upload to."""
        self.body()
        self.answer(202, Location=f"{self.path.rstrip('/')}/1")

    def do_PUT(self):  # noqa: N802
        """A blob under the digest that it must have, or a manifest."""
        content, parts = self.body(), urllib.parse.urlsplit(self.path)
        if manifest := MANIFEST.fullmatch(parts.path):
            digest = self.server.keep(*manifest.groups(), content, self.headers["Content-Type"])
            return self.answer(201, Docker_Content_Digest=digest, Location=self.path)
        [digest] = urllib.parse.parse_qs(parts.query)["digest"]
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            return self.answer(400)
        self.server.blobs[digest] = content
        return self.answer(201, Docker_Content_Digest=digest, Location=parts.path)
