"""OpenAI's own client, unmodified, against this server. Run by the integration tests:

openai_v1.py HOST:PORT

What differs from OpenAI is what docs/api.md says ("OpenAI").
"""

import asyncio
import base64
import json
import sys
import unittest
import urllib.request

import numpy as np
import openai

ADDRESS = ""
MODEL = "sentence-embedder"
TEXTS = ["The payment was declined twice.", "Where is my parcel?", ""]


def vectors_of_predict(texts):
    """The vectors and the number of tokens as /predict gives them."""
    body = json.dumps({"instances": texts}).encode()
    request = urllib.request.Request(f"http://{ADDRESS}/predict/{MODEL}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        predictions = json.load(answer)["predictions"]
    vectors = np.array([one["embedding"] for one in predictions], np.float32)
    return vectors, sum(one["tokens"] for one in predictions)


class Case(unittest.TestCase):
    def setUp(self):
        self.options = {"base_url": f"http://{ADDRESS}/v1", "api_key": "any", "max_retries": 0, "timeout": 30}
        self.client = openai.OpenAI(**self.options)
        self.addCleanup(self.client.close)

    def check(self, answer, texts):
        vectors, tokens = vectors_of_predict(texts)
        self.assertEqual((answer.object, answer.model), ("list", MODEL))
        self.assertEqual([one.index for one in answer.data], list(range(len(texts))))
        # The client unpacks base64 by itself.
        np.testing.assert_array_equal(np.array([one.embedding for one in answer.data], np.float32), vectors)
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.total_tokens), (tokens, tokens))


class Embeddings(Case):
    def test_the_default_encoding_and_both_by_name(self):
        self.check(self.client.embeddings.create(model=MODEL, input=TEXTS), TEXTS)
        self.check(self.client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float"), TEXTS)
        answer = self.client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="base64")
        packed = [one.embedding for one in answer.data]
        unpacked = [np.frombuffer(base64.b64decode(text), "<f4") for text in packed]
        np.testing.assert_array_equal(np.array(unpacked), vectors_of_predict(TEXTS)[0])

    def test_one_text_and_token_ids(self):
        self.check(self.client.embeddings.create(model=MODEL, input=TEXTS[0], user="somebody"), TEXTS[:1])
        ids = [101, 7592, 2088, 102]
        for given in [ids, [ids]]:
            answer = self.client.embeddings.create(model=MODEL, input=given)
            self.check(answer, ["hello world"])

    def test_dimensions_and_truncation(self):
        answer = self.client.embeddings.create(model=MODEL, input="a", dimensions=384)
        self.assertEqual(len(answer.data[0].embedding), 384)
        long = "word " * 1000
        with self.assertRaises(openai.BadRequestError):
            self.client.embeddings.create(model=MODEL, input=long)
        cut = self.client.embeddings.create(model=MODEL, input=long, extra_body={"truncate": True})
        self.assertEqual(cut.usage.total_tokens, 256)

    def test_async(self):
        async def ask():
            async with openai.AsyncOpenAI(**self.options) as client:
                calls = [client.embeddings.create(model=MODEL, input=text) for text in TEXTS * 4]
                return await asyncio.gather(*calls)

        for answer, text in zip(asyncio.run(ask()), TEXTS * 4):
            self.check(answer, [text])


class Models(Case):
    def test_list_and_retrieve(self):
        names = [model.id for model in self.client.models.list()]
        self.assertIn(MODEL, names)
        self.assertEqual(names, sorted(names))
        one = self.client.models.retrieve(MODEL)
        self.assertEqual((one.id, one.object, one.owned_by), (MODEL, "model", "ml-inference-api"))
        self.assertGreater(one.created, 1_700_000_000)
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.models.retrieve("nobody")
        self.assertIn("no model has this name", raised.exception.body)


class Mistakes(Case):
    def refused(self, kind, status, words, **named):
        with self.assertRaises(kind) as raised:
            self.client.embeddings.create(**named)
        error = raised.exception
        self.assertEqual(error.status_code, status)
        # Its message has the status alone; our words are the body.
        self.assertIn(str(status), str(error))
        self.assertIn(words, error.body)
        self.assertEqual(error.request_id, error.response.headers["x-request-id"])
        return error

    def test_the_exceptions_are_those_of_openai_in_our_words(self):
        error = self.refused(openai.NotFoundError, 404, "no model has this name", model="gpt", input="a")
        self.assertEqual(error.response.json()["code"], "model_not_found")
        self.refused(openai.BadRequestError, 400, "no embeddings", model="fraud-detector", input="a")
        self.refused(openai.BadRequestError, 400, "384", model=MODEL, input="a", dimensions=7)
        self.refused(openai.BadRequestError, 400, "empty array", model=MODEL, input=[])
        self.refused(openai.BadRequestError, 400, "tokens", model=MODEL, input=[2**31])
        self.refused(openai.BadRequestError, 400, "did you mean", model=MODEL, input="a", extra_body={"dimension": 1})

    def test_what_is_not_served_says_so(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.completions.create(model=MODEL, prompt="a")

    def test_a_deadline_is_a_server_error(self):
        with self.assertRaises(openai.InternalServerError) as raised:
            self.client.embeddings.create(model=MODEL, input="a", extra_headers={"x-request-timeout-ms": "0"})
        self.assertEqual(raised.exception.status_code, 504)


if __name__ == "__main__":
    ADDRESS = sys.argv.pop()
    unittest.main()
