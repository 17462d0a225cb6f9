#!/usr/bin/env bash
# usage: run.sh NAME [--apply] [OPTION...]
# The safe remedies of docs/runbooks, one command. Without --apply it only looks, and prints what it would do; with it, does
# that. It refuses, with 3 and a sentence, what would make things worse. `run.sh --help` lists the names, `run.sh NAME --help`
# their options. Needs python3 and, by name, kubectl and helm (KUBECONFIG says where).
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$scripts exec python3 -m runbooks "$@"
