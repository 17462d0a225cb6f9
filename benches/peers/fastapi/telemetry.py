"""Traces and metrics of the FastAPI service, as its documentation and OpenTelemetry's have them.

A server span of the FastAPI instrumentation and a span of the model's run inside it, exported over gRPC in batches; a
meter provider, as the instrumentation asks for; requests, latency and predictions by prometheus_client, in the files
that it needs where there is more than one process.
"""

import time

import orjson
from fastapi import Request, Response
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("http_requests_total", "Requests", ["method", "route", "status"])
LATENCY = Histogram("http_request_duration_seconds", "Latency of requests", ["method", "route"])
RUNS = Histogram("model_inference_duration_seconds", "Time of the model's run", ["model"])
PREDICTIONS = Counter("model_predictions_total", "Predictions by label", ["model", "label"])


def set_up():
    """Exporters and providers; the endpoint comes from OTEL_EXPORTER_OTLP_ENDPOINT. A tracer."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(insecure=True)))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider())
    return trace.get_tracer("ml-inference-api")


def serve(app, predicted):
    """Adds the routes, with everything measured."""
    tracer = set_up()

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """One instance's prediction."""
        begun = time.perf_counter()
        body = await request.body()
        with tracer.start_as_current_span("model-inference") as span:
            span.set_attribute("model.name", "model")
            span.set_attribute("input.length", len(body))
            run = time.perf_counter()
            result = predicted(body)
            RUNS.labels("model").observe(time.perf_counter() - run)
            span.set_attribute("prediction.confidence", result.get("confidence", 1.0))
        PREDICTIONS.labels("model", result.get("label", "")).inc()
        answer = Response(orjson.dumps(result), media_type="application/json")
        REQUESTS.labels("POST", "/predict", "200").inc()
        LATENCY.labels("POST", "/predict").observe(time.perf_counter() - begun)
        return answer

    @app.get("/metrics")
    def scrape() -> Response:
        """The metrics of all processes."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return Response(generate_latest(registry), media_type="text/plain")

    FastAPIInstrumentor.instrument_app(app, excluded_urls="metrics")
