#!/usr/bin/env bash
# usage: render_diff.sh BASE
# What the working tree makes of the chart, against what the commit BASE made of it: with the defaults, with each file of the
# chart's ci/, and with the values of each environment of deploy/gitops. Both sides lie under target/rendered, the differences in
# target/rendered/difference.diff; a summary in Markdown goes to stdout.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 1 ]] || { echo "usage: render_diff.sh BASE" >&2; exit 64; }
base=$(git rev-parse --verify --quiet "$1^{commit}") || fail "there is no commit '$1' here: fetch it first"
helm=$(scripts/tools/program.sh helm)
out=$PWD/target/rendered
rm -rf "$out"
mkdir -p "$out/sources"
mapfile -t folders < <(git ls-tree -d --name-only "$base" helm/ml-inference-api deploy/gitops)
git archive "$base" -- "${folders[@]}" | tar -x -C "$out/sources"

# render SOURCES DEST: one file for each set of values.
render() {
    local sources=$1 dest=$2 values environment name options
    mkdir -p "$dest"
    render_one "$sources" "$dest/defaults.yaml"
    for values in "$sources"/helm/ml-inference-api/ci/*-values.yaml; do
        name=${values##*/}
        render_one "$sources" "$dest/${name%-values.yaml}.yaml" --values "$values"
    done
    for environment in "$sources"/deploy/gitops/environments/*/; do
        [[ -d $environment ]] || continue
        options=()
        for name in values image model; do
            [[ ! -f $environment$name.yaml ]] || options+=(--values "$environment$name.yaml")
        done
        name=${environment%/}
        render_one "$sources" "$dest/environment-${name##*/}.yaml" "${options[@]}"
    done
}

# render_one SOURCES FILE OPTION...
render_one() {
    local sources=$1 file=$2
    shift 2
    "$helm" template ml-inference-api "$sources/helm/ml-inference-api" --namespace production --kube-version 1.35.0 "$@" >"$file" ||
        fail "helm does not render ${file##*/} of $sources (its reason is above)"
}

render "$out/sources" "$out/before"
render "$PWD" "$out/after"
rm -rf "$out/sources"
code=0
(cd "$out" && diff -ruN before after >difference.diff) || code=$?
[[ $code -le 1 ]] || fail "diff could not compare $out/before and $out/after"

echo "### What this makes of the chart"
echo
if [[ $code == 0 ]]; then
    echo "Nothing changes in $(find "$out/after" -name '*.yaml' | wc -l) renderings."
    exit
fi
lines() { grep -c "$1" "$out/difference.diff" || true; }
echo "$(lines '^diff ') of $(find "$out/after" -name '*.yaml' | wc -l) renderings change: $(lines '^+[^+]') lines come, $(lines '^-[^-]') go."
echo
# A summary holds 1 MiB; the artifact has all of it.
printf '~~~~~diff\n%s\n~~~~~\n' "$(head -c 200000 "$out/difference.diff")"
