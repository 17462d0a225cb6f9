"""Remedies for models, telemetry and certificates, at the admin listener of each instance that is named."""

import contextlib
import hashlib
import signal
import ssl
import time
from pathlib import Path

from .plan import Failed, Plan, Refused

MOST_SECONDS = 3600
DAY = 86400
# Tickets begin at this many days before the end: docs/runbooks/certificate.md.
SOON_DAYS = 14


def load_model(admins, options):
    """read a model's folder again, and take it into service in one step if it is good"""
    plan = Plan(f"load-model {options.model}")
    for admin in admins:
        if any(it["name"] == options.model and it["state"] in ("LOADING", "UNLOADING") for it in admin.index()):
            raise Refused(f"{options.model} is being changed at {admin.label} already: {admin.states(options.model)}. Wait for that")
        plan.fact(f"{admin.label}: {options.model}: {admin.states(options.model)}")
        path = f"/v2/repository/models/{options.model}/load"
        plan.act(f"POST {path} at {admin.label}", lambda admin=admin, path=path: changed(admin, path, options.model))
    plan.fact("what serves goes on serving until the new files are good: a load that fails changes nothing, and ends this")
    plan.fact("a load needs the memory of the new model beside the old one")
    plan.over = [f"curl -s -X POST http://ADMIN/v2/repository/index    # {options.model} is READY, at each of them"]
    plan.back = ["put the files before these back, by a rename, and load-model once more"]
    return plan


def unload_model(admins, options):
    """take a model out of service: its callers get 404"""
    plan = Plan(f"unload-model {options.model}")
    for admin in admins:
        ready = {it["name"] for it in admin.index() if it["state"] == "READY"}
        if options.model not in ready:
            raise Refused(f"{options.model} does not serve at {admin.label}: {admin.states(options.model)}; there serve: {', '.join(sorted(ready)) or 'none'}")
        if ready == {options.model}:
            raise Refused(f"{options.model} is the last model at {admin.label}: without it the instance is not ready, and gets no requests at all. Take the instance out in its place (restart-pod), or roll back")
        plan.fact(f"{admin.label}: {options.model}: {admin.states(options.model)}; beside it: {', '.join(sorted(ready - {options.model}))}")
        path = f"/v2/repository/models/{options.model}/unload"
        plan.act(f"POST {path} at {admin.label}", lambda admin=admin, path=path: changed(admin, path, options.model))
    plan.fact("a restart loads it again: this lasts as long as the process")
    plan.over = [f"curl -s -X POST http://ADMIN/v2/repository/index    # {options.model} is UNAVAILABLE, unloaded, at each of them"]
    plan.back = ["load-model for the same instances"]
    return plan


def changed(admin, path, model):
    """Changes a model, and says what it is then."""
    admin.text("POST", path)
    return f"{admin.label}: {model}: {admin.states(model)}"


def telemetry(admins, options):
    """sample more, or log more, for some minutes, then put it back"""
    wanted = {}
    if options.sampling is not None:
        wanted["sampling_ratio"] = options.sampling
    if options.log_level:
        wanted["log_level"] = options.log_level
    if not wanted:
        raise Refused("nothing to change: say --sampling or --log-level")
    plan, before = Plan(f"telemetry {wanted} for {options.seconds} s"), {}
    for admin in admins:
        now = admin.ask("GET", "/telemetry")
        if "sampling_ratio" in wanted and now["sampling_ratio"] is None:
            raise Refused(f"{admin.label} has no tracing (OTEL_EXPORTER_OTLP_ENDPOINT is not set): there is nothing to sample")
        before[admin] = {key: now[key] for key in wanted}
        plan.fact(f"{admin.label}: {now}")
    if options.sampling and options.sampling > 0.1:
        plan.fact("each exported span costs CPU here and at the collector: docs/performance.md#tracing")
    plan.act(
        f"PATCH /telemetry {wanted} at {', '.join(it.label for it in admins)}, for {options.seconds} s or until Ctrl-C, then back",
        lambda: for_a_while(before, wanted, options.seconds),
    )
    plan.over = ["curl -s http://ADMIN/telemetry"]
    return plan


def for_a_while(before, wanted, seconds):
    """Changes all, waits, and sets what was before: also when it is interrupted, or one of them refuses."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        for admin in before:
            admin.ask("PATCH", "/telemetry", wanted)
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(seconds)
    finally:
        left = [it for it in map(put_back, before, before.values()) if it]
    if left:
        raise Failed("; ".join(left))
    return "put back: " + "; ".join(f"{admin.label} {admin.ask('GET', '/telemetry')}" for admin in before)


def put_back(admin, values):
    """What kept one instance from being set back; an instance that is gone needs nothing."""
    try:
        admin.ask("PATCH", "/telemetry", values)
    except Failed as failure:
        return f"not put back, unless it was started anew: {failure}"


def certificate(admins, options):
    """how long the certificate in use lasts, and whether it is the one on the disk; changes nothing"""
    problems = []
    for admin in admins:
        ends = admin.metrics("tls_cert_expiry_timestamp_seconds")
        if not ends:
            raise Refused(f"{admin.label} serves no TLS: it has no tls_cert_expiry_timestamp_seconds")
        for labels, end in ends:
            days = (end - time.time()) / DAY
            print(f"{admin.label}: {labels}: ends {time.strftime('%Y-%m-%d %H:%M', time.gmtime(end))} UTC, in {days:.1f} days")
            if days < SOON_DAYS:
                problems.append(f"{admin.label}: the certificate in use ends in {days:.1f} days")
        bad = sum(count for labels, count in admin.metrics("secret_reload_total") if 'secret="tls"' in labels and 'result="error"' in labels)
        print(f"{admin.label}: new files that could not be used, looked at since the start: {bad:.0f}")
    for address in options.at:
        served = wire(address)
        print(f"{address}: serves the certificate {served[:16]}")
        if options.file and served != on_disk(options.file):
            problems.append(f"{address} serves another certificate than {options.file} has: the log says why it could not be used, or it is mounted by subPath")
    return problems


def wire(address):
    """The digest of the certificate that an address shows."""
    host, _, port = address.rpartition(":")
    try:
        return digest(ssl.get_server_certificate((host, int(port)), timeout=10))
    except (OSError, ValueError) as error:
        raise Failed(f"{address} shows no certificate: {error}") from None


def on_disk(path):
    """The digest of the first certificate of a file."""
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in text or end not in text:
        raise Failed(f"{path} has no certificate")
    return digest(begin + text.split(begin, 1)[1].split(end, 1)[0] + end)


def digest(pem):
    """SHA-256 of a certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
