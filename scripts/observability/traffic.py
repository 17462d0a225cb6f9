"""Requests of every kind that a rule or a panel counts: each protocol, each model, several sizes, and what goes wrong."""

import json
import socket
import struct
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from stack import get_json, post, quiet, status

PLAIN = """/ /docs /docs/page.js /openapi.json /health /health/live /health/ready /ping /version /metrics /predict
/v1/models /v2 /v2/health/live /v2/health/ready /v2/models /v2/models/fraud-detector /v2/models/fraud-detector/ready
/no-such-page""".split()
SIZES = (1, 2, 5, 16)
LONG = "the printer on the second floor shows a code nobody knows and the invoice was paid twice " * 60


def tensors(server, model):
    """A v2 request with one row of zeros, of the shapes that the model tells."""
    inputs = []
    for it in get_json(f"{server.url}/v2/models/{model}")["inputs"]:
        shape = [max(1, size) for size in it["shape"]]
        count = 1
        for size in shape:
            count *= size
        value = {"BYTES": "text", "BOOL": False}.get(it["datatype"], 0)
        inputs.append({"name": it["name"], "datatype": it["datatype"], "shape": shape, "data": [value] * count})
    return {"inputs": inputs}


def lesser(example):
    """A record without each of its members in turn, and with null in its place; nothing of other examples."""
    if isinstance(example, dict):
        for name in example:
            yield {key: value for key, value in example.items() if key != name}
            yield example | {name: None}


def one_round(server):
    """Every kind of request over HTTP once; ends where an answer is not what it should be."""
    calls = [(path, None, {}, {404} if path == "/no-such-page" else {200}) for path in PLAIN]
    for model in server.model_names():
        path, example = f"/predict/{model}", server.example(model)
        calls += [(path, {"instances": [example] * size}, {}, {200}) for size in SIZES]
        calls += [(path, example, {}, {200}), (path, b"{", {}, {400}), (path, example, {"x-request-timeout-ms": "0"}, {504})]
        # A feature without a default must be there; a text may be too long.
        calls += [(path, it, {}, {200, 400}) for it in lesser(example)]
        if "text" in example:
            calls.append((path, {"text": LONG}, {}, {200, 400}))
        calls.append((f"/v1/models/{model}:predict", {"instances": [example]}, {}, {200}))
    calls += [
        ("/predict/no-such-model", {}, {}, {404}),
        ("/v2/models/fraud-detector/infer", tensors(server, "fraud-detector"), {}, {200}),
        ("/invocations", {"instances": [server.example("fraud-detector")]}, {}, {200}),
        ("/v1/embeddings", {"model": "sentence-embedder", "input": ["one text", "another text, which is longer"]}, {}, {200}),
    ]

    def send(call):
        path, body, headers, expected = call
        url = server.url + urllib.parse.quote(path)
        code, answer = (status(url), b"") if body is None else post(url, body, headers)[::2]
        if code not in expected:
            raise SystemExit(f"error: {path} answered {code}, not {expected}: {answer[:500]}")

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(send, calls):
            pass
    return len(calls)


def grpc(server, grpcurl):
    """A prediction over gRPC, by the definitions that reflection gives."""
    inputs = tensors(server, "fraud-detector")["inputs"]
    contents = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents", "INT32": "int_contents"}
    for it in inputs:
        values = it.pop("data")
        if it["datatype"] == "BYTES":
            it["contents"] = {"bytes_contents": ["dGV4dA=="] * len(values)}
        else:
            it["contents"] = {contents[it["datatype"]]: values}
    body = json.dumps({"model_name": "fraud-detector", "inputs": inputs})
    quiet([grpcurl, "-plaintext", "-d", body, server.grpc, "inference.GRPCInferenceService/ModelInfer"])


def leave(server):
    """A client that asks for much and goes away before it has the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    body = json.dumps({"instances": [{"text": LONG[:500]}] * 48}).encode()
    with socket.create_connection((host, int(port))) as stream:
        # Closed by a reset: who only ends its own side may still read.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.sendall(b"POST /predict/sentence-embedder HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n")
        stream.sendall(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        time.sleep(0.1)  # long enough to be taken, not to be answered
