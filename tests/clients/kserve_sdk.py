"""KServe's own SDK, unmodified, against this server. Run by the integration tests:

kserve_sdk.py CASES HTTP-HOST:PORT GRPC-HOST:PORT

CASES is a class below: protocol v1, and v2 over HTTP and gRPC.
"""

import sys
import unittest

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ADDRESS = ""
GRPC = ""
ROWS = np.array([[1, 2, 3], [0.1, -0.5, 1e-7]], np.float32)


def request(model, values, binary, **named):
    tensor = InferInput("x", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model, [tensor], **named)


class V1(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = InferenceRESTClient(RESTConfig(protocol="v1", timeout=30))
        self.addAsyncCleanup(self.client.close)
        self.url = f"http://{ADDRESS}"

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live(self.url))
        self.assertTrue(await self.client.is_model_ready(self.url, "add-one"))
        with self.assertRaises(httpx.HTTPStatusError):
            await self.client.is_model_ready(self.url, "nobody")

    async def test_predict(self):
        rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]
        answer = await self.client.infer(self.url, {"instances": rows}, "add-one")
        self.assertEqual(answer, {"predictions": [[2.0, 3.0, 4.0], [5.0, 6.0, 7.5]]})
        answer = await self.client.infer(self.url, {"inputs": {"x": rows}}, "add-one")
        self.assertEqual(answer, {"outputs": [[2.0, 3.0, 4.0], [5.0, 6.0, 7.5]]})

    async def test_mistakes(self):
        for model, body, status, words in [
            ("nobody", {"instances": [[1, 2, 3]]}, 404, "no model has this name"),
            ("add-one", {"instances": [[1, 2]]}, 400, "/instances/0"),
        ]:
            with self.assertRaises(httpx.HTTPStatusError) as raised:
                await self.client.infer(self.url, body, model)
            self.assertEqual(raised.exception.response.status_code, status)
            self.assertIn(words, raised.exception.response.text)


class V2(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
        self.addAsyncCleanup(self.client.close)
        self.url = f"http://{ADDRESS}"

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live(self.url))
        self.assertTrue(await self.client.is_server_ready(self.url))
        self.assertTrue(await self.client.is_model_ready(self.url, "add-one"))
        self.assertFalse(await self.client.is_model_ready(self.url, "nobody"))

    async def test_infer(self):
        for sent in [True, False]:
            for asked in [True, False]:
                outputs = [RequestedOutput("y", {"binary_data": asked})]
                made = request("add-one", ROWS, sent, request_id="one", request_outputs=outputs)
                answer = await self.client.infer(self.url, made, "add-one")
                # This client leaves the version out of what it reads.
                self.assertEqual((answer.id, answer.model_name), ("one", "add-one"))
                np.testing.assert_array_equal(answer.outputs[0].as_numpy(), ROWS + np.float32(1))

    async def test_mistakes(self):
        for model, values, status, words in [
            ("nobody", ROWS, 404, "no model has this name"),
            ("add-one", ROWS[:, :2], 400, "expected shape [batch,3], got [2, 2]"),
        ]:
            with self.assertRaises(httpx.HTTPStatusError) as raised:
                await self.client.infer(self.url, request(model, values, True), model)
            self.assertEqual(raised.exception.response.status_code, status)
            self.assertIn(words, raised.exception.response.text)


class Grpc(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = InferenceGRPCClient(GRPC, timeout=30)
        self.addAsyncCleanup(self.client.close)

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live())
        self.assertTrue(await self.client.is_server_ready())
        self.assertTrue(await self.client.is_model_ready("add-one"))
        self.assertFalse(await self.client.is_model_ready("nobody"))

    async def test_infer(self):
        for raw in [True, False]:
            made = request("add-one", ROWS, raw, request_id="one")
            answer = await self.client.infer(made)
            self.assertEqual((answer.id, answer.model_name, answer.model_version), ("one", "add-one", "1"))
            np.testing.assert_array_equal(answer.outputs[0].as_numpy(), ROWS + np.float32(1))

    async def test_mistakes(self):
        for model, values, code, words in [
            ("nobody", ROWS, grpc.StatusCode.NOT_FOUND, "no model has this name"),
            ("add-one", ROWS[:, :2], grpc.StatusCode.INVALID_ARGUMENT, "expected shape [batch,3], got [2, 2]"),
        ]:
            with self.assertRaises(grpc.aio.AioRpcError) as raised:
                await self.client.infer(request(model, values, True))
            self.assertEqual(raised.exception.code(), code)
            self.assertIn(words, raised.exception.details())


if __name__ == "__main__":
    cases, ADDRESS, GRPC = sys.argv[1:]
    unittest.main(argv=[sys.argv[0], *cases.split(",")])
