"""The API server by its own protocol, where kubectl has no verb (evictions, watches) or would be too slow."""

import contextlib
import http.client
import json
import socket
import ssl
import threading

MERGE = "application/merge-patch+json"


class Api:
    """Requests of the cluster's administrator."""

    def __init__(self, port, pki):
        self.port, self.plurals = port, {}
        self.context = ssl.create_default_context(cafile=pki.file("ca.crt"))
        self.context.load_cert_chain(pki.file("admin.crt"), pki.file("admin.key"))

    def connect(self, timeout):
        """A connection; the caller closes it."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, content_type="application/json", timeout=30):
        """The status and the answer, an object where it is JSON."""
        with contextlib.closing(self.connect(timeout)) as connection:
            headers = {"content-type": content_type} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if is_json else text.decode(errors="replace")

    def get(self, path):
        """The object at a path; None where there is none."""
        status, answer = self.call("GET", path)
        return answer if status == 200 else None


    def namespaced_kinds(self):
        """Of each kind that lives in namespaces and can be listed: where its group is, its plural, its name."""
        groups = [it["preferredVersion"]["groupVersion"] for it in self.get("/apis")["groups"]]
        for prefix in ["/api/v1", *(f"/apis/{group}" for group in groups)]:
            # None where an aggregated API is out of reach.
            for it in (self.get(prefix) or {"resources": []})["resources"]:
                if it["namespaced"] and "list" in it["verbs"] and "/" not in it["name"]:
                    yield prefix, it["name"], it["kind"]

    def try_to_create(self, thing):
        """Whether the API server would take a new object, unknown fields refused, and what it says: why not, or its warnings.
        Nothing is stored."""
        prefix = "/api/v1" if thing["apiVersion"] == "v1" else f"/apis/{thing['apiVersion']}"
        plural = self._plural(prefix, thing["kind"])
        path = f"{prefix}/namespaces/{thing['metadata']['namespace']}/{plural}?dryRun=All&fieldValidation=Strict"
        with contextlib.closing(self.connect(30)) as connection:
            connection.request("POST", path, json.dumps(thing), {"content-type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 201:
                return True, " ".join(answer.headers.get_all("warning", []))
            return False, said["message"]

    def _plural(self, prefix, kind):
        if (prefix, kind) not in self.plurals:
            found = [it["name"] for it in self.get(prefix)["resources"] if it["kind"] == kind and "/" not in it["name"]]
            self.plurals[prefix, kind] = found[0]
        return self.plurals[prefix, kind]


class Watch:
    """Follows the objects of a path in a thread and keeps each as it is now. With `seen` it calls that after every change,
    with all of them by name: what must hold at every moment is checked there."""

    def __init__(self, api, path, seen=None):
        self.objects, self.error = {}, None
        status, listing = api.call("GET", path)
        if status != 200:
            raise ConnectionError(f"GET {path} answered {status}: {listing}")
        self.objects = {it["metadata"]["name"]: it for it in listing["items"]}
        self.seen = seen or (lambda objects: None)
        self.seen(self.objects)
        version = listing["metadata"]["resourceVersion"]
        self.connection = api.connect(timeout=None)
        mark = "&" if "?" in path else "?"
        self.connection.request("GET", f"{path}{mark}watch=1&resourceVersion={version}")
        # Kept: the connection forgets its socket, and closing it is what ends the thread.
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self):
        try:
            for line in self.answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self.error = event["object"].get("message", "an error without a message")
                    return
                thing = event["object"]
                if event["type"] == "DELETED":
                    self.objects.pop(thing["metadata"]["name"], None)
                else:
                    self.objects[thing["metadata"]["name"]] = thing
                self.seen(self.objects)
            self.error = "the API server ended the watch"
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = str(error)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        error = self.error
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.connection.close()
        if error and not kind:
            raise ConnectionError(f"a watch ended before its time: {error}")
