"""The safe remedies of docs/runbooks: each looks, says what it would do, and does it only with --apply."""

import argparse
import contextlib
import re
import sys
import time

from . import admin, diagnostics, models, release, workload
from .kube import Kube
from .plan import Failed, Refused

FAILED, REFUSED = 1, 3
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text):
    """A duration such as 90s or 10m."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    value = int(found[1]) * UNITS[found[2]] if found else 0
    if not 1 <= value <= models.MOST_SECONDS:
        raise argparse.ArgumentTypeError("a time such as 90s or 10m, at most an hour")
    return value


def share(text):
    """A share from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a share from 0 to 1")
    return value


def positive(text):
    """A number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a number of at least 1")
    return value


def in_cluster(one):
    """The options that say where the release is."""
    one.add_argument("-n", "--namespace", default="production")
    one.add_argument("--release", default="ml-inference-api")


def at_admin(one, default=("localhost:8082",)):
    """The options that say which instances are meant."""
    one.add_argument("--admin", nargs="+", default=list(default), metavar="HOST:PORT", help="admin listeners, one for each instance")
    one.add_argument("--pods", action="store_true", help="those of every pod of the release, by kubectl port-forward")
    one.add_argument("--token-file", help="file with the admin token, where they ask for one")


def parser():
    """All names with their options."""
    top = argparse.ArgumentParser(prog="run.sh", description=__doc__, epilog="exit code: 0 done or shown, 1 failed, 2 wrong options, 3 refused")
    names = top.add_subparsers(dest="name", required=True, metavar="NAME")

    def add(name, function, apply=True):
        one = names.add_parser(name, help=function.__doc__.splitlines()[0], description=function.__doc__)
        one.set_defaults(function=function)
        if apply:
            one.add_argument("--apply", action="store_true", help="do it; without this it is only shown")
        return one

    restart = add("restart-pod", workload.restart_pod)
    restart.add_argument("pod")
    scale = add("scale-out", workload.scale_out)
    scale.add_argument("--by", type=positive, default=2, help="so many more than there are (2)")
    scale.add_argument("--to", type=positive, help="so many in all")
    node = add("clear-node", workload.clear_node)
    node.add_argument("node")
    node.add_argument("--timeout", type=seconds, default=600, help="how long the drain may take (10m)")
    back = add("roll-back", release.roll_back)
    back.add_argument("--revision", type=positive, help="to this one; the newest that went well")
    back.add_argument("--timeout", default="5m", help="how long it may take (5m)")
    keep = add("diagnostics", diagnostics.collect)
    keep.add_argument("--to", default=time.strftime("diagnostics-%Y%m%dT%H%M%SZ", time.gmtime()), metavar="FOLDER")
    keep.add_argument("--pod", help="this one; all of the release")
    keep.add_argument("--no-cluster", action="store_true", help="ask only what --admin and --log name")
    keep.add_argument("--log", nargs="+", default=[], metavar="FILE", help="logs of processes outside Kubernetes")
    at_admin(keep, default=())
    for name, function in (("load-model", models.load_model), ("unload-model", models.unload_model)):
        one = add(name, function)
        one.add_argument("model")
        at_admin(one)
    tune = add("telemetry", models.telemetry)
    tune.add_argument("--sampling", type=share, help="share of the traces that no caller has decided on")
    tune.add_argument("--log-level", help="as log.level: info,ml_inference_api=debug")
    tune.add_argument("--for", type=seconds, default=600, dest="seconds", help="how long (10m)")
    at_admin(tune)
    end = add("certificate", models.certificate, apply=False)
    end.add_argument("--at", nargs="+", default=[], metavar="HOST:PORT", help="public addresses, to see which certificate they show")
    end.add_argument("--file", help="tls.crt, to compare it with")
    at_admin(end)
    for one in names.choices.values():
        in_cluster(one)
    return top


def carried_out(options, stack):
    """Shows, or does, what was asked for; the exit code."""
    kube = Kube(options.namespace, options.release)
    if options.name == "certificate":
        problems = models.certificate(admin.listeners(stack, kube, options), options)
        for problem in problems:
            print(f"problem: {problem}", file=sys.stderr)
        return FAILED if problems else 0
    if options.function is diagnostics.collect:
        missing = []
        reached = admin.listeners(stack, kube, options, missing)
        plan = diagnostics.collect(None if options.no_cluster else kube, reached, missing, options)
    elif "admin" in options:
        plan = options.function(admin.listeners(stack, kube, options), options)
    else:
        plan = options.function(kube, options)
    plan.tell()
    if not options.apply:
        print("\nNothing was done. --apply does it.")
        return 0
    plan.carry_out()
    return 0


def main():
    """Runs one of them."""
    options = parser().parse_args()
    try:
        with contextlib.ExitStack() as stack:
            return carried_out(options, stack)
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return REFUSED
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
