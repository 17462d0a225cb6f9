#!/usr/bin/env bash
# usage: argo-rollouts.sh [gatewayapi]
# Builds Argo Rollouts's controller, or its plugin that shifts the traffic of Gateway API's routes, into the cache and
# prints its path. Give the plugin to the controller as `location: file://PATH` in the ConfigMap argo-rollouts-config.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/program.sh" "argo-rollouts${1:+-$1}"
