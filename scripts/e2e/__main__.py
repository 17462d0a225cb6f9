"""Runs scenarios on a real Kubernetes control plane; the runner is scripts/e2e/run.sh, which says what is shown here."""

import argparse
import signal
import sys
import time
import traceback

from .cluster import Cluster
from .failure import Failure
from .scenario import BY_NAME, load

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parsed(scenarios):
    """The options."""
    mark = {name: " (only by its name)" for name in BY_NAME}
    listing = "\n".join(f"  {name:18} {it.__doc__.splitlines()[0]}{mark.get(name, '')}" for name, it in scenarios.items())
    parser = argparse.ArgumentParser(
        prog="make e2e", usage="make e2e ARGS='[--keep] [SCENARIO...]'", epilog=f"scenarios:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="after the scenarios, keep the cluster until Ctrl-C, to look at it")
    parser.add_argument("scenario", nargs="*", help="those to run; without any all that need not be named")
    options = parser.parse_args()
    if unknown := [name for name in options.scenario if name not in scenarios]:
        parser.error(f"there is no scenario {' or '.join(unknown)}, but: {', '.join(scenarios)}")
    return options


def tell(text):
    """One line of progress."""
    print(f"e2e: {text}", flush=True)


def run_one(cluster, name, function, keep):
    """Whether a scenario passed; says so, and why not. What it leaves is removed, unless it is to be kept."""
    begun = time.monotonic()
    try:
        function(cluster)
    except Exception as error:
        tell(f"{name}: FAILED after {time.monotonic() - begun:.1f} s")
        print(error if isinstance(error, Failure) else traceback.format_exc(), flush=True)
        print(f"\nthe cluster at that moment:\n{cluster.state()}\n", flush=True)
        if not keep:
            cluster.clean()
        return False
    tell(f"{name}: passed in {time.monotonic() - begun:.1f} s")
    return True


def run_all(cluster, chosen, keep):
    """The names of the scenarios that failed."""
    begun = time.monotonic()
    tell("starting etcd, API server, controllers, scheduler and nodes")
    with cluster:
        tell(f"the control plane is ready after {time.monotonic() - begun:.1f} s")
        failed = [name for name, function in chosen.items() if not run_one(cluster, name, function, keep)]
        if keep:
            tell(f"look at it with KUBECONFIG={cluster.kubeconfig}; Ctrl-C ends it")
            signal.pause()
    return failed


def end(number, _):
    """Ends the lane on a signal, Ctrl-C among them, so that what it started ends too. Only the first counts."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    """Runs what was asked for; the logs stay where something failed."""
    for ending in ENDINGS:
        signal.signal(ending, end)
    known = load()
    options = parsed(known)
    begun, cluster = time.monotonic(), Cluster()
    try:
        failed = run_all(cluster, {name: known[name] for name in options.scenario or (it for it in known if it not in BY_NAME)}, options.keep)
    except Failure as failure:
        print(f"error: {failure}", flush=True)
        failed = ["the control plane"]
    except SystemExit:
        tell("interrupted; everything that was started has ended")
        cluster.forget()
        raise
    if failed:
        tell(f"FAILED: {', '.join(failed)}; the logs are in {cluster.logs}")
        sys.exit(1)
    cluster.forget()
    tell(f"all passed in {time.monotonic() - begun:.0f} s")
    if not options.scenario:
        tell(f"not run, since they run only by name: {', '.join(sorted(BY_NAME))} (docs/kubernetes.md says why)")


if __name__ == "__main__":
    main()
