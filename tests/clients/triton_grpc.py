"""Triton's own gRPC client, unmodified, against this server. Run by the integration tests:

triton_grpc.py CASES HOST:PORT [AUTHORITY.pem]

CASES is a class below. What differs from Triton is what docs/api.md says ("gRPC").
"""

import asyncio
import queue
import sys
import unittest

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from triton_values import ROWS, VALUES, texts

ADDRESS = ""
AUTHORITY = ""


def tensor(name, values):
    """An input of these values."""
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return made.set_data_from_numpy(values)


def slow(milliseconds):
    """Inputs of a model that runs for about so long."""
    return [
        tensor("x", np.array([[1]], np.float32)),
        tensor("iterations", np.array([[milliseconds * 285]], np.int64)),
    ]


class Case(unittest.TestCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(ADDRESS)
        self.addCleanup(self.client.close)

    def refused(self, status, words, call, *arguments, **named):
        """The call fails with this status, and our words are what the client raises."""
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **named)
        self.assertEqual(raised.exception.status(), f"StatusCode.{status}", raised.exception)
        self.assertRegex(raised.exception.message(), words)

    def same(self, came, expected):
        self.assertEqual((came.dtype, came.shape), (expected.dtype, expected.shape))
        np.testing.assert_array_equal(came, expected)


class Facts(Case):
    """What the server and its models say of themselves."""

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready(headers={"x-request-id": "mine"}))
        self.assertTrue(self.client.is_model_ready("add-one"))
        self.assertTrue(self.client.is_model_ready("versions", "9"))
        self.assertFalse(self.client.is_model_ready("versions", "3"))
        self.assertFalse(self.client.is_model_ready("nobody"))

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server.name, "ml-inference-api")
        self.assertLessEqual({"classification", "model_configuration", "statistics"}, set(server.extensions))
        model = self.client.get_model_metadata("versions", as_json=True)
        self.assertEqual(model["versions"], ["2", "9", "10"])
        self.assertEqual(model["platform"], "onnx_onnxv1")
        self.assertEqual(model["inputs"], [{"name": "x", "datatype": "FP32", "shape": ["-1", "3"]}])
        self.refused("NOT_FOUND", "model", self.client.get_model_metadata, "nobody")
        self.refused("NOT_FOUND", "version", self.client.get_model_metadata, "versions", "3")

    def test_config(self):
        config = self.client.get_model_config("add-one").config
        self.assertEqual((config.platform, config.backend), ("onnxruntime_onnx", "onnxruntime"))
        (one,) = config.input
        self.assertEqual((one.name, list(one.dims), config.max_batch_size), ("x", [3], 32))
        as_json = self.client.get_model_config("add-one", as_json=True)["config"]
        self.assertEqual(as_json["input"][0]["data_type"], "TYPE_FP32")
        self.assertIn("dynamic_batching", as_json)
        self.assertEqual(as_json["instance_group"][0]["kind"], "KIND_CPU")

    def test_statistics(self):
        def counts():
            (one,) = self.client.get_inference_statistics("passthrough", "1").model_stats
            return one.inference_count, one.inference_stats.success.count

        rows, requests = counts()
        self.client.infer("passthrough", [tensor("x", ROWS)])
        self.assertGreaterEqual(counts(), (rows + 2, requests + 1))
        everything = self.client.get_inference_statistics().model_stats
        self.assertLessEqual({"add-one", "fraud-detector"}, {one.name for one in everything})

    def test_repository_index(self):
        index = self.client.get_model_repository_index()
        self.assertIn(("add-one", "1", "READY", ""), [(m.name, m.version, m.state, m.reason) for m in index.models])

    def test_what_is_not_served_says_so(self):
        self.refused("PERMISSION_DENIED", "admin", self.client.load_model, "add-one")
        self.refused("PERMISSION_DENIED", "admin", self.client.unload_model, "add-one")
        self.refused("UNIMPLEMENTED", "not served", self.client.get_trace_settings)
        self.refused("UNIMPLEMENTED", "not served", self.client.get_log_settings)
        self.refused("UNIMPLEMENTED", "not served", self.client.get_system_shared_memory_status)
        self.refused("UNIMPLEMENTED", "not served", self.client.register_system_shared_memory, "r", "/r", 12)


class Infer(Case):
    """Inference in all its forms."""

    def test_every_type(self):
        inputs = [tensor(f"{name}_in", values) for name, values in VALUES.items()]
        result = self.client.infer("dtypes", inputs)
        for name, values in VALUES.items():
            self.same(result.as_numpy(f"{name}_out"), values)

    def test_texts(self):
        sent = texts("", "é👍", "a\"b\\", "abc")
        result = self.client.infer("strings", [tensor("x", sent)])
        self.assertEqual(list(result.as_numpy("y")), [text.encode() for text in sent])
        self.refused("INVALID_ARGUMENT", "UTF-8", self.client.infer, "strings", [tensor("x", texts(b"\xff"))])

    def test_floats_that_json_cannot_carry(self):
        odd = np.array([[np.nan, np.inf, -np.inf]], np.float32)
        self.same(self.client.infer("passthrough", [tensor("x", odd)]).as_numpy("x"), odd)

    def test_no_rows(self):
        none = np.empty((0, 3), np.float32)
        self.same(self.client.infer("add-one", [tensor("x", none)]).as_numpy("y"), none)

    def test_requested_outputs_and_classes(self):
        inputs = [tensor("a", np.array([[1, 2]], np.float32)), tensor("b", np.array([[3, 4]], np.int64))]
        result = self.client.infer("two-inputs", inputs, outputs=[triton.InferRequestedOutput("rows")])
        self.same(result.as_numpy("rows"), np.array([[3, 4]], np.int64))
        self.assertIsNone(result.as_numpy("sum"))
        rows = tensor("features", np.array([[0.1, 0.2], [3, 4]], np.float32))
        output = triton.InferRequestedOutput("output_probability", class_count=2)
        best = self.client.infer("zipmap", [rows], outputs=[output]).as_numpy("output_probability")
        self.assertEqual((best.shape, best[0][0].count(b":")), ((2, 2), 2))

    def test_large_tensors(self):
        many = np.tile(ROWS, (512, 1))
        for compression in [None, "gzip", "deflate"]:
            result = self.client.infer("add-one", [tensor("x", many)], compression_algorithm=compression)
            self.same(result.as_numpy("y"), many + np.float32(1))

    def test_request_id_and_parameters(self):
        result = self.client.infer(
            "add-one", [tensor("x", ROWS)], request_id="mine", priority=1, timeout=20_000_000, parameters={"other": "x"}
        )
        response = result.get_response()
        self.assertEqual((response.id, response.model_name), ("mine", "add-one"))
        infer = self.client.infer
        self.refused("DEADLINE_EXCEEDED", "deadline", infer, "slow", slow(60_000), timeout=20_000)
        self.refused("DEADLINE_EXCEEDED", "(?i)deadline", infer, "slow", slow(60_000), client_timeout=0.05)
        self.refused("INVALID_ARGUMENT", "no state", infer, "slow", slow(1), sequence_id=7, sequence_start=True)

    def test_async(self):
        done = queue.Queue()
        for n in range(12):
            self.client.async_infer(
                "add-one",
                [tensor("x", ROWS * np.float32(n))],
                lambda result, error: done.put((result, error)),
                request_id=str(n),
            )
        seen = set()
        for _ in range(12):
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            n = int(result.get_response().id)
            seen.add(n)
            self.same(result.as_numpy("y"), ROWS * np.float32(n) + np.float32(1))
        self.assertEqual(seen, set(range(12)))

    def test_stream(self):
        done = queue.Queue()
        self.client.start_stream(callback=lambda result, error: done.put((result, error)))
        for n in range(20):
            model = "nobody" if n == 7 else "add-one"
            self.client.async_stream_infer(model, [tensor("x", ROWS * np.float32(n))], request_id=str(n))
        for n in range(20):
            result, error = done.get(timeout=30)
            if n == 7:
                self.assertRegex(error.message(), "no model has this name")
                continue
            self.assertIsNone(error)
            self.assertEqual(result.get_response().id, str(n))
            self.same(result.as_numpy("y"), ROWS * np.float32(n) + np.float32(1))
        self.client.stop_stream()

    def test_versions(self):
        for asked, came in [("", "10"), ("2", "2"), ("10", "10")]:
            result = self.client.infer("versions", [tensor("x", ROWS)], model_version=asked)
            self.assertEqual(result.get_response().model_version, came)
        self.refused("NOT_FOUND", "version", self.client.infer, "versions", [tensor("x", ROWS)], model_version="3")

    def test_mistakes_are_raised_in_our_words(self):
        def refused(words, model, inputs, **named):
            self.refused("INVALID_ARGUMENT", words, self.client.infer, model, inputs, **named)

        self.refused("NOT_FOUND", "model", self.client.infer, "nobody", [tensor("x", ROWS)])
        refused(r"expected shape \[batch,3\], got \[1, 2\]", "add-one", [tensor("x", ROWS[:1, :2])])
        refused("expected FP32, got FP64", "add-one", [tensor("x", ROWS.astype(np.float64))])
        refused("its inputs are x", "add-one", [tensor("z", ROWS)])
        refused("twice", "add-one", [tensor("x", ROWS), tensor("x", ROWS)])
        refused("is missing", "two-inputs", [tensor("a", ROWS[:, :2])])
        refused("its outputs are y", "add-one", [tensor("x", ROWS)], outputs=[triton.InferRequestedOutput("z")])
        shared = triton.InferInput("x", [1, 3], "FP32").set_shared_memory("region", 12)
        refused("shared memory", "add-one", [shared])

    def test_demo_models(self):
        ones = tensor("features", np.ones((2, 30), np.float32))
        outputs = [triton.InferRequestedOutput("probabilities", class_count=1)]
        best = self.client.infer("fraud-detector", [ones], outputs=outputs).as_numpy("probabilities")
        self.assertEqual([text.split(b":")[1:] for (text,) in best], [[b"1", b"fraud"]] * 2)

    def test_the_asynchronous_client(self):
        async def run():
            async with triton_aio.InferenceServerClient(ADDRESS) as client:
                self.assertTrue(await client.is_server_live())
                self.assertEqual((await client.get_model_metadata("add-one")).name, "add-one")
                asked = [client.infer("add-one", [tensor("x", ROWS * np.float32(n))]) for n in range(9)]
                for n, result in enumerate(await asyncio.gather(*asked)):
                    self.same(result.as_numpy("y"), ROWS * np.float32(n) + np.float32(1))
                with self.assertRaises(InferenceServerException) as raised:
                    await client.infer("nobody", [tensor("x", ROWS)])
                self.assertEqual(raised.exception.status(), "StatusCode.NOT_FOUND")

                async def requests():
                    for n in range(5):
                        yield {"model_name": "add-one", "inputs": [tensor("x", ROWS)], "request_id": str(n)}

                seen = []
                async for result, error in client.stream_infer(requests()):
                    self.assertIsNone(error)
                    seen.append(result.get_response().id)
                self.assertEqual(seen, list("01234"))

        asyncio.run(run())


class Tls(unittest.TestCase):
    """The same client over TLS."""

    def test_over_tls(self):
        named = {"ssl": True, "root_certificates": AUTHORITY}
        with triton.InferenceServerClient(ADDRESS, **named) as client:
            self.assertTrue(client.is_server_ready())
            result = client.infer("add-one", [tensor("x", ROWS)])
            np.testing.assert_array_equal(result.as_numpy("y"), ROWS + np.float32(1))

    def test_without_the_authority(self):
        with triton.InferenceServerClient(ADDRESS, ssl=True) as client:
            with self.assertRaises(InferenceServerException) as raised:
                client.is_server_ready(client_timeout=10)
            self.assertEqual(raised.exception.status(), "StatusCode.UNAVAILABLE")


class NotReady(Case):
    """A server whose model is still being loaded."""

    def test_nothing_is_ready_yet(self):
        self.assertTrue(self.client.is_server_live())
        self.assertFalse(self.client.is_server_ready())
        self.assertFalse(self.client.is_model_ready("slow"))
        (entry,) = self.client.get_model_repository_index().models
        self.assertEqual((entry.name, entry.state), ("slow", "LOADING"))
        self.refused("UNAVAILABLE", "load", self.client.infer, "slow", slow(1))
        self.refused("UNAVAILABLE", "load", self.client.get_model_metadata, "slow")


if __name__ == "__main__":
    cases, ADDRESS, *rest = sys.argv[1:]
    AUTHORITY = "".join(rest)
    unittest.main(argv=[sys.argv[0], *cases.split(",")])
