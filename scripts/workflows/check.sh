#!/usr/bin/env bash
# usage: check.sh
# Checks .github/workflows without GitHub: actionlint with shellcheck, zizmor, the project's own rules (each shown to fail on a
# mistake), and the commands of the steps that run anywhere, run for real: the proposal of an image in a git repository, the
# packing of a release, its notes. docs/delivery.md says which steps were run where.
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 0 ]] || { echo "usage: check.sh" >&2; exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/check.sh
export PYTHONDONTWRITEBYTECODE=1

ACTIONLINT=$(scripts/tools/program.sh actionlint)
export ACTIONLINT
# The proofs run in an environment of their own, in which nothing is built.
scripts/tools/program.sh helm >/dev/null
python=$(scripts/tools/environment.sh workflows)
tools=${python%/*}

shellcheck=$tools/shellcheck
if [[ ! -x $shellcheck ]]; then
    say "shellcheck's wheel is for x86_64 alone: on this $(uname -m) neither the steps' scripts nor those that they call pass through it"
    shellcheck=
fi
check "actionlint finds a fault" "$ACTIONLINT" -no-color -shellcheck="$shellcheck" -pyflakes=
if [[ -n $shellcheck ]]; then
    mapfile -t scripts < <(find scripts/delivery scripts/release scripts/workflows scripts/coverage -name '*.sh' | sort)
    check "shellcheck finds a fault" "$shellcheck" --external-sources "${scripts[@]}"
    echo "actionlint and shellcheck take the workflows, and shellcheck the ${#scripts[@]} scripts that they call"
else
    echo "actionlint takes the workflows (without shellcheck)"
fi
check "zizmor finds a fault" "$tools/zizmor" --offline --strict-collection --no-progress --quiet --config .github/zizmor.yml .github
echo "zizmor takes them"
for script in check mutate lint_mutate prove; do
    "$python" "scripts/workflows/$script.py" || fail "the workflows are not right: scripts/workflows/$script.py says above what is wrong"
done
