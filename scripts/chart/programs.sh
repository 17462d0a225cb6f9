# shellcheck shell=bash
# The programs that render the chart. Sourced by check.sh and make.sh, at the root of the repository.

chart=helm/ml-inference-api
HELM=$(scripts/tools/program.sh helm)
HELM_DOCS=$(scripts/tools/program.sh helm-docs)
python=$(scripts/tools/environment.sh chart)
export HELM HELM_DOCS PYTHONDONTWRITEBYTECODE=1
