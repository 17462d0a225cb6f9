"""Whether a candidate may be promoted: thresholds, and every reason why not. No I/O, so that each rule is tested alone."""

from dataclasses import asdict, dataclass

from .command import StepError


@dataclass(frozen=True)
class Thresholds:
    """What is asked of a candidate. The defaults are explained in pipelines/README.md."""

    # Floors hold for every model: a chain of small allowed drops must not lead below them.
    min_f1: float = 0.55
    min_average_precision: float = 0.65
    # Beside the champion, on the same rows.
    max_f1_drop: float = 0.01
    max_average_precision_drop: float = 0.01
    # One row in the graph. The slack is for what a busy machine adds to the microseconds of a forest.
    max_latency_ratio: float = 1.5
    latency_slack_us: float = 50.0
    # Between the graph and scikit-learn, for a score; labels must be the same.
    max_disagreement: float = 1e-5

    def __post_init__(self):
        wrong = [name for name, value in asdict(self).items() if not value >= 0]
        if wrong:
            raise StepError(f"the threshold {wrong[0]} is {getattr(self, wrong[0])}: expected a number of at least 0")


def _floors(now, limits):
    for name, least in (("f1", limits.min_f1), ("average_precision", limits.min_average_precision)):
        if not now[name] >= least:
            yield f"{name} is {now[name]:.4f}, below the floor of {least:g}"


def _beside(now, then, limits):
    """Compares with the champion's figures of the same rows."""
    for name, most in (("f1", limits.max_f1_drop), ("average_precision", limits.max_average_precision_drop)):
        drop = then[name] - now[name]
        if not drop <= most + 1e-9:  # figures have four digits: a drop of just the limit is none
            yield f"{name} is {now[name]:.4f} and the champion's {then[name]:.4f}: a drop of {drop:.4f}, more than {most:g}"
    most = then["latency_us"] * limits.max_latency_ratio + limits.latency_slack_us
    if not now["latency_us"] <= most:
        yield (
            f"one row takes {now['latency_us']:.0f} us and the champion {then['latency_us']:.0f} us: "
            f"more than {limits.max_latency_ratio:g} times as long and {limits.latency_slack_us:g} us"
        )


def reasons(candidate, champion, limits):
    """Every reason against the candidate; none: it passes. Figures that are no numbers pass nothing."""
    found = list(_floors(candidate, limits))
    if champion:
        found += _beside(candidate, champion, limits)
    if not candidate["disagreement"] <= limits.max_disagreement:
        found.append(f"the graph's scores differ from scikit-learn's by {candidate['disagreement']:.1e}, more than {limits.max_disagreement:g}")
    if candidate["other_labels"]:
        found.append(f"the graph gives {candidate['other_labels']} of {candidate['rows']} test rows another label than scikit-learn")
    return found
