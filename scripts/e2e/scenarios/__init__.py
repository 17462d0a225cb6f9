"""Scenarios by theme. Each takes namespaces of its own, so that their order does not matter."""
