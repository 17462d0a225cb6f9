#!/usr/bin/env bash
# usage: kubernetes.sh
# Builds a real Kubernetes control plane out of published Go modules into the cache and prints its folder: bin/ has
# etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and kwok, which plays the nodes; stages/ has the
# stage files without which kwok does nothing. What is built is pinned by go.mod and go.sum in scripts/tools/kubernetes/
# and scripts/tools/etcd/, kwok by versions.env. Does nothing when the cache has it of the same sources.
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cache.sh
source scripts/lib/go.sh
source scripts/lib/module.sh
source scripts/tools/versions.env

PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubectl)
sources=scripts/tools
version=$(sed -n 's/^require k8s.io\/kubernetes //p' "$sources/kubernetes/go.mod")
kwok=$(grep -hE '(^kwok| sigs.k8s.io/kwok|^sigs.k8s.io/kwok) ' "$sources/versions.env")
fingerprint=$(cat "$sources"/{etcd,kubernetes}/{go.mod,go.sum} "$sources/etcd/main.go" - <<<"$kwok $(uname -m)" |
    sha256sum)
cached=$CACHE_ROOT/kubernetes/$version-${fingerprint:0:12}

# etcd: its server's module has a main function to import.
build_etcd() {
    say "building etcd $(sed -n 's/^require .*etcd\/server\/v3 //p' "$sources/etcd/go.mod")"
    (cd "$sources/etcd" && GOFLAGS=-mod=readonly go_run build -buildvcs=false -trimpath -ldflags='-s -w' \
        -o "$ready/bin/etcd" .) >&2 || fail "etcd did not build (Go's reason is above)"
}

# build_kubernetes: the version that the programs report, and by which clients know them, is set by the linker.
build_kubernetes() {
    local flags='-s -w' package program minor=${version#v1.}
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
        flags+=" -X $package.gitTreeState=clean"
    done
    for program in "${PROGRAMS[@]}"; do
        say "building $program $version"
        (cd "$sources/kubernetes" && GOFLAGS=-mod=readonly go_run build -buildvcs=false -trimpath -ldflags="$flags" \
            -o "$ready/bin/$program" "k8s.io/kubernetes/cmd/$program") >&2 ||
            fail "$program did not build (Go's reason is above)"
    done
}

# take_kwok: the program, and of its stages those that make a node ready, keep its lease and run a pod at once.
take_kwok() {
    local program stages=$CACHE_STAGING/kwok file
    program=$(scripts/tools/program.sh kwok)
    cp "$program" "$ready/bin/kwok"
    module_unpack sigs.k8s.io/kwok "$stages" kustomize/stage/{node/fast,node/heartbeat-with-lease,pod/fast}/
    mkdir "$ready/stages"
    for file in "$stages"/kustomize/stage/*/*/*.yaml; do
        [[ ${file##*/} == kustomization.yaml ]] || cp "$file" "$ready/stages/"
    done
}

build() {
    cache_stage
    go_find "$(sed -n 's/^go //p' "$sources/kubernetes/go.mod")"
    say "building Kubernetes $version (fifteen minutes with two cores, once)"
    local started=$SECONDS ready=$CACHE_STAGING/ready
    mkdir -p "$ready/bin"
    build_etcd
    build_kubernetes
    take_kwok
    cache_publish "$ready" "$cached"
    say "built Kubernetes $version in $((SECONDS - started)) s"
}

if [[ ! -x $cached/bin/kwok ]]; then
    cache_lock kubernetes
    [[ -x $cached/bin/kwok ]] || build
fi
echo "$cached"
