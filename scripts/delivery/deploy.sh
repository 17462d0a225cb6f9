#!/usr/bin/env bash
# usage: deploy.sh ENVIRONMENT IMAGE DIGEST
# Brings IMAGE@DIGEST to the cluster of KUBECONFIG by Helm, with the values of deploy/gitops/environments/ENVIRONMENT, waits until
# it serves and runs `helm test`. Whatever fails on the way is rolled back: an upgrade by --atomic, a Rollout that Argo aborted and a
# test that fails by `helm rollback`. The environment may set:
#   NAMESPACE        ENVIRONMENT where unset
#   TIMEOUT          of the upgrade and of the tests; 5m where unset
#   ROLLOUT_SECONDS  how long a Rollout may take; 3600 where unset (the chart's canary takes 25 minutes, and more when it pauses)
#   VALUES           the folder with values.yaml, image.yaml and model.yaml
#   HELM, KUBECTL    the programs; the pinned Helm 3 and kubectl where unset
# Helm 3 it is: Helm 4 calls --atomic otherwise and applies on the server's side, where it and Argo Rollouts take fields from each
# other (deploy/argo-rollouts/README.md).
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

[[ $# == 3 ]] || { echo "usage: deploy.sh ENVIRONMENT IMAGE DIGEST" >&2; exit 64; }
environment=$1 image=$2 digest=$3
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "'$digest' is no digest: expected sha256: and 64 hexadecimal digits"
[[ -n $image && $image != *@* && ${image##*/} != *:* ]] || fail "'$image' is no name of an image without tag and digest"
release=ml-inference-api
chart=helm/ml-inference-api
namespace=${NAMESPACE:-$environment}
timeout=${TIMEOUT:-5m}
folder=${VALUES:-deploy/gitops/environments/$environment}
values=()
for name in values image model; do
    [[ -f $folder/$name.yaml ]] || fail "$folder/$name.yaml is missing: the environment '$environment' has three files of values"
    values+=(--values "$folder/$name.yaml")
done
helm=${HELM:-$(scripts/tools/program.sh helm)}
kubectl=${KUBECTL:-kubectl}
version=$("$helm" version --template '{{.Version}}')
[[ $version == v3.* ]] || fail "$helm is Helm $version, but this needs Helm 3"

# revision: the last revision of the release that was deployed, empty where there is none.
revision() {
    { "$helm" --namespace "$namespace" history "$release" --output json 2>/dev/null || echo '[]'; } | python3 -c '
import json, sys
print(max((it["revision"] for it in json.load(sys.stdin) if it["status"] == "deployed"), default=""))'
}

# back WHY: roll back to what was deployed before, and fail.
back() {
    if [[ -z $before ]]; then
        fail "$1; there was no earlier version to roll back to, so it stays as it is: look at it, then 'helm uninstall' or deploy again"
    fi
    say "$1: rolling back to revision $before"
    "$helm" --namespace "$namespace" rollback "$release" "$before" --wait --timeout "$timeout" >&2 ||
        fail "$1, and the rollback to revision $before failed too (Helm's reason is above)"
    fail "$1; rolled back to revision $before"
}

# await_rollout: until Argo Rollouts has brought the new version to all requests, or given it up.
await_rollout() {
    local deadline=$((SECONDS + ${ROLLOUT_SECONDS:-3600})) word sentence last=''
    while :; do
        read -r word sentence < <("$kubectl" --namespace "$namespace" get rollout "$release" --output json |
            python3 scripts/delivery/rollout.py) || fail "the Rollout $release cannot be read (kubectl's reason is above)"
        [[ $sentence == "$last" ]] || say "$sentence"
        last=$sentence
        case $word in
        done) return ;;
        failed) back "$sentence" ;;
        esac
        [[ $SECONDS -lt $deadline ]] ||
            fail "the rollout is undecided after ${ROLLOUT_SECONDS:-3600} s: $sentence. It was left as it is, with most requests on the" \
                "old version: promote or abort it (deploy/argo-rollouts/README.md)"
        sleep "${POLL_SECONDS:-5}"
    done
}

before=$(revision)
say "deploying $image@$digest to $namespace (revision before: ${before:-none})"
"$helm" upgrade --install "$release" "$chart" --namespace "$namespace" "${values[@]}" \
    --set-string "image.repository=$image" --set-string "image.digest=$digest" \
    --wait --timeout="$timeout" --atomic >&2 ||
    fail "the upgrade failed and Helm has rolled it back (its reason is above)"
if "$helm" --namespace "$namespace" get manifest "$release" | grep -q '^kind: Rollout$'; then
    await_rollout
fi
if ! "$helm" test "$release" --namespace "$namespace" --timeout "$timeout" >&2; then
    # Not by helm's --logs, which fails a test that passed where the logs cannot be had.
    "$kubectl" --namespace "$namespace" logs "$release-test" --all-containers --tail 50 >&2 || true
    back "helm test failed"
fi
say "$release in $namespace is $image@$digest"
