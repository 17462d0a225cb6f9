"""MLflow's own scoring client and data encoders, unmodified, against this server. Run by the integration tests:

mlflow_scoring.py HOST:PORT

What differs from MLflow is what docs/api.md says ("MLflow and SageMaker").
"""

import json
import sys
import unittest
import urllib.request

import numpy as np
import pandas as pd
import requests
from mlflow.deployments import PredictionsResponse
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

ADDRESS = ""


def description():
    with urllib.request.urlopen(f"http://{ADDRESS}/predict/fraud-detector") as answer:
        return json.load(answer)


class Case(unittest.TestCase):
    def setUp(self):
        host, port = ADDRESS.rsplit(":", 1)
        self.client = ScoringServerClient(host, port)
        self.names = list(description()["example"])
        generator = np.random.default_rng(7)
        values = generator.random((3, len(self.names)), np.float32).astype(np.float64)
        self.table = pd.DataFrame(values, columns=self.names)
        self.expected = self.predict({"instances": self.table.to_dict(orient="records")})

    def predict(self, body):
        answer = requests.post(f"http://{ADDRESS}/predict", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()["predictions"]


class Scoring(Case):
    def test_health_and_version(self):
        self.client.ping()
        self.client.wait_server_ready(timeout=10)
        self.assertRegex(self.client.get_version(), r"^\d+\.\d+\.\d+")

    def test_a_data_frame(self):
        answer = self.client.invoke(self.table)
        self.assertEqual(answer["predictions"], self.expected)
        predicted = answer.get_predictions()
        self.assertEqual(list(predicted["label"]), [one["label"] for one in self.expected])
        # Columns in another order are the same table.
        self.assertEqual(self.client.invoke(self.table[self.names[::-1]])["predictions"], self.expected)

    def test_arrays(self):
        self.assertEqual(self.client.invoke(self.table.to_numpy())["predictions"], self.expected)
        columns = {name: self.table[name].to_numpy() for name in self.names}
        self.assertEqual(self.client.invoke(columns)["predictions"], self.expected)
        nested = {name: column.reshape(-1, 1) for name, column in columns.items()}
        self.assertEqual(self.client.invoke(nested)["predictions"], self.expected)

    def test_params(self):
        answer = self.client.invoke(self.table, params={"top_k": 1})
        self.assertTrue(all(len(one["scores"]) == 1 for one in answer["predictions"]))

    def test_what_pandas_writes(self):
        def post(content_type, body):
            answer = requests.post(
                f"http://{ADDRESS}/invocations", data=body, headers={"content-type": content_type}, timeout=30
            )
            self.assertEqual(answer.status_code, 200, answer.text)
            return PredictionsResponse.from_json(answer.text)["predictions"]

        for orient in ["split", "records"]:
            body = f'{{"dataframe_{orient}": {self.table.to_json(orient=orient, double_precision=15)}}}'
            came = post("application/json", body)
            self.assertEqual([one["label"] for one in came], [one["label"] for one in self.expected])
        self.assertEqual(post("text/csv", self.table.to_csv(index=False)), self.expected)
        # As SageMaker's serializer writes it.
        self.assertEqual(post("text/csv", self.table.to_csv(index=False, header=False)), self.expected)

    def test_mistakes_are_told_in_our_words(self):
        with self.assertRaisesRegex(Exception, "error code 400.*did you mean"):
            self.client.invoke(self.table.rename(columns={self.names[0]: "amout"}))
        with self.assertRaisesRegex(Exception, "error code 400.*missing_input"):
            self.client.invoke(self.table[self.names[1:]])


if __name__ == "__main__":
    ADDRESS = sys.argv.pop()
    unittest.main()
