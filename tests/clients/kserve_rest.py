"""KServe's own inference client, unmodified, against this server. Run by the integration tests:

kserve_rest.py HOST:PORT

What differs from KServe is what docs/api.md says ("KServe v1, TensorFlow Serving, Vertex AI").
"""

import sys
import unittest

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

ADDRESS = ""
ROWS = [[1.0, 2.0, 3.0], [0.1, -0.5, 1e-7]]
MORE = (np.array(ROWS, np.float32) + np.float32(1)).tolist()


class Case(unittest.IsolatedAsyncioTestCase):
    PROTOCOL = ""

    async def asyncSetUp(self):
        self.url = f"http://{ADDRESS}"
        self.client = InferenceRESTClient(RESTConfig(protocol=self.PROTOCOL, retries=0, timeout=30))
        self.addAsyncCleanup(self.client.close)

    async def refused(self, status, call):
        with self.assertRaises(httpx.HTTPStatusError) as raised:
            await call
        self.assertEqual(raised.exception.response.status_code, status)
        return raised.exception.response.json()


class V1(Case):
    PROTOCOL = "v1"

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live(self.url))
        self.assertTrue(await self.client.is_model_ready(self.url, "add-one"))
        await self.refused(404, self.client.is_model_ready(self.url, "nobody"))

    async def test_predict(self):
        answer = await self.client.infer(self.url, {"instances": ROWS}, model_name="add-one")
        np.testing.assert_array_equal(np.array(answer["predictions"], np.float32), np.array(MORE, np.float32))
        answer = await self.client.infer(self.url, {"instances": ["Where is my parcel?"]}, model_name="ticket-topic")
        self.assertEqual(answer["predictions"][0]["label"], "shipping")

    async def test_mistakes(self):
        problem = await self.refused(404, self.client.infer(self.url, {"instances": ROWS}, model_name="nobody"))
        self.assertEqual(problem["code"], "model_not_found")
        problem = await self.refused(400, self.client.infer(self.url, {"instances": [[1]]}, model_name="add-one"))
        self.assertEqual((problem["code"], problem["pointer"]), ("shape_mismatch", "/instances/0"))
        problem = await self.refused(404, self.client.explain(self.url, "add-one", {"instances": ROWS}))
        self.assertEqual(problem["code"], "not_found")


class V2(Case):
    PROTOCOL = "v2"

    async def test_health(self):
        self.assertTrue(await self.client.is_server_live(self.url))
        self.assertTrue(await self.client.is_server_ready(self.url))
        self.assertTrue(await self.client.is_model_ready(self.url, "add-one"))
        self.assertFalse(await self.client.is_model_ready(self.url, "nobody"))

    async def test_infer(self):
        for binary in [True, False]:
            given = InferInput("x", [2, 3], "FP32")
            given.set_data_from_numpy(np.array(ROWS, np.float32), binary_data=binary)
            request = InferRequest(model_name="add-one", infer_inputs=[given], request_id="mine")
            answer = await self.client.infer(self.url, request, model_name="add-one")
            self.assertEqual((answer.model_name, answer.id), ("add-one", "mine"))
            np.testing.assert_array_equal(answer.outputs[0].as_numpy(), np.array(MORE, np.float32))

    async def test_mistakes(self):
        given = InferInput("z", [1, 3], "FP32")
        given.set_data_from_numpy(np.array(ROWS[:1], np.float32), binary_data=False)
        request = InferRequest(model_name="add-one", infer_inputs=[given])
        problem = await self.refused(400, self.client.infer(self.url, request, model_name="add-one"))
        self.assertEqual(problem["code"], "unknown_input")


if __name__ == "__main__":
    ADDRESS = sys.argv.pop()
    unittest.main()
