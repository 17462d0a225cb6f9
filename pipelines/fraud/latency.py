"""How long one row takes in a graph."""

import statistics
import time

RUNS = 1000


def medians(graphs, rows, runs=RUNS):
    """Microseconds of the median run of one row, by graph. The graphs take turns, so that a machine that is busy for a while
    is busy for each of them."""
    taken = [[] for _ in graphs]
    for graph in graphs:
        for at in range(20):
            graph.run(rows[at % len(rows)][None])
    for at in range(runs):
        row = rows[at % len(rows)][None]
        for own, graph in zip(taken, graphs, strict=True):
            begun = time.perf_counter_ns()
            graph.run(row)
            own.append(time.perf_counter_ns() - begun)
    return [round(statistics.median(own) / 1000, 1) for own in taken]
