#!/usr/bin/env bash
# usage: check.sh BINARY [--coverage FILE]
# Checks pipelines/ with BINARY, our server: ruff, hadolint, the Argo Workflow against the definitions of Argo and against the
# scripts that it runs, and the tests, which walk its DAG against a real MLflow server. --coverage FILE writes what the tests
# cover as Cobertura's XML.
set -euo pipefail
shopt -s inherit_errexit

usage() { echo "usage: check.sh BINARY [--coverage FILE]" >&2; exit 64; }
[[ $# -eq 1 || ($# -eq 3 && $2 == --coverage && $3 != -*) ]] || usage
[[ $1 != -* ]] || usage
BINARY=$(realpath -- "$1")
COVERAGE=
[[ $# -eq 1 ]] || COVERAGE=$(realpath -m -- "$3")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/check.sh
[[ -x $BINARY ]] || fail "$1 is not there: run 'make build', or name the server's program"
python=$(scripts/pipelines/environment.sh)
hadolint=$(scripts/tools/environment.sh hadolint hadolint)
HELM=$(scripts/tools/program.sh helm)
KUBECONFORM=$(scripts/tools/program.sh kubeconform)
SCHEMAS=$(scripts/tools/schemas.sh)
export HELM KUBECONFORM SCHEMAS PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true

# In that folder, since ruff takes the paths of a configuration that it is given from where it is started.
lint() (cd pipelines && "$python" -m ruff check --no-cache --config pyproject.toml . ../scripts/pipelines)
check "ruff complains of pipelines/ or scripts/pipelines/" lint
check "hadolint complains of pipelines/Dockerfile" "$hadolint" pipelines/Dockerfile
echo "ruff and hadolint have nothing to say of pipelines/"
"$python" scripts/pipelines/argo.py || fail "pipelines/argo is not right: the reasons are above"
check "MLflow does not run as deploy/compose.yaml starts it" "$python" scripts/compose/mlflow.py "$(dirname "$python")/mlflow"
echo "MLflow runs with the options of deploy/compose.yaml"
options=()
[[ -z $COVERAGE ]] || options=(--cov --cov-config=pyproject.toml "--cov-report=xml:$COVERAGE" --cov-report=term)
cd pipelines
export ML_INFERENCE_API=$BINARY COVERAGE_FILE=$CHECK_FOLDER/coverage
"$python" -m pytest --quiet "${options[@]}" || fail "a test of pipelines/tests fails (above)"
