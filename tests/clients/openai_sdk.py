"""OpenAI's own client, unmodified, against this server. Run by the integration tests:

openai_sdk.py CASES HOST:PORT [KEY]

CASES is a class below. What differs from OpenAI is what docs/api.md says ("OpenAI").
"""

import asyncio
import json
import sys
import unittest
import urllib.request

import numpy as np
import openai

ADDRESS = ""
KEY = ""
MODEL = "sentence-embedder"
TEXTS = ["The parcel never arrived.", "Le colis n'est jamais arrivé.", "é👍 \"quoted\""]


def options(**more):
    return {"base_url": f"http://{ADDRESS}/v1", "api_key": KEY or "none", "max_retries": 0, "timeout": 30, **more}


def predicted(texts):
    """The vectors that /predict gives."""
    body = json.dumps({"instances": texts}).encode()
    request = urllib.request.Request(
        f"http://{ADDRESS}/predict/{MODEL}", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        predictions = json.load(response)["predictions"]
    return [one["embedding"] for one in predictions], sum(one["tokens"] for one in predictions)


class Embeddings(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(**options())
        self.addCleanup(self.client.close)

    def vectors(self, **named):
        answer = self.client.embeddings.create(model=MODEL, **named)
        self.assertEqual([entry.index for entry in answer.data], list(range(len(answer.data))))
        return answer, [entry.embedding for entry in answer.data]

    def test_texts_in_both_encodings(self):
        expected, tokens = predicted(TEXTS)
        # Without an encoding the client asks for base64 and unpacks it itself.
        answer, packed = self.vectors(input=TEXTS)
        self.assertEqual((answer.model, answer.object), (MODEL, "list"))
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.total_tokens), (tokens, tokens))
        np.testing.assert_array_equal(np.float32(packed), np.float32(expected))
        _, plain = self.vectors(input=TEXTS, encoding_format="float")
        self.assertEqual(plain, expected)
        _, raw = self.vectors(input=TEXTS, encoding_format="base64")
        self.assertTrue(all(isinstance(one, str) for one in raw))
        _, one = self.vectors(input=TEXTS[1])
        np.testing.assert_allclose(one[0], expected[1], atol=1e-6)

    def test_token_ids(self):
        # [CLS] hello world [SEP] in the vocabulary of BERT.
        ids = [101, 7592, 2088, 102]
        _, text = self.vectors(input="hello world")
        answer, tokens = self.vectors(input=ids)
        self.assertEqual(tokens, text)
        self.assertEqual(answer.usage.total_tokens, 4)
        _, several = self.vectors(input=[ids, ids])
        np.testing.assert_allclose(several, [text[0]] * 2, atol=1e-6)

    def test_many_at_once(self):
        async def run():
            async with openai.AsyncOpenAI(**options()) as client:
                asked = [client.embeddings.create(model=MODEL, input=f"text number {n}") for n in range(24)]
                return [answer.data[0].embedding for answer in await asyncio.gather(*asked)]

        expected, _ = predicted([f"text number {n}" for n in range(24)])
        np.testing.assert_allclose(asyncio.run(run()), expected, atol=1e-5)

    def test_models(self):
        listed = {model.id: model for model in self.client.models.list()}
        self.assertLessEqual({MODEL, "fraud-detector"}, set(listed))
        self.assertEqual((listed[MODEL].object, listed[MODEL].owned_by), ("model", "ml-inference-api"))
        one = self.client.models.retrieve(MODEL)
        self.assertEqual((one.id, one.created), (MODEL, listed[MODEL].created))
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nobody")

    def refused(self, kind, code, words, **named):
        """The client raises this, and its body is our sentence."""
        with self.assertRaises(kind) as raised:
            self.client.embeddings.create(**{"model": MODEL, "input": "a", **named})
        problem = raised.exception.response.json()
        self.assertEqual((raised.exception.body, problem["code"]), (problem["detail"], code))
        self.assertEqual(raised.exception.request_id, problem["request_id"])
        self.assertRegex(raised.exception.body, words)

    def test_mistakes_are_raised_in_our_words(self):
        self.refused(openai.NotFoundError, "model_not_found", "no model has this name", model="gpt")
        self.refused(openai.BadRequestError, "invalid_input", "384", dimensions=7)
        self.refused(openai.BadRequestError, "invalid_input", "expected", input=[])
        self.refused(openai.BadRequestError, "input_too_long", "at most 256 tokens", input=["a", "word " * 600])
        self.refused(openai.BadRequestError, "invalid_input", '"float" or "base64"', encoding_format="int8")
        self.refused(openai.BadRequestError, "unknown_input", "did you mean", extra_body={"inputs": "a"})

    def test_what_is_not_served_says_so(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
        self.assertEqual(raised.exception.response.json()["code"], "not_found")


class Keys(unittest.TestCase):
    """A server that asks for a key: the client's own is the one it takes."""

    def test_the_clients_key(self):
        with openai.OpenAI(**options()) as client:
            self.assertIn("add-one", [model.id for model in client.models.list()])
        with openai.OpenAI(**options(api_key="wrong")) as client:
            with self.assertRaises(openai.AuthenticationError):
                client.models.list()


if __name__ == "__main__":
    cases, ADDRESS, *rest = sys.argv[1:]
    KEY = "".join(rest)
    unittest.main(argv=[sys.argv[0], *cases.split(",")])
