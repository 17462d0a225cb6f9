"""Runs checkov over deploy/terraform. What it finds must be an exception of exceptions.yaml with its reason, and an exception that nothing
needs any more is an error too. It is shown a cluster that is wrong on purpose, and must say so. Called by check.sh; CHECKOV names the
program. Modules are not fetched: it sees our arguments to them as text, and what they make not at all.
"""

import json
import os
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import yaml
from scratch import FOLDERS, ROOT

EXCEPTIONS = yaml.safe_load((Path(__file__).parent / "exceptions.yaml").read_text())
SPOILT = """
resource "aws_s3_bucket_public_access_block" "spoilt" {
  bucket            = "x"
  block_public_acls = false
}

resource "aws_eks_cluster" "spoilt" {
  name     = "x"
  role_arn = "x"

  vpc_config {
    subnet_ids             = ["x"]
    endpoint_public_access = true
    public_access_cidrs    = ["0.0.0.0/0"]
  }
}
"""
# Public access to the bucket; secrets that are not encrypted; an API server for everybody; no logs.
FOUND = {"CKV_AWS_53", "CKV_AWS_58", "CKV_AWS_38", "CKV_AWS_37"}


def checkov(folder):
    """(check, resource, what it says) of all that checkov finds in a folder."""
    command = [
        os.environ["CHECKOV"], "--framework", "terraform", "--directory", str(folder), "--output", "json", "--quiet", "--compact",
        "--skip-download",
    ]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"error: checkov has no answer:\n{done.stderr.strip()[-2000:]}")
    if answer["summary"]["parsing_errors"] or not answer["summary"]["resource_count"]:
        sys.exit(f"error: checkov read nothing, or not all: {answer['summary']}")
    for it in answer["results"]["failed_checks"]:
        yield it["check_id"], f"{Path(it['file_path']).parts[1]}/{it['resource']}", it["check_name"]


def problems(found, exceptions):
    used = set()
    for check, resource, said in found:
        holding = [it["check"] for it in exceptions if it["check"] == check and any(fnmatch(resource, glob) for glob in it["resources"])]
        used.update(holding)
        if not holding:
            yield f"checkov says of {resource}: {said} ({check})"
    for it in exceptions:
        if it["check"] not in used:
            yield f"exceptions.yaml: checkov finds no {it['check']} any more: take it out"
        if len(it.get("reason", "")) < 20:
            yield f"exceptions.yaml: {it['check']} has no reason"


def main():
    with tempfile.TemporaryDirectory() as work:
        for name in FOLDERS:
            (Path(work) / name).mkdir()
            for file in (ROOT / "deploy/terraform" / name).glob("*.tf"):
                (Path(work) / name / file.name).write_text(file.read_text())
        (Path(work) / "spoilt").mkdir()
        (Path(work) / "spoilt/main.tf").write_text(SPOILT)
        found = list(checkov(work))
    ours = [it for it in found if not it[1].startswith("spoilt/")]
    wrong = list(problems(ours, EXCEPTIONS))
    seen = {check for check, resource, _ in found if resource.startswith("spoilt/")}
    wrong += [f"checkov does not complain of what is wrong on purpose: {check}" for check in sorted(FOUND - seen)]
    for it in sorted(set(wrong)):
        print(f"error: {it}", file=sys.stderr)
    if wrong:
        return 1
    print(f"checkov finds nothing but {len(EXCEPTIONS)} exceptions ({len(ours)} findings), each with its reason")
    return 0


if __name__ == "__main__":
    sys.exit(main())
