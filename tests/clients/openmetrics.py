"""Prometheus' own parsers of its formats, on what this server answers. Run by the integration tests:

openmetrics.py Formats HOST:PORT

The parser of OpenMetrics is the standard's reference, and refuses what the standard forbids.
"""

import sys
import unittest
import urllib.request

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

ADDRESS = ""
OPEN = "application/openmetrics-text; version=1.0.0"


def scraped(accept):
    request = urllib.request.Request(f"http://{ADDRESS}/metrics", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.headers["content-type"], response.read().decode()


def series(families):
    """Every sample's name and labels. The parser of OpenMetrics writes bounds of buckets as it read them."""
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The series of the scrape's own route are there from its second time on.
        scraped("text/plain")
        cls.media, text = scraped(OPEN)
        cls.open = list(openmetrics.text_string_to_metric_families(text))
        cls.by_name = {family.name: family for family in cls.open}

    def test_it_is_openmetrics(self):
        self.assertEqual(self.media, f"{OPEN}; charset=utf-8")
        self.assertEqual(len(self.by_name), len(self.open))

    def test_both_formats_have_the_same_series(self):
        _, text = scraped("text/plain")
        self.assertEqual(series(parser.text_string_to_metric_families(text)), series(self.open))

    def test_types_and_units(self):
        for name, kind, unit in (
            ("http_requests", "counter", ""),
            ("http_request_duration_seconds", "histogram", "seconds"),
            ("http_request_body_bytes", "histogram", "bytes"),
            ("process_cpu_seconds", "counter", "seconds"),
            ("inference_queue_depth", "gauge", ""),
            ("build_info", "gauge", ""),
            ("model_info", "gauge", ""),
        ):
            family = self.by_name[name]
            self.assertEqual((family.type, family.unit), (kind, unit), name)
            self.assertTrue(family.documentation and family.samples, name)

    def test_exemplars_name_trace_and_span(self):
        found = {}
        for family in self.open:
            for sample in family.samples:
                if sample.exemplar:
                    self.assertTrue(sample.name.endswith("_bucket"), sample)
                    self.assertLessEqual(sample.exemplar.value, float(sample.labels["le"]), sample)
                    self.assertGreater(float(sample.exemplar.timestamp), 1.6e9, sample)
                    lengths = {name: len(value) for name, value in sample.exemplar.labels.items()}
                    self.assertEqual(lengths, {"trace_id": 32, "span_id": 16}, sample)
                    found.setdefault(family.name, sample)
        expected = ("http_request_duration_seconds", "inference_queue_wait_seconds")
        self.assertTrue(found.keys() >= set(expected), found)


if __name__ == "__main__":
    _, case, ADDRESS = sys.argv
    unittest.main(argv=[sys.argv[0], case])
