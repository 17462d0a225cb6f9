#!/usr/bin/env bash
# usage: run.sh [--keep] [SCENARIO...]
# `make e2e`: the chart on a real Kubernetes control plane, on loopback and without Docker: etcd, kube-apiserver,
# kube-controller-manager and kube-scheduler are the real programs; kwok takes the place of nodes and lets pods become ready.
# Programs are pinned and built once into the cache (scripts/tools/). --help lists the scenarios.
#
# Pods' logs and ports are what a scenario puts behind all of them, one real server (nodes.Behind).
#
# What this cannot show, since nothing runs in the pods and no packet flows: whether a CNI enforces the NetworkPolicy; that
# requests survive a rolling update, a drain or a shift of a gateway's weights (endpoints that lag behind); image pulls,
# volumes, sidecars that are injected; GPUs handed out by NVIDIA's device plugin or DRA driver (the scheduler counts what
# the fake nodes claim to have); load balancers, gateways and their certificates. Our binary as the pods, under load, has
# its place in Cluster._start_kwok: what plays the nodes there is one process, which another that runs the containers'
# programs can replace for nodes without kwok's annotation.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
command -v openssl >/dev/null || fail "openssl is not installed: install it (Debian: openssl), then run this again"
python=$(scripts/tools/environment.sh chart)

export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=scripts exec "$python" -m e2e "$@"
