"""usage: dashboards.py [--write]

The dashboards of deploy/observability/dashboards, as code. Compares the files with what this makes of them and says what
is wrong; with --write renews them. A description says what a panel shows and what to do when it is high.
"""

import sys
from pathlib import Path

from grafana import TAG, dashboard, heatmap, moments, number, problems, query, row, series, table, variable, written

FOLDER = Path("deploy/observability/dashboards")
OURS = f'job="{TAG}"'
S = f'{OURS}, service=~"$service", instance=~"$instance"'
M = f'{S}, model=~"$model", version=~"$version"'
RATE = "[$__rate_interval]"
ROUTES = "/predict.*|.*/infer|.*:predict|/invocations|/v1/embeddings|/inference.GRPCInferenceService/ModelInfer"
# As the rules have it: predictions that were answered.
ANSWERED = f'{S}, method="POST", status=~"2..", route=~"{ROUTES}"'
PAGE, TICKET = "red", "orange"
# Of a budget, less is worse: docs/slo.md has the policy.
LEFT = {"base": PAGE, "lines": [(TICKET, 0.1), ("green", 0.5)]}

SERVICE = variable("service", f"build_info{{{OURS}}}")
INSTANCE = variable("instance", f'build_info{{{OURS}, service=~"$service"}}')
MODEL = variable("model", f'model_info{{{OURS}, service=~"$service"}}')
VERSION = variable("version", f'model_info{{{OURS}, service=~"$service", model=~"$model"}}')
WITH_GPU = variable("instance", f'gpu_info{{{OURS}, service=~"$service"}}')
DEVICE = variable("device", f'gpu_info{{{OURS}, service=~"$service", instance=~"$instance"}}')
LOADS = moments("model loads", f"model_loaded_timestamp_seconds{{{S}}} * 1000", "{{model}} {{version}} loaded", "blue")
STARTS = moments("starts", f"process_start_time_seconds{{{S}}} * 1000", "{{service}} started", "purple")


def quantiles(metric, selector, by="", exemplar=False):
    """p50, p95 and p99 of a histogram, of all together or by a label."""
    grouped = f"le, {by}" if by else "le"
    prefix = f"{{{{{by}}}}} " if by else ""
    return [
        query(f"histogram_quantile({q}, sum by ({grouped}) (rate({metric}_bucket{{{selector}}}{RATE})))",
              f"{prefix}p{q[2:]}", exemplar and q == "0.99")
        for q in (("0.99",) if by else ("0.50", "0.95", "0.99"))
    ]  # fmt: skip


def rate(metric, selector, by, legend=None):
    """A counter's rate, by a label."""
    return query(f"sum by ({by}) (rate({metric}{{{selector}}}{RATE}))", legend or f"{{{{{by}}}}}")


def mean(metric, selector, by):
    """A histogram's mean, by labels."""
    return f"sum by ({by}) (rate({metric}_sum{{{selector}}}{RATE})) / sum by ({by}) (rate({metric}_count{{{selector}}}{RATE}))"


def buckets(metric, selector):
    return f"sum by (le) (increase({metric}_bucket{{{selector}}}{RATE}))"


def service():
    errors = f'sum by (route) (rate(http_requests_total{{{S}, status=~"5.."}}{RATE})) / (sum by (route) (rate(http_requests_total{{{S}}}{RATE})) > 0)'
    everything = f"sum(rate(http_requests_total{{{S}}}{RATE}))"
    latency = f"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{{{ANSWERED}}}{RATE})))"
    return [
        row("Now"),
        number("Instances up", "Instances that answer scrapes. Fewer than are deployed: look at the targets.", "short",
               f'sum(up{{{OURS}, instance=~"$instance"}})', runbook="targets.md#targetdown", decimals=0),
        number("Requests", "Requests a second, probes and scrapes among them.", "reqps", everything),
        number("Failed", "Share of all requests that ended in a 5xx. Above 5 % HighErrorRate pages.", "percentunit",
               f'sum(rate(http_requests_total{{{S}, status=~"5.."}}{RATE})) / {everything}',
               runbook="availability.md#higherrorrate", lines=[(TICKET, 0.01), (PAGE, 0.05)]),
        number("p99 of predictions", "Of answered predictions. Above 1 s SlowResponseTime opens a ticket.", "s", latency,
               runbook="latency.md#slowresponsetime", lines=[(TICKET, 0.5), (PAGE, 1)]),
        number("Availability budget left", "Of 30 days. Below 0: only changes that make it more reliable.", "percentunit",
               'min(slo:availability_budget_remaining:ratio_30d{service=~"$service"})', runbook="availability.md#errorbudgetspent", **LEFT),
        number("Alerts firing", "Of this service. The SLO dashboard lists them.", "short",
               'count(ALERTS{alertstate="firing", service=~"$service"}) or vector(0)', runbook="README.md#runbooks", decimals=0,
               lines=[(PAGE, 1)]),
        row("Requests"),
        series("Requests by route", "A route that grows alone is a caller's doing: `caller` in the access log says whose.", "reqps",
               rate("http_requests_total", S, "route"), stack=True),
        series("Requests by status", "503 is lack of capacity or models that are not ready, 504 deadlines, 500 a fault, 499 clients that left.",
               "reqps", rate("http_requests_total", S, "status"), stack=True, runbook="availability.md#availabilitybudgetburn"),
        series("Share of 5xx by route", "High on one route: its protocol or its models. High on all: the instance.", "percentunit",
               query(errors, "{{route}}"), runbook="availability.md#availabilitybudgetburn"),
        series("Duration of answered predictions", "From the first header byte to the last of the answer, streams left out. When it is high, the model"
               " dashboard's stages say where; a dot is an exemplar, which leads to its trace.", "s",
               *quantiles("http_request_duration_seconds", ANSWERED, exemplar=True), runbook="latency.md#latencybudgetburn",
               lines=[(TICKET, 0.5), (PAGE, 1)]),
        series("p99 by route", "A route that is slow alone: its model, or clients that send or read slowly.", "s",
               *quantiles("http_request_duration_seconds", ANSWERED, "route", exemplar=True), runbook="latency.md#latencybudgetburn"),
        heatmap("Durations of answered predictions", "How many took how long. Two bands are two kinds of requests, such as two models.", "s",
                buckets("http_request_duration_seconds", ANSWERED), exemplar=True),
        row("Connections and bodies"),
        series("Connections", "Open ones. Near http.max_connections the longest idle ones are closed.", "short",
               query(f"sum by (state) (http_connections{{{S}}})", "{{state}}"), stack=True, w=6),
        series("Connection errors", "Refused or ended below the routes. tls: handshakes; limit: too many; reset_flood: a hostile client.", "cps",
               rate("http_connection_errors_total", S, "kind"), w=6),
        series("Requests in flight", "Being served now. Grows where answers take longer: look at the durations.", "short",
               query(f"sum by (route) (http_requests_in_flight{{{S}}})", "{{route}}"), stack=True, w=6),
        series("p99 of body sizes", "Large requests take time to read and to unpack, and count against limits.max_inflight_bytes.", "bytes",
               query(f"histogram_quantile(0.99, sum by (le) (rate(http_request_body_bytes_bucket{{{S}}}{RATE})))", "requests"),
               query(f"histogram_quantile(0.99, sum by (le) (rate(http_response_body_bytes_bucket{{{S}}}{RATE})))", "answers"), w=6),
        row("Process"),
        series("CPU", "Used, and what may be used. At the limit runs wait for cores: scale out or raise the quota.", "short",
               query(f"sum by (instance) (rate(process_cpu_seconds_total{{{S}}}{RATE}))", "{{instance}} used"),
               query(f"sum by (instance) (process_cpu_limit_cores{{{S}}})", "{{instance}} limit")),
        series("Throttled periods", "Share of the quota's periods in which the process stood still. Above a few per cent the p99 suffers: raise the quota or remove it.",
               "percentunit", query(f"sum by (instance) (rate(process_cpu_throttled_periods_total{{{S}}}{RATE}))"
                                    f" / (sum by (instance) (rate(process_cpu_quota_periods_total{{{S}}}{RATE})) > 0)", "{{instance}}"),
               runbook="latency.md#latencybudgetburn"),
        series("Throttled time", "Seconds that threads waited for the quota, each second, summed over the cores.", "s",
               rate("process_cpu_throttled_seconds_total", S, "instance")),
        series("Resident memory", "Models are the constant part. A slope over days that no load explains is a leak.", "bytes",
               query(f"process_resident_memory_bytes{{{S}}}", "{{instance}}"), runbook="pods.md#highmemoryusage"),
        series("Memory of the container's limit", "By the kubelet, of all instances. Above 85 % HighMemoryUsage opens a ticket; at 100 % the kernel ends it.", "percentunit",
               query(f'max by (namespace, pod) (container_memory_working_set_bytes{{container="{TAG}"}})'
                     f' / max by (namespace, pod) (container_spec_memory_limit_bytes{{container="{TAG}"}} > 0)', "{{namespace}}/{{pod}}"),
               runbook="pods.md#highmemoryusage", lines=[(TICKET, 0.85)], max=1),
        series("Descriptors and threads", "Near the limit accepting pauses. Threads are constant: growth is a leak.", "short",
               query(f"process_open_fds{{{S}}}", "{{instance}} descriptors"), query(f"process_threads{{{S}}}", "{{instance}} threads")),
        row("Telemetry and secrets"),
        series("Spans lost", "By reason. queue_full: the collector is slower than the traffic; unavailable and timeout: it does not answer; rejected: it does not take them.",
               "cps", query(f'sum by (error_type) (rate(otel_sdk_processor_span_processed_total{{{S}, error_type!=""}}{RATE}))', "before export: {{error_type}}"),
               query(f'sum by (error_type) (rate(otel_sdk_exporter_span_exported_total{{{S}, error_type!=""}}{RATE}))', "export: {{error_type}}"),
               runbook="telemetry.md#telemetrydropping", w=6),
        series("Span queue", "Share of the queue that waits. Full, it drops: sample less, or scale the collector.", "percentunit",
               query(f"sum by (instance) (otel_sdk_processor_span_queue_size{{{S}}})"
                     f" / (sum by (instance) (otel_sdk_processor_span_queue_capacity{{{S}}}) > 0)", "{{instance}}"),
               runbook="telemetry.md#telemetrydropping", max=1, w=6),
        series("Log lines to the collector", "Handed to the exporter, or lost by reason. All are on stderr whatever happens here.", "cps",
               rate("otel_sdk_processor_log_processed_total", S, "error_type", "{{error_type}}"), runbook="telemetry.md#telemetrydropping", w=6),
        series("Mean duration of an export", "By signal. Seconds: the collector is slow or far, and the queues fill.", "s",
               query(mean("otel_sdk_exporter_operation_duration_seconds", S, "signal"), "{{signal}}"), w=6),
        series("Certificates", "Time until the certificate in use ends. Below 14 days its renewal should have come.", "s",
               query(f"min by (listener) (tls_cert_expiry_timestamp_seconds{{{S}}}) - time()", "{{listener}}"),
               runbook="certificate.md#certificateexpiring"),
        series("Secrets read again", "Files of keys and certificates that changed. error: what was read before stays in force, and no key can be revoked.",
               "short", query(f"sum by (secret, result) (increase(secret_reload_total{{{S}}}[1h]))", "{{secret}} {{result}}"),
               runbook="certificate.md#certificateexpiring"),
        series("Panics", "Caught, by task; the request got a 500. Any is a fault of the server: report it with the log's line.", "short",
               query(f"sum by (task) (increase(panics_total{{{S}}}[1h]))", "{{task}}")),
        table("What runs", "Version, revision and runtime of each instance: more than one during a roll-out only.", "short", f"build_info{{{S}}}"),
    ]  # fmt: skip


def model():
    counted = f"sum by (model) (rate(inference_instances_total{{{M}}}{RATE}))"
    features = f"sum by (model, version, state) (rate(inference_features_total{{{M}}}{RATE})) / on (model, version) group_left () sum by (model, version) (rate(inference_features_total{{{M}}}{RATE}))"
    return [
        row("Predictions"),
        series("Predictions by outcome", "error and timeout cost the model's budget, as does what is refused for lack of capacity.", "reqps",
               rate("inference_requests_total", M, "outcome"), stack=True, runbook="availability.md#modelavailabilitybudgetburn"),
        series("Duration of answered predictions", "Whole requests of these models. When it is high, the stages below say where; a dot leads to its trace.", "s",
               *quantiles("inference_request_duration_seconds", M, exemplar=True), runbook="latency.md#modellatencybudgetburn", lines=[(TICKET, 0.5)]),
        series("p99 by model", "One model that is slow alone, or all that share a device.", "s",
               *quantiles("inference_request_duration_seconds", M, "model", exemplar=True), runbook="latency.md#modellatencybudgetburn"),
        series("Instances", "Examples predicted a second: requests times their size. The load, as capacity counts it.", "ops",
               query(counted, "{{model}}"), w=6),
        series("Refused", "By error code. overloaded and deadline_unmeetable: more comes than can be run; quota_exceeded: one caller.", "reqps",
               rate("inference_requests_rejected_total", M, "reason"), runbook="capacity.md#queuesaturated", w=6),
        series("Failed runs", "By kind. runtime: the log has the cause; non_finite: inputs out of range; memory and device: the GPU.", "reqps",
               rate("inference_errors_total", M, "kind"), runbook="availability.md#modelavailabilitybudgetburn", w=6),
        series("Clients that left", "By the stage reached. Many in the queue: it is too slow for them.", "reqps",
               rate("inference_cancelled_total", M, "stage"), w=6),
        row("Queue and batches"),
        series("Queue", "Rows waiting, and how many may. Near the limit new ones are refused; a limit below the capacity: the queue does not drain.", "short",
               query(f"sum by (model) (inference_queue_depth{{{M}}})", "{{model}} waiting"),
               query(f"sum by (model) (inference_queue_limit{{{M}}})", "{{model}} limit"), runbook="capacity.md#queuesaturated"),
        series("Wait in the queue", "High with busy workers: scale out. High with idle ones: another model's turn. A dot leads to its trace.", "s",
               *quantiles("inference_queue_wait_seconds", M, exemplar=True), runbook="capacity.md#queuesaturated"),
        series("Deadlines passed in the queue", "Callers wait less long than the queue is: scale out, or shorten the queue.", "reqps",
               rate("inference_queue_expired_total", M, "model"), runbook="capacity.md#queuesaturated"),
        heatmap("Rows of a batch", "Ones only under load: requests do not meet (max_queue_delay), or the model cannot be batched.", "short",
                buckets("inference_batch_size", M), w=6),
        series("Mean batch", "Rows run together. Grows with the load; that is what holds the latency.", "short",
               query(mean("inference_batch_size", M, "model"), "{{model}}"), w=6),
        series("Padding", "Mean share of a batch of texts that is filling. High: lengths differ much; lower max_batch_tokens.", "percentunit",
               query(mean("inference_batch_padding_ratio", M, "model"), "{{model}}"), w=6, max=1),
        series("Batches run again", "A member made the run fail, so that each is run by itself: someone sends what the model cannot take.", "cps",
               rate("inference_batch_splits_total", M, "model"), w=6),
        row("Execution"),
        series("Mean time by stage", "Where a request's time goes. queue: capacity; execute: inputs, CPU, device; preprocess: long texts, large images.", "s",
               query(mean("inference_stage_duration_seconds", M, "stage"), "{{stage}}"), stack=True, runbook="latency.md#latencybudgetburn"),
        series("p99 by stage", "Stages of different requests: they do not add up.", "s",
               *quantiles("inference_stage_duration_seconds", M, "stage", exemplar=True), runbook="latency.md#latencybudgetburn"),
        series("Run of a batch", "The runtime's part alone, by device. Longer than before at the same sizes: throttled CPU or GPU, or a new version.", "s",
               query(f"histogram_quantile(0.99, sum by (le, model, device) (rate(inference_duration_seconds_bucket{{{M}}}{RATE})))", "{{model}} {{device}} p99", True)),
        series("Workers", "Of all models of a device. Busy all the time: it is full. stuck: a run that does not come back.", "short",
               query(f"sum by (device, state) (inference_workers{{{S}}})", "{{device}} {{state}}"), stack=True, runbook="stuck.md#inferencestuck", w=6),
        series("Threads beside cores", "What would compute if all sessions ran at once. Above the cores, runs take turns: that is meant.", "short",
               query(f"sum by (instance) (inference_session_threads{{{M}}})", "{{instance}} threads"),
               query(f"sum by (instance) (process_cpu_limit_cores{{{S}}})", "{{instance}} cores"), w=6),
        series("In flight", "Predictions being served. Rises where they take longer.", "short",
               query(f"sum by (model) (inference_in_flight{{{M}}})", "{{model}}"), w=6),
        series("p99 of input lengths", "Tokens, features, bytes or elements of a request. A jump explains longer runs and other confidences.", "short",
               *quantiles("inference_input_length", M, "model"), w=6, runbook="latency.md#latencybudgetburn"),
        row("Quality"),
        heatmap("Confidence", "How sure the predictions are. A band that moves, with the same version, is other inputs.", "percentunit",
                buckets("inference_prediction_confidence", M), runbook="confidence.md#confidenceshift"),
        series("Mean confidence", "Of 6 hours beside the week before yesterday. 0.1 apart opens a ticket.", "percentunit",
               query('model:confidence:mean6h{service=~"$service", model=~"$model", version=~"$version"}', "{{model}} {{version}} 6 h"),
               query('model:confidence:mean7d_before{service=~"$service", model=~"$model", version=~"$version"}', "{{model}} {{version}} week before"),
               runbook="confidence.md#confidenceshift", max=1),
        series("Predictions by label", "A label that grows or vanishes with the same version is other inputs.", "cps",
               query(f"topk(12, sum by (model, label) (rate(inference_predictions_total{{{M}}}{RATE})))", "{{model}} {{label}}"), runbook="confidence.md#confidenceshift"),
        series("Features by what was sent", "Shares of features that were given, left to their default, or missing. A caller that stops sending one shows here first.", "percentunit",
               query(features, "{{model}} {{version}} {{state}}"), runbook="confidence.md#inputqualityshift", max=1, w=6),
        series("Features left to their default", "Which ones, by name: ask the caller whose release it was.", "cps",
               query(f"topk(12, sum by (model, feature) (rate(inference_features_defaulted_total{{{M}}}{RATE})))", "{{model}} {{feature}}"),
               runbook="confidence.md#inputqualityshift", w=6),
        series("Texts cut short", "Share of instances that were longer than the model reads. High: what matters may be behind the cut.", "percentunit",
               query(f"sum by (model) (rate(inference_inputs_truncated_total{{{M}}}{RATE})) / ({counted} > 0)", "{{model}}"),
               runbook="confidence.md#inputqualityshift", w=6),
        series("Outputs that are no numbers", "NaN or infinity out of a run. Any is a fault of the model or inputs far out of range.", "cps",
               rate("inference_non_finite_outputs_total", M, "model"), runbook="confidence.md#nonfiniteoutputs", w=6),
        row("Models"),
        table("What is loaded", "Version, digest, runtime and provider: the same on all instances, but for a roll-out.", "short", f"model_info{{{M}}}"),
        series("Loads", "Loads and those that failed. What served before a failed load serves on.", "short",
               query(f"sum by (model, result) (increase(model_load_total{{{M}}}[1h]))", "{{model}} {{result}}"), runbook="model-load.md#modelloadfailed"),
        series("Time of the last load", "With its warm-up and its golden samples. A roll-out waits for the longest.", "s",
               query(f"max by (model) (model_load_seconds{{{M}}})", "{{model}} load"),
               query(f"max by (model) (model_warmup_seconds{{{M}}})", "{{model}} warm-up")),
        series("Nodes by provider", "Of each graph. On a GPU, cpu above a few is a graph that crosses between both at every run.", "short",
               query(f"max by (model, provider) (model_nodes{{{M}}})", "{{model}} {{provider}}"), runbook="gpu.md#modelpartlyoncpu"),
    ]  # fmt: skip


WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BURN_LINES = [("yellow", 1), (TICKET, 3), ("semi-dark-red", 6), (PAGE, 14.4)]


def burns(kind, selector, budget, legend="{{window}}"):
    """Burn rates by window: the ratio over what the objective allows."""
    return [query(f"slo:{kind}_errors:ratio_rate{window}{{{selector}}} / {budget}", legend.replace("{{window}}", window)) for window in WINDOWS]


def slo():
    ours, models = 'service=~"$service"', 'service=~"$service", model=~"$model"'
    kinds = (("availability", "0.001", "Failed requests", "availability.md#availabilitybudgetburn"),
             ("latency", "0.01", "Slow predictions", "latency.md#latencybudgetburn"))  # fmt: skip
    panels = [
        row("Now"),
        number("Availability budget left", "Share of the 30 days' budget of failed requests. The policy begins at 50 %.", "percentunit",
               f"min(slo:availability_budget_remaining:ratio_30d{{{ours}}})", runbook="availability.md#errorbudgetspent", w=6, **LEFT),
        number("Minutes of outage left", "The same as minutes of full outage, of 43.2 a month.", "m",
               f"min(slo:availability_budget_remaining:minutes_30d{{{ours}}})", runbook="availability.md#errorbudgetspent", w=6),
        number("Latency budget left", "Share of the 30 days' budget of predictions over 0.5 s.", "percentunit",
               f"min(slo:latency_budget_remaining:ratio_30d{{{ours}}})", runbook="availability.md#errorbudgetspent", w=6, **LEFT),
        number("Alerts firing", "Of the service and its models.", "short",
               f'count(ALERTS{{alertstate="firing", {ours}}}) or vector(0)', lines=[(PAGE, 1)], runbook="README.md#runbooks", w=6, decimals=0),
        row("Alerts"),
        series("Alerts firing", "How many of each. Its name is its section in the runbooks.", "short",
               query(f'count by (alertname, severity) (ALERTS{{alertstate="firing", {ours}}})', "{{alertname}} ({{severity}})"),
               runbook="README.md#runbooks", stack=True, w=12, decimals=0),
        series("Alerts pending", "Over their limit, not yet for long enough.", "short",
               query(f'count by (alertname, severity) (ALERTS{{alertstate="pending", {ours}}})', "{{alertname}} ({{severity}})"),
               runbook="README.md#runbooks", stack=True, w=12, decimals=0),
        table("Firing now", "With their labels: which model, instance or device.", "short", f'ALERTS{{alertstate="firing", {ours}}}'),
        row("Service"),
    ]  # fmt: skip
    for kind, budget, what, runbook in kinds:
        allowed = float(budget)
        panels += [
            series(f"{what}: share", f"The indicator of {kind}; the line is what the objective allows over 30 days.", "percentunit",
                   query(f"slo:{kind}_errors:ratio_rate5m{{{ours}}}", "{{service}} 5m"),
                   query(f"slo:{kind}_errors:ratio_rate1h{{{ours}}}", "{{service}} 1h"), lines=[(TICKET, allowed)], runbook=runbook),
            series(f"{what}: burn rates", "How many times too fast the budget goes: 1 spends it in 30 days. Pages at 14.4 (1h and 5m) and 6 (6h and 30m),"
                   " tickets at 3 (1d and 2h) and 1 (3d and 6h).", "short", *burns(kind, ours, budget), lines=BURN_LINES, runbook=runbook),
            series(f"{what}: of how many", "Bad and valid requests a second. Fewer than 10 bad ones in the long window fire nothing.", "reqps",
                   query(f"slo:{kind}_bad:rate5m{{{ours}}}", "{{service}} bad"), query(f"slo:{kind}_valid:rate5m{{{ours}}}", "{{service}} valid"),
                   runbook=runbook),
        ]  # fmt: skip
    panels.append(row("Models"))
    for kind, budget, what, runbook in kinds:
        section = runbook.replace("#", "#model")
        for window, limits in (("1h", "pages above 14.4"), ("6h", "pages above 6"), ("3d", "a ticket above 1")):
            panels.append(
                series(f"{what} of models: burn rate {window}", f"By model; {limits}, with the short window above it too.", "short",
                       query(f"slo:model_{kind}_errors:ratio_rate{window}{{{models}}} / {budget}", "{{model}}"), lines=BURN_LINES, runbook=section)
            )  # fmt: skip
    for kind, _, what, runbook in kinds:
        panels.append(
            series(f"{what} of models: budget left", "Share of the 30 days' budget. Below 0 the model's versions wait.", "percentunit",
                   query(f"slo:model_{kind}_budget_remaining:ratio_30d{{{models}}}", "{{model}}"), runbook="availability.md#errorbudgetspent",
                   w=12, min=None)
        )  # fmt: skip
    return panels


def gpu():
    d = f'{S}, device=~"$device"'
    name = "{{instance}} {{device}}"
    return [
        row("Devices"),
        table("Devices", "What serves, with its driver and the newest CUDA that it runs.", "short", f"gpu_info{{{d}}}"),
        series("Busy", "Share of the time in which some kernel ran. 1 says never idle, not full: see the queue and the power.", "percentunit",
               query(f"gpu_utilization_ratio{{{d}}}", name), max=1),
        series("Memory busy", "Share of the time in which memory was read or written. High with few kernels: bound by memory, larger batches help little.", "percentunit",
               query(f"gpu_memory_utilization_ratio{{{d}}}", name), max=1),
        series("Time in runs", "Seconds of runs a second, by the server's own account, all sessions together.", "s",
               query(f'sum by (instance, device) (rate(inference_duration_seconds_sum{{{d}}}{RATE}))', name)),
        row("Memory"),
        series("Memory", "In use by all processes. Above 95 % a batch may find none: bound the arena, fewer sessions, fewer models.", "percentunit",
               query(f"gpu_memory_used_bytes{{{d}}} / (gpu_memory_total_bytes{{{d}}} > 0)", name), runbook="gpu.md#gpumemorynearlyfull",
               lines=[(TICKET, 0.95)], max=1),
        series("Memory of this process", "Grows with the largest batch and stays. The rest of the device's is another process's.", "bytes",
               query(f"gpu_process_memory_bytes{{{d}}}", name), runbook="gpu.md#gpumemorynearlyfull"),
        series("Runs without memory", "Failed for want of it: each costs its caller a 503.", "cps",
               query(f'sum by (model, kind) (rate(inference_errors_total{{{S}, kind=~"memory|device"}}{RATE}))', "{{model}} {{kind}}"), runbook="gpu.md#gpumemorynearlyfull"),
        row("Power, heat, clocks"),
        series("Power of the limit", "At 1 a busy device works by design.", "percentunit",
               query(f"gpu_power_watts{{{d}}} / (gpu_power_limit_watts{{{d}}} > 0)", name), runbook="gpu.md#gputhrottled"),
        series("Power", "Drawn now. Idle devices that draw much hold their clocks up.", "watt", query(f"gpu_power_watts{{{d}}}", name)),
        series("Energy", "Used, a second: the same as power, exact over scrapes that are far apart.", "watt",
               query(f"rate(gpu_energy_joules_total{{{d}}}{RATE})", name)),
        series("Temperature", "Of the chip. Where it rises and clocks fall, see to the cooling.", "celsius",
               query(f"gpu_temperature_celsius{{{d}}}", name), runbook="gpu.md#gputhrottled"),
        series("Clock", "Of the processors. Lower than before at the same load: throttled, or set by hand.", "hertz",
               query(f"gpu_sm_clock_hertz{{{d}}}", name), runbook="gpu.md#gputhrottled"),
        series("Throttled", "Share of 15 minutes, by reason. thermal is a fault of the machine, power is by design, other is mostly set by hand.", "percentunit",
               query(f"avg_over_time(gpu_throttled{{{d}}}[15m])", name + " {{reason}}"), runbook="gpu.md#gputhrottled", max=1),
        row("Faults"),
        series("Critical errors (Xid)", "In 15 minutes. Those that mean a lost device take its models out of service, and they load again.", "short",
               query(f"increase(gpu_xid_errors_total{{{d}}}[15m])", name), runbook="gpu.md#gpucriticalerror", lines=[(PAGE, 1)]),
        series("Uncorrected memory errors", "Since the driver was loaded. Any that grows: have the card replaced.", "short",
               query(f"gpu_ecc_errors_total{{{d}}}", name), runbook="gpu.md#gpucriticalerror"),
        series("Nodes by provider", "Nodes of graphs on the CPU beside a GPU cross between both at every run.", "short",
               query(f"sum by (model, provider) (model_nodes{{{S}}})", "{{model}} {{provider}}"), runbook="gpu.md#modelpartlyoncpu"),
    ]  # fmt: skip


LOADS_OF_SERVICE = moments("model loads", f'model_loaded_timestamp_seconds{{{OURS}, service=~"$service"}} * 1000', "{{model}} {{version}} loaded", "blue")


def all_boards():
    """File names and dashboards."""
    inside = [SERVICE, INSTANCE]
    yield "service", dashboard("service", "Inference: service", "Requests, connections, process and telemetry of the server.", inside, [LOADS, STARTS], service())
    yield "model", dashboard("model", "Inference: models", "Queue, batches, runs and quality of each model.", [*inside, MODEL, VERSION], [LOADS, STARTS], model())
    yield "slo", dashboard("slo", "Inference: SLOs", "Indicators, error budgets, burn rates and alerts: docs/slo.md.", [SERVICE, MODEL], [LOADS_OF_SERVICE], slo())
    yield "gpu", dashboard("gpu", "Inference: GPUs", "NVIDIA devices as their driver tells them.", [SERVICE, WITH_GPU, DEVICE], [LOADS], gpu())


def main(write):
    found, panels = [], 0
    for name, board in all_boards():
        file, text = FOLDER / f"{name}.json", written(board)
        found += [f"{file}: {it}" for it in problems(board)]
        panels += sum(it["type"] != "row" for it in board["panels"])
        if write:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            found.append(f"{file} is not what dashboards.py makes: run 'python3 scripts/observability/dashboards.py --write'")
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{panels} panels on dashboards")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
