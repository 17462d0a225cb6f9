#!/usr/bin/env python3
"""How many replicas and nodes a load needs, and what a million predictions cost, with the arithmetic shown.

The one number that must be measured is --per-replica: predictions a second at which one replica, with its cores and this model, is
saturated (ml-inference-api bench). docs/capacity.md explains each term.
"""

import argparse
import sys
from math import ceil

SECONDS_A_MONTH = 30 * 24 * 3600
MILLION = 1_000_000
# Of a node's cores and memory, what the system, the kubelet and DaemonSets leave.
LEFT = 0.9


def parsed(arguments):
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rate", type=float, required=True, help="predictions a second at the peak")
    add("--average", type=float, help="predictions a second over the month; 40 %% of the peak")
    add("--per-replica", type=float, required=True, help="predictions a second at which one replica is saturated")
    add("--within-p99", type=float, help="predictions a second up to which its p99 was within the target (bench --rate), where that is less")
    add("--utilisation", type=float, default=0.7, help="share of that to plan for (0.7)")
    add("--spare", type=int, default=1, help="replicas that may be away: a restart, a roll-out, a node (1)")
    add("--zones", type=int, default=3, help="zones over which replicas are spread; 1: the loss of a zone is not planned for (3)")
    add("--fewest", type=int, default=3, help="autoscaling.minReplicas (3)")
    add("--cores", type=float, default=2, help="cores of a replica: its CPU limit, or what it may use (2)")
    add("--memory", type=float, default=2, help="GiB of a replica: its limit (2)")
    add("--gpus", type=int, default=0, help="GPUs, or slices, of a replica (0)")
    add("--node-cores", type=float, default=4, help="cores of a node (4: m5.xlarge)")
    add("--node-memory", type=float, default=16, help="GiB of a node (16: m5.xlarge)")
    add("--node-gpus", type=int, default=0, help="GPUs, or slices, of a node (0)")
    add("--price", type=float, help="price of a node and hour; without it the result has P in it")
    add("--currency", default="USD")
    options = parser.parse_args(arguments)
    for name in ("rate", "average", "per_replica", "within_p99", "cores", "memory", "node_cores", "node_memory", "price"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be more than 0")
    if not 0 < options.utilisation < 1:
        parser.error("--utilisation must be between 0 and 1: at 1 the queue never ends")
    if options.zones < 1 or options.spare < 0:
        parser.error("--zones must be at least 1, --spare at least 0")
    return options


def number(value):
    """A number as people write it: two decimals where it has them."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def replicas(options):
    """How many, with a line for each step."""
    usable = options.per_replica * options.utilisation
    busy = ceil(options.rate / usable)
    yield "usable of a replica", f"{number(options.per_replica)}/s x {options.utilisation:g}", f"{number(usable)}/s", usable
    if options.within_p99 is not None:
        usable, other = min(usable, options.within_p99), usable
        yield "and within the p99", f"min({number(other)}, {number(options.within_p99)})", f"{number(usable)}/s", usable
    yield "for the peak", f"ceil({number(options.rate)} / {number(usable)})", f"{busy}", busy
    away = busy + options.spare
    yield f"with {options.spare} away", f"{busy} + {options.spare}", f"{away}", away
    wanted = away
    if options.zones > 1:
        need = ceil(options.rate / options.per_replica)
        while wanted - ceil(wanted / options.zones) < need:
            wanted += 1
        left = f"{wanted} - ceil({wanted} / {options.zones}) >= ceil({number(options.rate)} / {number(options.per_replica)}) = {need}"
        yield f"with one of {options.zones} zones lost", left, f"{wanted}", wanted
    yield "not fewer than the least", f"max({wanted}, {options.fewest})", f"{max(wanted, options.fewest)}", max(wanted, options.fewest)


def per_node(options):
    """How many replicas fit on a node, and by what."""
    fits = {
        "cores": (options.node_cores * LEFT, options.cores), "memory": (options.node_memory * LEFT, options.memory),
    } | ({"GPUs": (options.node_gpus, options.gpus)} if options.gpus else {})  # fmt: skip
    counts = {name: int(there / wanted) for name, (there, wanted) in fits.items()}
    bound = min(counts, key=counts.get)
    there, wanted = fits[bound]
    return counts[bound], f"floor({there:.4g} / {wanted:g}), by {bound}"


def table(options):
    """The lines of the table: what, arithmetic, result; and nothing where a replica does not fit."""
    rows = [(what, how, text) for what, how, text, _ in replicas(options)]
    count = list(replicas(options))[-1][3]
    fit, how = per_node(options)
    if not fit:
        raise SystemExit(f"error: a replica does not fit on such a node ({how}): take a larger node or a smaller replica")
    nodes = max(ceil(count / fit), options.zones)
    rows += [("replicas on a node", how, f"{fit}"), ("nodes", f"max(ceil({count} / {fit}), {options.zones} zones)", f"{nodes}")]
    load = options.rate / (count * options.per_replica)
    rows.append(("load of a replica at the peak", f"{number(options.rate)} / ({count} x {number(options.per_replica)})", f"{load:.0%}"))
    average = options.average or 0.4 * options.rate
    hours, monthly = SECONDS_A_MONTH / 3600, average * SECONDS_A_MONTH / MILLION
    rows.append(("million predictions in 30 days", f"{number(average)} x {SECONDS_A_MONTH:,} / 10^6", number(monthly)))
    share = nodes * hours / monthly
    rows.append(("node hours for a million", f"{nodes} x {hours:g} / {number(monthly)}", f"{share:.3g}"))
    if options.price is None:
        rows.append(("cost of a million", "node hours x P", f"{share:.3g} P"))
    else:
        rows.append(("cost of a million", f"{share:.3g} x {options.price:g} {options.currency}", f"{share * options.price:.3g} {options.currency}"))
    return rows


def main(arguments=None):
    """Prints the table."""
    rows = table(parsed(arguments))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for what, how, result in rows:
        print(f"{what:{widths[0]}}  {how:{widths[1]}}  = {result}")


if __name__ == "__main__":
    sys.exit(main())
