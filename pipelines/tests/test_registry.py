"""How the registry is asked: what is tried again, what is not, and what is said. Against a server that answers as it is told; the
real MLflow has test_pipeline.py."""

import http.server
import json
import threading

import pytest

import local
from fraud import layout, registry
from fraud.command import StepError

PIN = "0" * 64


@pytest.fixture
def server(monkeypatch):
    """A server whose answers, (status, body) one after the other, are in `answers`; the last is given for ever."""
    monkeypatch.setattr(registry.time, "sleep", lambda _: None)

    class Handler(http.server.BaseHTTPRequestHandler):
        answers, asked = [], []

        def do_GET(self):
            self.asked.append(dict(self.headers) | {"path": self.path})
            status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + (9 if status == 299 else 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    Handler.uri = f"http://127.0.0.1:{running.server_port}"
    yield Handler
    running.shutdown()
    thread.join()
    running.server_close()


def test_what_may_heal_is_tried_again(server):
    server.answers = [(503, b"starting"), (500, b""), (299, b"cut off"), (200, b'{"model_version": {"version": "7"}}')]
    assert registry.Registry(server.uri).alias("m", "champion") == "7"
    assert len(server.asked) == 4


def test_what_does_not_heal_is_given_up(server):
    server.answers = [(503, b'{"message": "no database"}')]
    with pytest.raises(StepError, match=r"does not answer .* after 3 tries: no database"):
        registry.Registry(server.uri, retries=2).alive()
    assert len(server.asked) == 3


def test_a_refusal_is_not_tried_again(server):
    server.answers = [(403, b'{"message": "not allowed"}')]
    with pytest.raises(StepError, match="403 not allowed"):
        registry.Registry(server.uri).version("m", "1")
    assert len(server.asked) == 1


def test_something_that_is_no_mlflow(server):
    server.answers = [(200, b"<html>")]
    with pytest.raises(StepError, match="is no MLflow server"):
        registry.Registry(server.uri).version("m", "1")


def test_a_server_that_is_not_there():
    with pytest.raises(StepError, match="after 1 tries"):
        registry.Registry(f"http://127.0.0.1:{local.free_port()}", retries=0).alive()
    with pytest.raises(StepError, match="expected the address of a server"):
        registry.Registry("file:///tmp/mlruns")


def test_artifacts_that_the_server_does_not_hand_out(server):
    server.answers = [(200, json.dumps({"artifact_uri": "s3://bucket/1"}).encode())]
    with pytest.raises(StepError, match="--artifacts-destination"):
        registry.Registry(server.uri).model_root("m", "1")


def test_credentials_are_those_of_mlflows_client(server, monkeypatch):
    server.answers = [(200, b"OK")]
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word")
    registry.Registry(server.uri).alive()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    registry.Registry(server.uri).alive()
    assert [it["Authorization"] for it in server.asked] == ["Basic dXNlcjp3b3Jk", "Bearer token"]


def test_a_manifest_that_names_no_graph_is_refused():
    class Fake:
        def version(self, *_):
            return {"run_id": "r"}

        def run_root(self, _):
            return "/r"

        def download(self, *_):
            return b"schema = 1\n"

    with pytest.raises(StepError, match="expected sha256 0000"):
        layout.fetch(Fake(), "m", "1", PIN)
    with pytest.raises(StepError, match=r"names no sha256 of 1/model\.onnx"):
        layout.fetch(Fake(), "m", "1", layout.sha256(b"schema = 1\n"))


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    layout.install({"1/model.onnx": b"one", "model.toml": b"1"}, tmp_path, "m")
    layout.install({"2/model.onnx": b"two", "model.toml": b"2"}, tmp_path, "m")
    found = {str(it.relative_to(tmp_path)): it.read_bytes() for it in tmp_path.rglob("*") if it.is_file()}
    assert found == {"m/2/model.onnx": b"two", "m/model.toml": b"2"}


def test_what_a_crash_left_is_no_hindrance(tmp_path):
    for left in (".m.new/9/model.onnx", ".m.old/1/model.onnx"):
        layout.write(tmp_path / left, b"left")
    layout.install({"2/model.onnx": b"two"}, tmp_path, "m")
    assert [str(it.relative_to(tmp_path)) for it in tmp_path.rglob("*") if it.is_file()] == ["m/2/model.onnx"]
