"""Triton's own HTTP client, unmodified, against this server. Run by the integration tests:

triton_http.py CASES HOST:PORT [AUTHORITY.pem]

CASES is a class below. What differs from Triton is what docs/api.md says ("Where servers disagree").
"""

import asyncio
import sys
import unittest
import urllib.request

import gevent.ssl
import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from triton_values import ROWS, VALUES, texts

ADDRESS = ""
AUTHORITY = ""


def tensor(name, values, binary=True):
    """An input of these values."""
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return made.set_data_from_numpy(values, binary_data=binary)


def slow(milliseconds):
    """Inputs of a model that runs for about so long."""
    return [
        tensor("x", np.array([[1]], np.float32)),
        tensor("iterations", np.array([[milliseconds * 285]], np.int64)),
    ]


class Case(unittest.TestCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(ADDRESS, concurrency=4, network_timeout=30)
        self.addCleanup(self.client.close)

    def refused(self, status, words, call, *arguments, **named):
        """The call fails with this status, and our words are what the client raises."""
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **named)
        self.assertEqual(raised.exception.status(), str(status), raised.exception)
        self.assertRegex(raised.exception.message(), words)

    def same(self, came, expected):
        self.assertEqual((came.dtype, came.shape), (expected.dtype, expected.shape))
        np.testing.assert_array_equal(came, expected)


class Facts(Case):
    """What the server and its models say of themselves."""

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready(query_params={"verbose": 1}))
        self.assertTrue(self.client.is_model_ready("add-one"))
        self.assertTrue(self.client.is_model_ready("versions", "9"))
        self.assertFalse(self.client.is_model_ready("versions", "3"))
        self.assertFalse(self.client.is_model_ready("nobody"))

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server["name"], "ml-inference-api")
        extensions = {"binary_tensor_data", "classification", "model_configuration", "statistics"}
        self.assertLessEqual(extensions, set(server["extensions"]))
        model = self.client.get_model_metadata("versions")
        self.assertEqual(model["versions"], ["2", "9", "10"])
        self.assertEqual(model["platform"], "onnx_onnxv1")
        self.assertEqual(model["inputs"], [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}])
        # All that are ready, whichever was asked for.
        one = self.client.get_model_metadata("versions", "9")
        self.assertEqual(one["versions"], ["2", "9", "10"])
        self.refused(404, "model", self.client.get_model_metadata, "nobody")
        self.refused(404, "version", self.client.get_model_metadata, "versions", "3")

    def test_config(self):
        config = self.client.get_model_config("add-one")
        self.assertEqual((config["platform"], config["backend"]), ("onnxruntime_onnx", "onnxruntime"))
        self.assertEqual(config["input"], [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}])
        self.assertEqual(config["max_batch_size"], 32)
        self.assertEqual(self.client.get_model_config("fixed-sum", "1")["max_batch_size"], 0)

    def test_statistics(self):
        def counts():
            (one,) = self.client.get_inference_statistics("passthrough", "1")["model_stats"]
            self.assertEqual((one["name"], one["version"]), ("passthrough", "1"))
            return one["inference_count"], one["inference_stats"]["success"]["count"]

        rows, requests = counts()
        self.client.infer("passthrough", [tensor("x", ROWS)])
        more = counts()
        self.assertGreaterEqual(more, (rows + 2, requests + 1))
        everything = self.client.get_inference_statistics()["model_stats"]
        self.assertLessEqual({"add-one", "fraud-detector"}, {one["name"] for one in everything})
        of_versions = self.client.get_inference_statistics("versions")["model_stats"]
        self.assertEqual([one["version"] for one in of_versions], ["2", "9", "10"])

    def test_repository_index(self):
        index = self.client.get_model_repository_index()
        self.assertIn({"name": "add-one", "version": "1", "state": "READY", "reason": ""}, index)

    def test_what_is_not_served_says_so(self):
        self.refused(404, "route", self.client.load_model, "add-one")
        self.refused(404, "route", self.client.unload_model, "add-one")
        self.refused(404, "route", self.client.get_trace_settings)
        self.refused(404, "route", self.client.get_log_settings)
        self.refused(404, "route", self.client.get_system_shared_memory_status)
        self.refused(404, "route", self.client.register_system_shared_memory, "r", "/r", 12)


class Infer(Case):
    """Inference in all its forms."""

    def test_every_type_in_binary_and_json(self):
        names = list(VALUES)
        # The client itself sends BF16 as binary only.
        for binary in [names, ["bfloat16"], names[::2]]:
            inputs = [
                tensor(f"{name}_in", values, name in binary or name == "bfloat16")
                for name, values in VALUES.items()
            ]
            for answer in [names, [], names[1::2]]:
                outputs = [triton.InferRequestedOutput(f"{name}_out", name in answer) for name in names]
                result = self.client.infer("dtypes", inputs, outputs=outputs)
                for name, values in VALUES.items():
                    self.same(result.as_numpy(f"{name}_out"), values)
            result = self.client.infer("dtypes", inputs)
            for name, values in VALUES.items():
                self.same(result.as_numpy(f"{name}_out"), values)

    def test_texts(self):
        sent = texts("", "é👍", "a\"b\\", "abc")
        expected = [text.encode() for text in sent]
        for binary in [True, False]:
            result = self.client.infer("strings", [tensor("x", sent, binary)])
            self.assertEqual(list(result.as_numpy("y")), expected)
            output = triton.InferRequestedOutput("y", binary_data=False)
            result = self.client.infer("strings", [tensor("x", sent, binary)], outputs=[output])
            self.assertEqual(list(result.as_numpy("y")), list(sent))
        # ONNX has strings in UTF-8 where Triton has any bytes.
        self.refused(400, "UTF-8", self.client.infer, "strings", [tensor("x", texts(b"\xff"))])

    def test_floats_that_json_cannot_carry(self):
        odd = np.array([[np.nan, np.inf, -np.inf]], np.float32)
        result = self.client.infer("passthrough", [tensor("x", odd)])
        self.same(result.as_numpy("x"), odd)
        in_json = triton.InferRequestedOutput("x", binary_data=False)
        self.refused(500, "binary_data", self.client.infer, "passthrough", [tensor("x", odd)], outputs=[in_json])
        self.refused(400, "JSON", self.client.infer, "passthrough", [tensor("x", odd, False)])

    def test_no_rows(self):
        none = np.empty((0, 3), np.float32)
        self.same(self.client.infer("add-one", [tensor("x", none)]).as_numpy("y"), none)
        self.same(self.client.infer("add-one", [tensor("x", none, False)]).as_numpy("y"), none)

    def test_requested_outputs(self):
        inputs = [tensor("a", np.array([[1, 2]], np.float32)), tensor("b", np.array([[3, 4]], np.int64))]
        result = self.client.infer("two-inputs", inputs, outputs=[triton.InferRequestedOutput("rows")])
        self.same(result.as_numpy("rows"), np.array([[3, 4]], np.int64))
        self.assertIsNone(result.as_numpy("sum"))
        self.assertEqual(len(result.get_response()["outputs"]), 1)
        # Inputs in any order.
        result = self.client.infer("two-inputs", inputs[::-1])
        self.same(result.as_numpy("sum"), np.array([[4, 6]], np.float32))

    def test_classification(self):
        rows = tensor("features", np.array([[0.1, 0.2], [3, 4]], np.float32))
        plain = self.client.infer("zipmap", [rows]).as_numpy("output_probability")
        for binary in [True, False]:
            output = triton.InferRequestedOutput("output_probability", binary, class_count=2)
            best = self.client.infer("zipmap", [rows], outputs=[output]).as_numpy("output_probability")
            self.assertEqual(best.shape, (2, 2))
            for scores, texts_of_row in zip(plain, best):
                first, second = [text.decode() if binary else text for text in texts_of_row]
                value, index, label = first.split(":")
                self.assertEqual(int(index), int(np.argmax(scores)))
                self.assertEqual(label, ["3", "5", "9"][int(index)])
                self.assertAlmostEqual(float(value), float(scores.max()), places=6)
                self.assertGreaterEqual(float(value), float(second.split(":")[0]))

    def test_compression_both_ways(self):
        many = np.tile(ROWS, (100, 1))
        for request in [None, "gzip", "deflate"]:
            for response in [None, "gzip", "deflate"]:
                for binary in [True, False]:
                    result = self.client.infer(
                        "add-one",
                        [tensor("x", many, binary)],
                        outputs=[triton.InferRequestedOutput("y", binary)],
                        request_compression_algorithm=request,
                        response_compression_algorithm=response,
                    )
                    self.same(result.as_numpy("y"), many + np.float32(1))

    def test_request_id_and_parameters(self):
        result = self.client.infer(
            "add-one", [tensor("x", ROWS)], request_id="mine", priority=1, timeout=20_000_000, parameters={"other": "x"}
        )
        response = result.get_response()
        self.assertEqual((response["id"], response["model_name"]), ("mine", "add-one"))
        self.assertNotIn("id", self.client.infer("add-one", [tensor("x", ROWS)]).get_response())
        self.refused(504, "deadline", self.client.infer, "slow", slow(60_000), timeout=20_000)
        self.refused(400, "no state", self.client.infer, "slow", slow(1), sequence_id=7, sequence_start=True)

    def test_async(self):
        asked = [
            self.client.async_infer("add-one", [tensor("x", ROWS * np.float32(n))], request_id=str(n))
            for n in range(12)
        ]
        for n, request in enumerate(asked):
            result = request.get_result(timeout=30)
            self.assertEqual(result.get_response()["id"], str(n))
            self.same(result.as_numpy("y"), ROWS * np.float32(n) + np.float32(1))
        failed = self.client.async_infer("nobody", [tensor("x", ROWS)])
        self.refused(404, "model", failed.get_result, timeout=30)

    def test_versions(self):
        for asked, came in [("", "10"), ("2", "2"), ("10", "10")]:
            result = self.client.infer("versions", [tensor("x", ROWS)], model_version=asked)
            self.assertEqual(result.get_response()["model_version"], came)
        self.refused(404, "version", self.client.infer, "versions", [tensor("x", ROWS)], model_version="3")

    def test_mistakes_are_raised_in_our_words(self):
        infer = self.client.infer
        self.refused(404, "model", infer, "nobody", [tensor("x", ROWS)])
        self.refused(400, r"expected shape \[batch,3\], got \[1, 2\]", infer, "add-one", [tensor("x", ROWS[:1, :2])])
        self.refused(400, "expected FP32, got FP64", infer, "add-one", [tensor("x", ROWS.astype(np.float64))])
        self.refused(400, "its inputs are x", infer, "add-one", [tensor("z", ROWS)])
        self.refused(400, "twice", infer, "add-one", [tensor("x", ROWS), tensor("x", ROWS)])
        self.refused(400, "is missing", infer, "two-inputs", [tensor("a", ROWS[:, :2])])
        unknown = [triton.InferRequestedOutput("z")]
        self.refused(400, "its outputs are y", infer, "add-one", [tensor("x", ROWS)], outputs=unknown)
        shared = triton.InferInput("x", [1, 3], "FP32").set_shared_memory("region", 12)
        self.refused(400, "shared memory", infer, "add-one", [shared])

    def test_bodies_made_and_read_without_a_client(self):
        body, json_length = triton.InferenceServerClient.generate_request_body(
            [tensor("x", ROWS)], outputs=[triton.InferRequestedOutput("y")], request_id="alone"
        )
        request = urllib.request.Request(
            f"http://{ADDRESS}/v2/models/add-one/infer",
            data=body,
            headers={"Inference-Header-Content-Length": str(json_length)},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            length = int(response.headers["Inference-Header-Content-Length"])
            result = triton.InferenceServerClient.parse_response_body(response.read(), header_length=length)
        self.assertEqual(result.get_response()["id"], "alone")
        self.same(result.as_numpy("y"), ROWS + np.float32(1))

    def test_demo_models(self):
        ones = tensor("features", np.ones((2, 30), np.float32))
        outputs = [triton.InferRequestedOutput("probabilities", class_count=1)]
        best = self.client.infer("fraud-detector", [ones], outputs=outputs).as_numpy("probabilities")
        self.assertEqual([text.split(b":")[1:] for (text,) in best], [[b"1", b"fraud"]] * 2)
        ids = np.array([[101, 7592, 102]], np.int64)
        names = [one["name"] for one in self.client.get_model_metadata("sentence-embedder")["inputs"]]
        inputs = [tensor(name, ids if name == "input_ids" else np.ones_like(ids)) for name in names]
        result = self.client.infer("sentence-embedder", inputs)
        (output,) = result.get_response()["outputs"]
        self.assertTrue(np.isfinite(result.as_numpy(output["name"])).all())

    def test_the_asynchronous_client(self):
        async def run():
            async with triton_aio.InferenceServerClient(ADDRESS, conn_timeout=30) as client:
                self.assertTrue(await client.is_server_live())
                self.assertTrue(await client.is_model_ready("add-one"))
                self.assertEqual((await client.get_model_metadata("add-one"))["name"], "add-one")
                asked = [
                    client.infer(
                        "add-one",
                        [tensor("x", ROWS * np.float32(n))],
                        request_compression_algorithm="gzip",
                        response_compression_algorithm=["gzip", "deflate", None][n % 3],
                    )
                    for n in range(9)
                ]
                for n, result in enumerate(await asyncio.gather(*asked)):
                    self.same(result.as_numpy("y"), ROWS * np.float32(n) + np.float32(1))
                with self.assertRaises(InferenceServerException) as raised:
                    await client.infer("nobody", [tensor("x", ROWS)])
                self.assertEqual(raised.exception.status(), "404")

        asyncio.run(run())


class Tls(unittest.TestCase):
    """The same client over TLS: by its factory of contexts, and by its options."""

    def test_over_tls(self):
        def context():
            return gevent.ssl.create_default_context(cafile=AUTHORITY)

        for named in [
            {"ssl_context_factory": context},
            {"ssl_context_factory": context, "ssl_options": {"server_hostname": "localhost"}},
        ]:
            with triton.InferenceServerClient(ADDRESS, ssl=True, network_timeout=30, **named) as client:
                self.assertTrue(client.is_server_ready())
                result = client.infer("add-one", [tensor("x", ROWS)], request_compression_algorithm="gzip")
                np.testing.assert_array_equal(result.as_numpy("y"), ROWS + np.float32(1))

    def test_an_authority_that_is_not_trusted(self):
        factory = gevent.ssl.create_default_context
        with triton.InferenceServerClient(ADDRESS, ssl=True, ssl_context_factory=factory) as client:
            with self.assertRaises(gevent.ssl.SSLError):
                client.is_server_ready()


class ModelRepository(Case):
    """The model repository extension, which only the admin listener has. The server serves add-one and passthrough."""

    def index(self):
        return {(one["name"], one["version"]): (one["state"], one["reason"]) for one in self.client.get_model_repository_index()}

    def test_unload_and_load(self):
        self.assertEqual(self.index(), {("add-one", "1"): ("READY", ""), ("passthrough", "1"): ("READY", "")})
        self.client.unload_model("passthrough")
        self.assertEqual(self.index()[("passthrough", "1")], ("UNAVAILABLE", "unloaded"))
        self.client.unload_model("passthrough", unload_dependents=True)
        self.client.load_model("passthrough")
        self.client.load_model("add-one")
        self.assertEqual(set(self.index().values()), {("READY", "")})

    def test_what_is_refused(self):
        self.refused(404, "no configured path", self.client.load_model, "nobody")
        self.refused(404, "no configured path", self.client.unload_model, "nobody")
        self.refused(400, "files in its folder", self.client.load_model, "add-one", config="{}")
        files = {"file:1/model.onnx": b"onnx"}
        self.refused(400, "from a request", self.client.load_model, "add-one", config="{}", files=files)


class NotReady(Case):
    """A server whose model is still being loaded: 503 where Triton says 400."""

    def test_nothing_is_ready_yet(self):
        self.assertTrue(self.client.is_server_live())
        self.assertFalse(self.client.is_server_ready())
        self.assertFalse(self.client.is_model_ready("slow"))
        (entry,) = self.client.get_model_repository_index()
        self.assertEqual((entry["name"], entry["state"]), ("slow", "LOADING"))
        self.refused(503, "load", self.client.infer, "slow", slow(1))
        self.refused(503, "load", self.client.get_model_metadata, "slow")


if __name__ == "__main__":
    cases, ADDRESS, *rest = sys.argv[1:]
    AUTHORITY = "".join(rest)
    unittest.main(argv=[sys.argv[0], *cases.split(",")])
