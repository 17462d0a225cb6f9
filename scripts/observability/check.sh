#!/usr/bin/env bash
# usage: check.sh
# Checks deploy/observability: promtool takes every rule file and every test passes; alerts, tests, runbooks and
# docs/telemetry.md agree with each other (check.py).
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

promtool=$(scripts/tools/promtool.sh)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# check WHAT COMMAND...: run it, show what it says only where it fails.
check() {
    local what=$1
    shift
    "$@" >"$folder/said" 2>&1 || {
        cat "$folder/said" >&2
        fail "$what (promtool's reasons are above)"
    }
}

check "a rule file of deploy/observability/rules is wrong" "$promtool" check rules deploy/observability/rules/*.yml
# The queries of the runbooks are written into a rule file of their own, so that promtool reads them too.
python3 scripts/observability/check.py "$folder/runbooks.yml"
check "a query of docs/runbooks or docs/slo.md is not PromQL" "$promtool" check rules "$folder/runbooks.yml"
check "a test of deploy/observability/tests fails" "$promtool" test rules deploy/observability/tests/*.yml
echo "alerts, their tests and their runbooks are right"
