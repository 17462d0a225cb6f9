"""The registry of scenarios: functions of the modules under scenarios/, which take the running Cluster."""

import importlib
import pkgutil

SCENARIOS = {}
# Those that run only when they are named: they need a program that not every registry gives.
BY_NAME = set()


def scenario(function):
    """Registers a scenario under its function's name, with dashes. Its docstring begins with one line on what it shows."""
    name = function.__name__.replace("_", "-")
    if name in SCENARIOS:
        raise ValueError(f"two scenarios are named {name}")
    SCENARIOS[name] = function
    return function


def by_name(function):
    """Registers one that runs only when it is named."""
    BY_NAME.add(scenario(function).__name__.replace("_", "-"))
    return function


def load():
    """All scenarios by name, in the order of their modules and lines."""
    from . import scenarios

    for module in sorted(it.name for it in pkgutil.iter_modules(scenarios.__path__)):
        importlib.import_module(f"{scenarios.__name__}.{module}")
    return SCENARIOS
