#!/usr/bin/env bash
# usage: check-schemas.sh
# Holds the JSON schemas that manifests are checked with against objects that are right and objects that are not.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
schemas=$(scripts/tools/schemas.sh)
kubeconform=$(scripts/tools/program.sh kubeconform)
python=$(scripts/tools/environment.sh chart)
exec "$python" scripts/chart/check_schemas.py "$kubeconform" "$schemas"
