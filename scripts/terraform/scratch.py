"""Copies of deploy/terraform in which OpenTofu can work without the network: in place of a provider stands scripts/terraform/stand-in
with that provider's schema, in place of a module one of its variables and outputs and nothing else (interfaces.json). So `validate` and
`test` are the real ones, on the real names and types; what a provider or a module does with them is not seen.

The environment names the programs: TOFU and STAND_IN.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from hcl import blocks

ROOT = Path(__file__).parents[2]
FACTS = json.loads((Path(__file__).parent / "interfaces.json").read_text())
FOLDERS = ["bootstrap", "cluster", "app", "karpenter"]
HOST = "registry.opentofu.org"
TARGET = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}[platform.machine()]
# What the files of a folder read beside it.
BESIDE = ["deploy/observability/prometheus-adapter.yaml", "deploy/gitops/environments"]


class Scratch:
    """A copy under `work`. Its folders are changed at will: nothing of the repository is."""

    def __init__(self, work):
        self.work = Path(work)
        self.home = self.work / "copy"
        self.modules, self.plugins = self.work / "modules", self.work / "plugins"
        self.copy()
        self.write_modules()
        self.write_providers()

    def copy(self):
        hidden = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        shutil.copytree(ROOT / "deploy/terraform", self.home / "deploy/terraform", ignore=hidden)
        for name in BESIDE:
            source, target = ROOT / name, self.home / name
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                target.parent.mkdir(parents=True)
                shutil.copy(source, target)

    def folder(self, name):
        return self.home / "deploy/terraform" / name

    def write_modules(self):
        for number, facts in enumerate(FACTS["modules"].values()):
            target = self.modules / str(number)
            target.mkdir(parents=True)
            (target / "main.tf").write_text(stand_in_module(facts))

    def write_providers(self):
        for name, facts in FACTS["providers"].items():
            short = name.split("/")[1]
            target = self.plugins / HOST / name / facts["version"] / TARGET
            target.mkdir(parents=True)
            os.link(place_beside(self.work, os.environ["STAND_IN"]), target / f"terraform-provider-{short}_v{facts['version']}")
            (target / "schema.json").write_text(json.dumps(facts | {"address": f"{HOST}/{name}"}))

    def prepare(self, name):
        """Turns a folder's modules into those that are here, its backend into none, and initialises it. Gives what is said of errors."""
        folder = self.folder(name)
        for file in folder.glob("*.tf"):
            file.write_text(self.with_modules(file.read_text()))
        (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        return self.tofu(folder, "init", "-input=false", "-plugin-dir", str(self.plugins))

    def with_modules(self, text):
        def local(found):
            names = list(FACTS["modules"])
            return f'source = "{self.modules}/{names.index(found[1])}"\n' if found[1] in names else found[0]

        return re.sub(r'source\s*= "([^"./][^"]*)"\n\s*version\s*= "[^"]*"\n', local, text)

    def tofu(self, folder, *arguments):
        """What OpenTofu says where it refuses, nothing where it does not."""
        done = run_tofu(folder, *arguments)
        return "" if done.returncode == 0 else squeezed(done.stdout + done.stderr)

    def evaluate(self, name, files, wanted, variables):
        """Values of locals of a folder, computed by OpenTofu out of the named files alone, which need no provider."""
        target = self.work / f"evaluated-{len(list(self.work.iterdir()))}" / "deploy/terraform" / name
        target.mkdir(parents=True)
        shutil.copytree(self.home / "deploy/observability", target.parents[1] / "observability", dirs_exist_ok=True)
        for file in ["variables.tf", *files]:
            shutil.copy(self.folder(name) / file, target)
        (target / "wanted.tf").write_text(f"output \"wanted\" {{\n  value = {{ {', '.join(f'{it} = local.{it}' for it in wanted)} }}\n}}\n")
        (target / "given.auto.tfvars.json").write_text(json.dumps(variables))
        for arguments in (["init", "-input=false"], ["apply", "-auto-approve", "-input=false"]):
            said = self.tofu(target, *arguments)
            if said:
                sys.exit(f"error: deploy/terraform/{name} cannot be computed: {said}")
        return json.loads(run_tofu(target, "output", "-json", "wanted").stdout)


def place_beside(work, program):
    """The program on the file system of the copies, which link to it."""
    target = work / "stand-in"
    if not target.exists():
        shutil.copy(program, target)
    return target


def run_tofu(folder, *arguments):
    command = [os.environ["TOFU"], f"-chdir={folder}", *arguments]
    environment = os.environ | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    return subprocess.run([*command, "-no-color"], text=True, capture_output=True, check=False, env=environment)


def squeezed(text):
    """A message without the frame around it and without its line breaks, so that sentences can be found in it."""
    return re.sub(r"[\s│╷╵]+", " ", text).strip() or "it says nothing"


def stand_in_module(facts):
    """Variables and outputs of a module; what comes out is not known before it is applied, as with the real one."""
    text = 'resource "terraform_data" "this" {\n}\n'
    for name, it in sorted(facts["variables"].items()):
        default = "" if it["required"] else "\n  default = null"
        text += f'variable "{name}" {{\n  type = {it["type"]}{default}\n}}\n'
    for name in facts["outputs"]:
        text += f'output "{name}" {{\n  value = terraform_data.this.output\n}}\n'
    return text


def validations(name):
    """(variable, sentence) of all that a folder's variables refuse."""
    for [variable], body in blocks((ROOT / "deploy/terraform" / name / "variables.tf").read_text(), "variable"):
        for inner in body.get("validation {", []):
            yield variable, re.search(r'error_message\s*=\s*"((?:\\.|[^"\\])*)"', inner)[1].replace('\\"', '"')
