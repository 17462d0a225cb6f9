# shellcheck shell=bash
# Go modules as source: fetched from Go's module proxy, held to the content that GO_MODULES in versions.env pins, and
# unpacked; programs built out of such a copy, which `go install` refuses where a module's go.mod has `replace` lines.
# Needs scripts/lib/cache.sh, scripts/lib/go.sh and versions.env, and comes after go_find.

# module_row MODULE: sets MODULE_VERSION and MODULE_SUM to what is pinned.
module_row() {
    local row
    row=$(awk -v module="$1" '$1 == module' <<<"$GO_MODULES")
    [[ -n $row ]] || fail "scripts/tools/versions.env pins no Go module $1 in GO_MODULES"
    read -r _ MODULE_VERSION MODULE_SUM <<<"$row"
}

# module_unpack MODULE DEST [PREFIX...]: the module's files, only those that begin with a prefix where any is given. Go
# ends non-zero when the module wants a newer Go than this one, but has it by then: what counts is the sum.
module_unpack() {
    local module=$1 dest=$2 reply
    shift 2
    module_row "$module"
    reply=$(go_run mod download -json "$module@$MODULE_VERSION") || true
    python3 - "$module@$MODULE_VERSION" "$MODULE_SUM" "$dest" "$@" 3<<<"$reply" <<'PYTHON' ||
import json, os, sys, zipfile

name, wanted, dest, *prefixes = sys.argv[1:]
with open(3, encoding="utf-8") as file:
    text = file.read()
reply = json.loads(text) if text.strip() else {}
if not reply.get("Zip") or not reply.get("Sum"):
    sys.exit(f"error: Go could not fetch the module {name}: {reply.get('Error', 'it says nothing')}")
if reply["Sum"] != wanted:
    sys.exit(f"error: the module {name} has the sum {reply['Sum']}, but scripts/tools/versions.env pins {wanted}")
with zipfile.ZipFile(reply["Zip"]) as archive:
    found = 0
    for member in archive.infolist():
        path = member.filename.removeprefix(f"{name}/")
        if member.is_dir() or prefixes and not path.startswith(tuple(prefixes)):
            continue
        member.filename = path
        archive.extract(member, dest)
        found += 1
if not found:
    sys.exit(f"error: the module {name} has no file that begins with {' or '.join(prefixes)}")
PYTHON
        fail "the Go module $module $MODULE_VERSION could not be had (the reason is above)"
}

# module_nested SOURCES: the modules that SOURCES' go.mod takes from folders of its own repository (`=> ./api`). A
# published module has no other module inside, so each is unpacked where it is looked for.
module_nested() {
    local nested folder
    while read -r nested folder; do
        [[ -e $1/$folder ]] || module_unpack "$nested" "$1/$folder"
    done < <(sed -nE 's/^(replace)?[[:space:]]*([^[:space:]]+) => (\.\/[^[:space:]]+)$/\2 \3/p' "$1/go.mod")
}

# module_build MODULE PACKAGE PROGRAM [VARIABLE=VALUE...]: PACKAGE, a folder of the module, built to the file PROGRAM
# with the module's own go.sum, those variables set in it.
module_build() {
    local module=$1 package=$2 program=$3 flags='-s -w' setting sources=$CACHE_STAGING/module
    shift 3
    for setting in "$@"; do flags+=" -X $setting"; done
    module_unpack "$module" "$sources"
    module_nested "$sources"
    module_row "$module"
    (cd "$sources" && GOFLAGS=-mod=readonly go_run build -buildvcs=false -trimpath -ldflags="$flags" \
        -o "$program" "./$package") >&2 ||
        fail "$(basename "$program") did not build out of $module $MODULE_VERSION (Go's reason is above)"
    rm -rf "$sources"
}
