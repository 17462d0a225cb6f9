#!/usr/bin/env bash
# usage: check.sh [--providers]
# Checks deploy/terraform, one line a check: format, OpenTofu's validation and tests in copies whose providers and modules are stood in
# for by their schemas and interfaces, what variables refuse and with which sentence, our own rules, whether all agrees with the
# chart, Karpenter's definitions, what checkov says, and the tables of the README files. It needs no account and no registry of Terraform.
# --providers does instead what needs the registry of Terraform: init by the lock file, validate and test with the real providers and
# modules. It demands a lock file in each folder (deploy/terraform/README.md says how to write them).
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 0 || $* == --providers ]] || { echo "usage: check.sh [--providers]" >&2; exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/check.sh

TOFU=$(scripts/tools/program.sh tofu)
export TOFU PYTHONDONTWRITEBYTECODE=1

with_providers() {
    local folder platforms='-platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64'
    for folder in deploy/terraform/{bootstrap,cluster,app,karpenter}; do
        [[ -f $folder/.terraform.lock.hcl ]] ||
            fail "$folder has no .terraform.lock.hcl: write it with 'tofu -chdir=$folder providers lock $platforms' and commit it"
        check "$folder cannot be initialised by its lock file" \
            "$TOFU" -chdir="$folder" init -backend=false -input=false -lockfile=readonly -no-color
        check "$folder is not valid" "$TOFU" -chdir="$folder" validate -no-color
        check "a test of $folder fails" "$TOFU" -chdir="$folder" test -no-color
        echo "$folder is valid with the real providers and modules, and its tests pass"
    done
}

if [[ $* == --providers ]]; then
    with_providers
    exit
fi

STAND_IN=$(scripts/terraform/stand-in.sh)
HELM=$(scripts/tools/program.sh helm)
KUBECONFORM=$(scripts/tools/program.sh kubeconform)
SCHEMAS=$(scripts/tools/schemas.sh)
CHECKOV=$(scripts/tools/environment.sh checkov checkov)
python=$(scripts/tools/environment.sh chart)
export STAND_IN HELM KUBECONFORM SCHEMAS CHECKOV

# An unformatted file on purpose: the check must be able to fail.
printf 'locals {\n    a=1\n}\n' >"$CHECK_FOLDER/bad.tf"
if "$TOFU" fmt -check "$CHECK_FOLDER/bad.tf" >/dev/null 2>&1; then fail "tofu fmt takes a file that has another form"; fi
check "files have another form than 'tofu fmt -recursive deploy/terraform' gives" "$TOFU" fmt -check -diff -recursive deploy/terraform
echo "$(find deploy/terraform -name '*.tf' -o -name '*.tftest.hcl' | wc -l) files have the form of tofu fmt"
for script in static validate refusals agreement linters tables; do
    "$python" "scripts/terraform/$script.py" || fail "deploy/terraform is not right: scripts/terraform/$script.py says above what is wrong"
done
