"""Our own rules for deploy/terraform, which no tool knows: everything is described and typed, pinned and used. Each rule is proven on a
copy that breaks it. Called by check.sh.
"""

import re
import sys

from hcl import blocks
from scratch import FACTS, FOLDERS, ROOT

TERRAFORM = ROOT / "deploy/terraform"
REGION = "ap-northeast-2"


def read():
    """Text of every file by (folder, name), tests included."""
    found = {}
    for folder in FOLDERS:
        for file in [*TERRAFORM.glob(f"{folder}/*.tf"), *TERRAFORM.glob(f"{folder}/tests/*.tftest.hcl")]:
            found[folder, file.name] = file.read_text()
    return found


def of_folder(files, folder, suffix=".tf"):
    return "\n".join(text for (its, name), text in sorted(files.items()) if its == folder and name.endswith(suffix))


def described(files, folder):
    """Variables have a type and a description, outputs a description."""
    text = of_folder(files, folder)
    for [name], body in blocks(text, "variable"):
        for wanted in ("type", "description"):
            if len(body.get(wanted, "")) < 3:
                yield f"the variable {name} has no {wanted}"
    for [name], body in blocks(text, "output"):
        if len(body.get("description", "")) < 10:
            yield f"the output {name} has no description"


def satisfies(version, constraint):
    """Whether a version is within `~> X.Y`: what the stand-in knows must be what would be fetched."""
    found = re.fullmatch(r'"~> (\d+)\.(\d+)"', constraint)
    major, minor = (int(it) for it in version.split(".")[:2])
    return bool(found) and major == int(found[1]) and minor >= int(found[2])


def modules(files, folder):
    """Modules are pinned, and interfaces.json knows each at a version that the pin allows."""
    for [name], body in blocks(of_folder(files, folder), "module"):
        facts = FACTS["modules"].get(body.get("source", "").strip('"'))
        if not facts:
            yield f"the module {name} has the source {body.get('source')}, which interfaces.json does not know: run interfaces.py with it"
            continue
        if not satisfies(facts["version"], body.get("version", "")):
            yield f"the module {name} has the version {body.get('version')}, and must have ~> X.Y with {facts['version']} in it"
        known = facts["variables"].keys() | {"source", "version", "count", "for_each", "providers", "depends_on"}
        for argument in body.keys() - known:
            yield f"the module {name} has no argument {argument}"
        for argument, it in facts["variables"].items():
            if it["required"] and argument not in body:
                yield f"the module {name} needs the argument {argument}"


def releases(files, folder):
    """Releases of Helm have a version of their own, are waited for, and are rolled back."""
    for labels, body in blocks(of_folder(files, folder), "resource"):
        if labels[0] != "helm_release":
            continue
        if not body.get("version", "").startswith("var.") and "path.module" not in body["chart"]:
            yield f"the release {labels[1]} has no version out of a variable"
        for wanted in ("atomic", "wait"):
            if body.get(wanted) != "true":
                yield f"the release {labels[1]} does not say {wanted} = true"
        if "timeout" not in body:
            yield f"the release {labels[1]} has no timeout"


def used(files, folder):
    """No variable and no local is there for nothing."""
    text, tests = of_folder(files, folder), of_folder(files, folder, ".tftest.hcl")
    for [name], _ in blocks(text, "variable"):
        if not re.search(rf"\bvar\.{name}\b", re.sub(rf'(?ms)^variable "{name}" \{{.*?^\}}', "", text)):
            yield f"the variable {name} is used by nobody"
    for _, body in blocks(text, "locals"):
        for name in body:
            if not re.search(rf"\blocal\.{name.removesuffix(' {')}\b", text + tests):
                yield f"the local {name} is used by nobody"


def backends(files, folder):
    """States lie in the region of the guide, encrypted, locked, and each under a key of its own."""
    if folder == "bootstrap":
        return
    every = {its: re.search(r'backend "s3" \{(.*?)\n  \}', of_folder(files, its), re.S) for its in FOLDERS}
    if not every[folder]:
        yield "there is no backend s3"
        return
    text = every[folder][1]
    for wanted in (rf'region\s*= "{REGION}"', r"encrypt\s*= true", r"use_lockfile\s*= true"):
        if not re.search(wanted, text):
            yield f"the backend does not say {wanted}"
    keys = [re.search(r'key\s*= "(.*)"', it[1])[1] for it in every.values() if it]
    if len(set(keys)) != len(keys):
        yield f"two states have one key: {keys}"


RULES = [described, modules, releases, used, backends]
SPARE = 'variable "spare" {\n  description = "None."\n  type        = string\n}\n\n'
# Folder, file, what is replaced (once) by what, and a word of the complaint.
MUTATIONS = [
    ("cluster", "variables.tf", "  type        = bool\n", "", "no type"),
    ("cluster", "outputs.tf", '  description = "The VPC."\n', "", "no description"),
    ("cluster", "main.tf", '"~> 21.19"', '"~> 22.0"', "22.0"),
    ("cluster", "main.tf", '"~> 21.19"', '">= 21.19"', ">= 21.19"),
    ("cluster", "main.tf", "  flow_log_traffic_type ", "  flow_log_traffic_kind ", "flow_log_traffic_kind"),
    ("app", "platform.tf", "terraform-aws-modules/eks-pod-identity/aws", "someone/eks-pod-identity/aws", "someone/"),
    ("app", "platform.tf", "var.versions.keda", '"latest"', "keda"),
    ("app", "main.tf", "  atomic          = true\n", "", "atomic"),
    ("app", "main.tf", "  timeout         = var.deploy_seconds\n", "", "timeout"),
    ("cluster", "variables.tf", 'variable "tags" {', SPARE + 'variable "tags" {', "spare"),
    ("app", "values.tf", "locals {\n", "locals {\n  spare = 1\n", "spare"),
    ("app", "versions.tf", "    use_lockfile = true\n", "", "use_lockfile"),
    ("app", "versions.tf", "prod/ml-inference-api/terraform.tfstate", "prod/eks/terraform.tfstate", "one key"),
]  # fmt: skip


def problems(files):
    return [f"{folder}: {it}" for folder in FOLDERS for rule in RULES for it in rule(files, folder)]


def main():
    files = read()
    wrong = problems(files)
    for folder, name, old, new, word in MUTATIONS:
        text = files[folder, name]
        if old not in text:
            wrong.append(f"static.py would change {old!r} in {folder}/{name}, which is not there any more")
        elif not any(word in it for it in problems(files | {(folder, name): text.replace(old, new, 1)})):
            wrong.append(f"no rule complains of {new!r} in place of {old!r} in {folder}/{name}")
    for it in wrong:
        print(f"error: deploy/terraform/{it}", file=sys.stderr)
    if wrong:
        return 1
    count = sum(len(list(blocks(of_folder(files, folder), "variable"))) for folder in FOLDERS)
    print(f"{count} variables are typed, described and used, modules and releases pinned, states apart; {len(MUTATIONS)} mistakes are seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
