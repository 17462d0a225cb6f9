"""The Open Inference Protocol v2 over HTTP, by the standard library only.

`Client.infer` asks a model in one of the protocol's forms and gives its outputs as tensors, or
raises `Refused` with the status and the error code. Every answer is held against the protocol: name,
id, one entry per output in order, sizes that add up.
"""

import http.client
import json

from tensors import Tensor, from_json

HEADER_LENGTH = "Inference-Header-Content-Length"


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status, code, detail):
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code = status, code


class Wrong(Exception):
    """An answer that breaks the protocol."""


class Client:
    """One connection, kept alive."""

    def __init__(self, address):
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._asked = 0

    def infer(self, model, inputs, outputs, *, binary_inputs=(), binary_outputs=(), nested=False):
        """The outputs of `model`. Inputs and outputs named in `binary_*` travel as binary, the others
        as JSON, nested or flat; `outputs` are the names that must come, in order."""
        self._asked += 1
        request = {"id": str(self._asked), "inputs": []}
        tail = b""
        for tensor in inputs:
            entry = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
            if tensor.name in binary_inputs:
                entry["parameters"] = {"binary_data_size": len(tensor.raw)}
                tail += tensor.raw
            else:
                entry["data"] = tensor.data(nested)
            request["inputs"].append(entry)
        if set(binary_outputs) == set(outputs):
            request["parameters"] = {"binary_data_output": True}
        elif binary_outputs:
            flag = {name: {"parameters": {"binary_data": True}} for name in binary_outputs}
            request["outputs"] = [{"name": name} | flag.get(name, {}) for name in outputs]
        status, headers, body = self._post(f"/v2/models/{model}/infer", request, tail, bool(binary_inputs))
        if status != 200:
            problem = json.loads(body)
            raise Refused(status, problem.get("code"), problem.get("detail"))
        return read(headers, body, model, request["id"], outputs, binary_outputs)

    def _post(self, path, request, tail, is_binary):
        head = json.dumps(request, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        if is_binary:
            headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        try:
            self._connection.request("POST", path, head + tail, headers)
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Wrong(f"the connection broke: {error}") from None


def read(headers, body, model, asked, names, binary_outputs):
    """An answer's outputs."""
    length = headers.get(HEADER_LENGTH)
    if (length is not None) != bool(binary_outputs):
        raise Wrong(f"{HEADER_LENGTH} is {length!r}, with {len(binary_outputs)} outputs asked for as binary")
    head, tail = (body, b"") if length is None else (body[: int(length)], body[int(length) :])
    answer = json.loads(head)
    if (answer["model_name"], answer.get("id")) != (model, asked):
        raise Wrong(f"the answer is of {answer['model_name']!r} to {answer.get('id')!r}")
    if [output["name"] for output in answer["outputs"]] != list(names):
        raise Wrong(f"the outputs are {[output['name'] for output in answer['outputs']]}")
    found = []
    for output in answer["outputs"]:
        name, datatype, shape = output["name"], output["datatype"], output["shape"]
        if name in binary_outputs:
            size = output["parameters"]["binary_data_size"]
            found.append(Tensor(name, datatype, tuple(shape), tail[:size]))
            tail = tail[size:]
        else:
            found.append(from_json(name, datatype, shape, output["data"]))
    if tail:
        raise Wrong(f"{len(tail)} bytes lie behind the last output")
    return found
