#!/usr/bin/env bash
# usage: kubeconfig.sh
# Lets the following steps of a workflow's job reach the cluster: with EKS_CLUSTER set by AWS's credentials of the environment
# (AWS_REGION), else by KUBECONFIG_CONTENT, a whole kubeconfig. It is written for the job alone, readable by it alone.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh

file=${RUNNER_TEMP:?it is set in a job of GitHub Actions}/kubeconfig
umask 077
if [[ -n ${EKS_CLUSTER:-} ]]; then
    aws eks update-kubeconfig --name "$EKS_CLUSTER" --region "$AWS_REGION" --kubeconfig "$file" >&2 ||
        fail "the cluster $EKS_CLUSTER in $AWS_REGION cannot be described (AWS's reason is above): the role needs eks:DescribeCluster"
elif [[ -n ${KUBECONFIG_CONTENT:-} ]]; then
    printf '%s\n' "$KUBECONFIG_CONTENT" >"$file"
else
    fail "nothing leads to a cluster: set the variables AWS_ROLE_ARN and EKS_CLUSTER, or the secret KUBECONFIG, in the environment" \
        "'production' (docs/delivery.md)"
fi
kubectl --kubeconfig "$file" version >&2 || fail "the cluster does not answer (kubectl's reason is above)"
echo "KUBECONFIG=$file" >>"${GITHUB_ENV:?it is set in a job of GitHub Actions}"
