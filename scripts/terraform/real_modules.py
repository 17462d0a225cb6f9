"""usage: real_modules.py

As validate.py, with the modules themselves in place of stand-ins: each folder of deploy/terraform is validated, its tests and the good sets
of refusals.yaml are planned, through the sources of the modules at their tags, on schemas of all resources that these have. Providers
stay stood in for. Not a part of check.sh: it fetches the modules by git and some 50 MB of schemas by npm. TOFU and STAND_IN name the
programs; the environment for Python is that of check.sh:

    TOFU=$(scripts/tools/program.sh tofu) STAND_IN=$(scripts/terraform/stand-in.sh) \\
        $(scripts/tools/environment.sh chart) scripts/terraform/real_modules.py
"""

import re
import sys
import tempfile

import interfaces
import validate
from scratch import FACTS, FOLDERS, Scratch

# What the modules take from other modules, and providers that only they use.
MODULES = {name: tag for name, tag, _ in interfaces.MODULES} | {"terraform-aws-modules/kms/aws": "v4.0.0"}
PROVIDERS = [
    ("tls", "@cdktf/provider-tls@11.0.1"), ("time", "@cdktf/provider-time@11.0.1"), ("null", "@cdktf/provider-null@11.0.1"),
    ("cloudinit", "@cdktf/provider-cloudinit@11.0.1"),
]  # fmt: skip


def of_type(attribute):
    if "type" in attribute:
        return attribute["type"]
    shape = ["object", {name: of_type(it) for name, it in attribute["nested_type"]["attributes"].items()}]
    mode = attribute["nested_type"]["nesting_mode"]
    return shape if mode == "single" else [mode, shape]


def as_of_old(block):
    """Lists of objects that may be written as blocks (rules of a default security group): attributes of one type, as they are in AWS."""
    for attribute in block["attributes"].values():
        if attribute.get("nested_type", {}).get("nesting_mode") in ("list", "set"):
            attribute["type"] = of_type(attribute)
            del attribute["nested_type"]
    for nested in block["block_types"].values():
        as_of_old(nested["block"])


class WithModules(Scratch):
    """A copy whose modules are their sources."""

    def write_modules(self):
        for name, tag in MODULES.items():
            owner, short, provider = name.split("/")
            target = self.modules / short
            target.parent.mkdir(exist_ok=True)
            url = f"https://github.com/{owner}/terraform-{provider}-{short}"
            interfaces.run("git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", "--branch", tag, url, str(target),
                           cwd=self.work)  # fmt: skip
        for file in self.sources():
            text = re.sub(r'  provider_meta "\w+" \{.*?\n  \}\n', "", file.read_text(), flags=re.S)
            file.write_text(self.with_modules(text))
        used = interfaces.used_in([*self.sources(), *sorted(self.home.glob("deploy/terraform/*/*.tf"))])
        for name, package in [*interfaces.PROVIDERS, *PROVIDERS]:
            print(f"==> {package}", file=sys.stderr)
            mine = {it for it in used if it[1].startswith(f"{name}_")}
            FACTS["providers"][f"hashicorp/{name}"] = facts = interfaces.provider(name, package, mine, self.work)
            if name == "aws":
                for block in [*facts["resources"].values(), *facts["data"].values()]:
                    as_of_old(block)

    def sources(self):
        return sorted(it for it in self.modules.rglob("*.tf") if not {"examples", "tests", "wrappers"} & set(it.parts))

    def with_modules(self, text):
        def local(found):
            name, _, sub = found[1].partition("//")
            return f'source = "{self.modules / name.split("/")[1] / sub}"\n' if name in MODULES else found[0]

        return re.sub(r'source\s*= "([^"./][^"]*)"\n\s*version\s*= "[^"]*"[^\n]*\n', local, text)


def main():
    problems, tests = [], 0
    validate.SPOILT.clear()
    with tempfile.TemporaryDirectory() as work:
        scratch = WithModules(work)
        mocks = "".join(f'mock_provider "{name}" {{}}\n' for name, _ in PROVIDERS)
        # Only module eks has these providers, and a test may mock no other.
        for file in scratch.folder("cluster").glob("tests/*.tftest.hcl"):
            file.write_text(mocks + file.read_text())
        for name in FOLDERS:
            count, wrong = validate.of_folder(scratch, name)
            tests += count
            problems += wrong
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"with the sources of {len(MODULES)} modules OpenTofu validates {len(FOLDERS)} folders and passes {tests} tests and plans")
    return 0


if __name__ == "__main__":
    sys.exit(main())
