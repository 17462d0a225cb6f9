"""MLflow's own client of its scoring server, unmodified, against this server. Run by the integration tests:

mlflow_scoring.py CASES HOST:PORT

CASES is a class below. The client sends to /invocations, the default model: fraud-detector.
"""

import json
import sys
import unittest
import urllib.request

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from mlflow.utils.proto_json_utils import dump_input_data

ADDRESS = ""


def example():
    """A row of every feature, as GET /predict gives it."""
    with urllib.request.urlopen(f"http://{ADDRESS}/predict/fraud-detector", timeout=30) as response:
        example = json.load(response)["example"]
    return example["instances"][0] if "instances" in example else example


class Scoring(unittest.TestCase):
    def setUp(self):
        self.client = ScoringServerClient(*ADDRESS.rsplit(":", 1))
        self.row = example()
        self.table = pd.DataFrame([self.row, {name: value * 2 for name, value in self.row.items()}])

    def test_health(self):
        self.client.wait_server_ready(timeout=10)
        self.assertRegex(self.client.get_version(), r"^\d+\.\d+\.\d+$")

    def test_a_frame(self):
        answer = self.client.invoke(self.table)
        frame = answer.get_predictions()
        self.assertEqual(len(frame), 2)
        self.assertLessEqual({"label", "confidence"}, set(frame.columns))
        shuffled = self.client.invoke(self.table[self.table.columns[::-1]])
        self.assertEqual(shuffled, answer)
        indexed = self.client.invoke(self.table.set_index(pd.Index(["b", "a"])))
        self.assertEqual(indexed, answer)

    def test_the_other_forms(self):
        expected = self.client.invoke(self.table)
        records = self.table.to_dict(orient="records")
        for form in ["dataframe_records", "instances", "inputs"]:
            self.assertEqual(self.client.invoke(json.dumps({form: records})), expected, form)
        columns = {name: list(values) for name, values in self.table.to_dict(orient="list").items()}
        self.assertEqual(self.client.invoke(json.dumps({"inputs": columns})), expected)
        table = urllib.request.Request(
            f"http://{ADDRESS}/invocations", self.table.to_csv(index=False).encode(), {"content-type": "text/csv"}
        )
        with urllib.request.urlopen(table, timeout=30) as response:
            self.assertEqual(json.load(response), expected)

    def test_parameters(self):
        answer = self.client.invoke(self.table, params={"top_k": 1})
        self.assertEqual([len(one["scores"]) for one in answer["predictions"]], [1, 1])
        self.assertIn('"params"', dump_input_data(self.table, params={"top_k": 1}))

    def test_mistakes_are_raised_in_our_words(self):
        wrong = self.table.rename(columns={self.table.columns[0]: "no_such_column"})
        with self.assertRaisesRegex(Exception, r"error code 400.*/dataframe_split/columns/0"):
            self.client.invoke(wrong)
        with self.assertRaisesRegex(Exception, r"error code 400.*/dataframe_split/data"):
            self.client.invoke(self.table.astype(object).map(lambda _: "text"))


class Tensors(unittest.TestCase):
    """A server whose default model takes one tensor of three columns and adds one."""

    def setUp(self):
        self.client = ScoringServerClient(*ADDRESS.rsplit(":", 1))

    def test_arrays_and_lists(self):
        rows = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)
        for sent in [rows, rows.tolist()]:
            # Whole tensors by name, as MLflow's own flavour of ONNX answers arrays.
            (name, values), = self.client.invoke(sent)["predictions"].items()
            self.assertEqual(name, "y")
            np.testing.assert_array_equal(np.array(values, np.float32), rows + np.float32(1))
        with self.assertRaisesRegex(Exception, r"error code 400.*/inputs/0"):
            self.client.invoke(rows[:, :2])


if __name__ == "__main__":
    cases, ADDRESS = sys.argv[1:]
    unittest.main(argv=[sys.argv[0], *cases.split(",")])
