#!/usr/bin/env bash
# usage: prometheus-adapter.sh
# Builds prometheus-adapter, which serves Prometheus's series as custom metrics of Kubernetes, into the cache and prints
# its path.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/program.sh" prometheus-adapter
