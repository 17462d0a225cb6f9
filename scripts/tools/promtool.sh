#!/usr/bin/env bash
# usage: promtool.sh
# Provides promtool in the cache, beside Prometheus's server, and prints its path.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/prometheus.sh" promtool
