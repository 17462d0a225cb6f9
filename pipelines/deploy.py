"""Deploys a version that evaluate.py has passed: exports what is served, proves it, moves the alias `champion`, and opens the
rollout by a commit in the GitOps repository. With --rollback the champion before takes its place again.

In this order, so that it can be run again wherever it ended: (1) the verdict is read; (2) the layout is exported and, with
--binary, checked by ml-inference-api; (3) `previous-champion`, then `champion` move; (4) the commit is pushed, to a branch that
is merged by a pull request. Nobody sees anything before that merge, which is the point of no return: from there the way back is
--rollback.
"""

import subprocess
import sys
from pathlib import Path

from fraud import command, gitops, layout
from fraud.command import StepError
from fraud.files import read_json, write, write_json
from fraud.registry import CHAMPION, DEFAULT_URI, PREVIOUS, Registry
from fraud.schema import NAME

IMAGE = "--image ghcr.io/myorg/model-deployer@sha256:HEX"
EXAMPLES = f"""
  deploy.py --candidate candidate --out deployment                          exports, checks nothing, moves the alias
  deploy.py --version 3 --out deployment --binary ml-inference-api \\
      --repository https://github.com/myorg/ml-inference-api --token-file /run/git/token {IMAGE}
  deploy.py --version 3 --out deployment --values model.yaml {IMAGE}
  deploy.py --rollback --out deployment --repository REPOSITORY {IMAGE}
"""
say = command.told("deploy")


def arguments():
    """The command line."""
    parser = command.parser("deploy.py", __doc__, EXAMPLES)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--candidate", type=command.folder, metavar="DIR", help="folder of train.py")
    which.add_argument("--version", type=command.whole(1), metavar="N", help="a version by its number")
    which.add_argument("--rollback", action="store_true", help=f"back to the version with the alias {PREVIOUS}")
    parser.add_argument("--model", type=command.model_name, default=NAME, metavar="NAME", help="registered model (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of models to export to, and deployment.json")
    parser.add_argument("--binary", metavar="FILE", help="ml-inference-api, which loads what was exported and asks its golden samples")
    parser.add_argument("--repository", metavar="URL", default="", help="GitOps repository to commit to; empty: none")
    parser.add_argument("--branch", help="its branch, made anew of --base: a proposal (default: delivery/model-ENVIRONMENT)")
    parser.add_argument("--base", default="main", help="--branch of the same name: the commit goes there itself (default: %(default)s)")
    parser.add_argument("--environment", default="staging", choices=["staging", "production"], help="(default: %(default)s)")
    parser.add_argument("--token-file", metavar="FILE", help="file with the token of an https repository")
    parser.add_argument("--values", type=Path, metavar="FILE", help="write model.yaml there, in place of a commit or beside it")
    parser.add_argument("--image", default="", metavar="IMAGE", help="image of the init container that fetches the model, by digest")
    parser.add_argument("--serving-tracking-uri", default="", metavar="URL", help="MLflow as the pods reach it (default: as here)")
    parser.add_argument("--tracking-uri", metavar="URL", help=f"MLflow (default: MLFLOW_TRACKING_URI, else {DEFAULT_URI})")
    return parser.parse_args()


def passed(registry, model, version, back=False):
    """The version, which must have passed the gate, and must have been compared with what is champion now; on the way back
    it has been champion itself."""
    found = registry.version(model, version)
    tags = found["tags"]
    if tags.get("verdict") != "passed":
        why = tags.get("verdict_reasons", "evaluate.py has not judged it")
        raise StepError(f"{model} version {version} may not be deployed, its verdict is '{tags.get('verdict', 'none')}': {why}")
    champion = registry.alias(model, CHAMPION)
    if champion not in (None, version, tags.get("compared_with")) and not back:
        raise StepError(
            f"{model} version {version} was compared with {tags.get('compared_with')}, and the champion is version {champion} now: "
            "run evaluate.py again"
        )
    return found


def chosen(registry, args):
    """The number of the version to deploy."""
    if args.candidate:
        candidate = read_json(args.candidate / "candidate.json")
        args.model = candidate["model"]
        return candidate["version"]
    if args.version:
        return str(args.version)
    version = registry.alias(args.model, PREVIOUS)
    if version is None:
        raise StepError(f"{args.model} has no version with the alias {PREVIOUS}: there is nothing to roll back to")
    return version


def export(registry, args, version, pin):
    """Writes the layout and has it proved; returns its digests."""
    files = layout.fetch(registry, args.model, version, pin)
    layout.install(files, args.out, args.model)
    for path, digest in layout.digests(files).items():
        say(f"exported {args.out / args.model / path} sha256 {digest}")
    if args.binary:
        try:
            done = subprocess.run([args.binary, "check", args.out / args.model], text=True, capture_output=True, check=False)
        except OSError as error:
            raise StepError(f"{args.binary} cannot be run: {error}") from None
        if done.returncode:
            raise StepError(f"ml-inference-api does not take what was exported:\n{(done.stdout + done.stderr).strip()}")
        say(f"ml-inference-api check: {done.stdout.strip().splitlines()[-1]}")
    return layout.digests(files)


def promote(registry, model, version):
    """Moves the aliases. The one before is kept first: a crash in between leaves two aliases on one version, and nothing lost."""
    before = registry.alias(model, CHAMPION)
    if before == version:
        say(f"version {version} is the champion already")
        return
    if before:
        registry.set_alias(model, PREVIOUS, before)
    registry.set_alias(model, CHAMPION, version)
    say(f"champion: version {before or 'none'} -> {version}")


def give_back(registry, model, version):
    """Moves the aliases back, and takes the verdict from what is rolled back: it is not to be deployed again unseen."""
    before = registry.alias(model, CHAMPION)
    if before and before != version:
        registry.tag(model, before, verdict="rolled-back", verdict_reasons=f"rolled back to version {version}")
        registry.set_alias(model, CHAMPION, version)
    registry.delete_alias(model, PREVIOUS)
    say(f"champion: version {before} -> {version}, rolled back")


def rollout(args, version, text):
    """Writes the chart's values where they are asked for; returns the commit, if one was made."""
    if args.values:
        write(args.values, text)
        say(f"wrote {args.values}")
    if not args.repository:
        return None
    path = gitops.ENVIRONMENT.format(args.environment)
    word = "roll back to" if args.rollback else "serve"
    branch = args.branch or f"delivery/model-{args.environment}"
    repository = gitops.Repository(args.repository, branch, args.base, args.token_file)
    commit = repository.put(path, text, f"{args.environment}: {word} {args.model} {version}")
    say(f"{path} on {branch}: {f'commit {commit}' if commit else 'is so already'}")
    return commit


def main():
    """Every step in the order that the module says. A rollback writes the commit first: what serves comes before what is noted."""
    args = arguments()
    registry = Registry(args.tracking_uri)
    version = chosen(registry, args)
    found = passed(registry, args.model, version, args.rollback)
    pin = found["tags"]["manifest_sha256"]
    text = None
    if args.repository or args.values:  # refused before anything is moved
        text = gitops.values(args.model, version, pin, args.image, args.serving_tracking_uri or registry.uri)
    digests = export(registry, args, version, pin)
    if args.rollback:
        commit = rollout(args, version, text)
        give_back(registry, args.model, version)
    else:
        promote(registry, args.model, version)
        commit = rollout(args, version, text)
    write_json(args.out / "deployment.json", {
        "model": args.model, "version": version, "manifest_sha256": pin, "files": digests, "commit": commit,
        "environment": args.environment if args.repository else None, "rollback": args.rollback,
    })  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    command.run(main)
