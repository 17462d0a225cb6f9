"""usage: interfaces.py

Writes interfaces.json anew: the names, types and demands of what deploy/terraform uses of modules and providers of others. Facts only,
for the checks to hold our arguments against where neither the registry of Terraform nor GitHub can be reached.

- Modules: `git clone` of the tag, of which variables.tf and outputs.tf are read.
- Providers: the TypeScript packages on npm that are generated out of each provider's schema (`terraform providers schema -json`), of
  which the resources and data sources are taken that stand in deploy/terraform.

Needs git, npm and the network. To read modules from a copy: GIT_CONFIG_COUNT, GIT_CONFIG_KEY_0=url.COPY.insteadOf and so on.
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from hcl import blocks

HERE = Path(__file__).parent
FOLDERS = HERE.parent.parent / "deploy/terraform"
# Module, tag, and the folder of a submodule.
MODULES = [
    ("terraform-aws-modules/eks/aws", "v21.19.0", "."),
    ("terraform-aws-modules/eks/aws", "v21.19.0", "modules/karpenter"),
    ("terraform-aws-modules/vpc/aws", "v6.6.0", "."),
    ("terraform-aws-modules/eks-pod-identity/aws", "v2.8.1", "."),
]
# Provider and the package that is generated out of it. The package says of which version.
PROVIDERS = [
    ("aws", "@cdktn/provider-aws@25.7.0"),
    ("helm", "@cdktf/provider-helm@12.1.2"),
    ("kubernetes", "@cdktf/provider-kubernetes@12.1.1"),
]
GETTERS = {
    "getStringAttribute": "string", "getNumberAttribute": "number", "getBooleanAttribute": "bool",
    "getStringMapAttribute": ["map", "string"], "getNumberListAttribute": ["list", "number"],
    "getAnyMapAttribute": ["map", "dynamic"], "getBooleanMapAttribute": ["map", "bool"], "interpolationForAttribute": "dynamic",
}  # fmt: skip
STORAGE = {"string": "string", "number": "number", "boolean": "bool", "stringList": ["list", "string"], "stringMap": ["map", "string"]}


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout.strip()


def module(name, tag, folder, work):
    """Variables and outputs of a module at its tag."""
    owner, short, provider = name.split("/")
    clone = work / f"{short}-{tag}"
    if not clone.exists():
        url = f"https://github.com/{owner}/terraform-{provider}-{short}"
        run("git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", "--branch", tag, url, str(clone), cwd=work)
    variables = {}
    for labels, body in blocks((clone / folder / "variables.tf").read_text(), "variable"):
        variables[labels[0]] = {"type": on_one_line(body.get("type", "any")), "required": "default" not in body}
    outputs = [labels[0] for labels, _ in blocks((clone / folder / "outputs.tf").read_text(), "output")]
    return {
        "version": tag.removeprefix("v"), "commit": run("git", "rev-parse", "HEAD", cwd=clone),
        "variables": variables, "outputs": sorted(outputs),
    }  # fmt: skip


def on_one_line(kind):
    """A type without comments and line breaks, which separate the attributes of an object as commas do."""
    kind = re.sub(r"\s*#[^\n]*", "", kind)
    kind = re.sub(r"(?<=[^\s({[,])\s*\n\s*(?=[^\s)}\]])", ", ", kind)
    return re.sub(r"\s+", " ", kind)


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(it.capitalize() for it in rest)


def classes(script):
    """Name of each class in a script to its text."""
    parts = re.split(r"^class (\w+) extends ", script, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def attribute_type(text, name):
    """The type of a simple attribute by its getter, None where it is an object of its own."""
    found = re.search(rf"(tolist\()?this\.(get\w+|interpolationForAttribute)\('{name}'\)", text)
    if not found:
        simple = re.search(rf'new cdkt\w\.(\w+)Map\(this, "{name}"', text)
        return ["map", {"String": "string", "Number": "number", "Boolean": "bool"}.get(simple[1], "dynamic")] if simple else None
    if found[2] == "getListAttribute":
        return ["set" if found[1] else "list", "string"]
    return GETTERS[found[2]]


def fields(text):
    """Name of each field of a class to what it demands, by the comments; where they are lost, by what its property can do."""
    found = {}
    for name, *given in re.findall(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n", text):
        found[name] = {key: True for key, it in zip(("computed", "optional", "required"), given, strict=True) if it == "true"}
    for it, name in re.findall(r"get (\w+)\(\) \{\s*return [^;]*?this\.(?:get\w+|interpolationForAttribute)\('(\w+)'\)", text):
        settable, resettable = f"set {it}(" in text, f"reset{it[0].upper()}{it[1:]}(" in text
        found.setdefault(name, {"optional" if resettable else "required" if settable else "computed": True})
    return found


def of_class(known, name, documented):
    """The block that a class stands for: of a list its elements'."""
    text = known[name]
    inner = re.search(r"return new (\w+)\(this\.terraformResource", text)
    if inner:
        return of_class(known, inner[1], documented)
    block = {"attributes": {}, "block_types": {}}
    for field, flags in fields(text).items():
        optional, required = "optional" in flags, "required" in flags
        kind = attribute_type(text, field)
        if kind:
            block["attributes"][field] = {"type": kind} | flags
            continue
        nested = re.search(rf'new (\w+)\(this, "{field}"(?:, (\w+))?\)', text)
        if not nested:
            sys.exit(f"error: {name}.{field} has a form that interfaces.py does not know")
        content = of_class(known, nested[1], documented)
        many = nested[2] is not None
        mode = {None: "single", "true": "set", "false": "list"}[nested[2]]
        if nested[1].endswith("Map"):
            mode = "map"
        if field in documented and (optional or required):
            single = field == "timeouts"
            entry = {"nesting_mode": "single" if single else mode if many else "list", "block": content}
            entry |= {"min_items": 1} if required else {}
            block["block_types"][field] = entry | ({"max_items": 1} if not many and not single else {})
        elif optional or required:
            block["attributes"][field] = {"nested_type": {"attributes": content["attributes"], "nesting_mode": mode}} | flags
        else:
            shape = ["object", object_type(content)]
            block["attributes"][field] = {"type": shape if mode == "single" else [mode, shape]} | flags
    return block


def object_type(content):
    """What a provider fills in by itself is an attribute of one type, and no block."""
    return {name: it["type"] for name, it in content["attributes"].items()}


def of_function(script, declared, documented, function, interface):
    """The block that a function writes: of the provider's own configuration there is no class."""
    start = re.search(rf"function {function}\(struct\)", script) if function else re.search(r"^    synthesizeHclAttributes", script, re.M)
    text = script[start.end():]
    text = text[: text.index("remove undefined attributes")]
    optional = set(re.findall(r"readonly (\w+)\?:", re.search(rf"interface {interface} .*?\n}}", declared, re.S)[0]))
    block = {"attributes": {}, "block_types": {}}
    entry = r"(\w+): \{\s*value: (.*),\s*isBlock: (\w+),\s*type: \"(\w+)\",\s*storageClassType: \"(\w+)\""
    for field, value, _, mode, storage in re.findall(entry, text):
        if field == "alias":
            continue
        flags = {"optional" if camel(field) in optional else "required": True}
        inner = re.search(r"(\w+ToHclTerraform)\b", value.replace("cdktf.", "cdktf_").replace("cdktn.", "cdktn_"))
        if storage in STORAGE:
            block["attributes"][field] = {"type": STORAGE[storage]} | flags
        elif inner:
            name = re.search(r"(\w+?)(List)?$", storage)[1]
            name = name if f"interface {name} " in declared else storage
            content = of_function(script, declared, documented, inner[1], name)
            mode = "single" if mode == "struct" else mode
            if field in documented:
                block["block_types"][field] = {"nesting_mode": "list" if mode == "single" else mode, "block": content}
            else:
                block["attributes"][field] = {"nested_type": {"attributes": content["attributes"], "nesting_mode": mode}} | flags
        else:
            block["attributes"][field] = {"type": "dynamic"} | flags
    return block


def provider(name, package, used, work):
    """Facts of a provider: its configuration, and of its resources and data sources those that are used."""
    run("npm", "pack", "--silent", package, cwd=work)
    [archive] = work.glob(f"*provider-{name}-*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(work / name, filter="data")
    root = work / name / "package"
    about = json.loads((root / "package.json").read_text())
    facts = {"package": package, "version": about["cdktf"]["provider"]["version"], "resources": {}, "data": {}}
    scripts = {}
    for script in root.glob("lib/*/index.js"):
        text = script.read_text()
        kind = re.search(r"tfResourceType = \"(\w+)\"", text)
        if kind:
            is_data = script.parent.name.startswith("data-")
            scripts["data" if is_data else "resources", kind[1]] = script
    for where, kind in sorted(used):
        script = scripts.get((where, kind))
        if not script:
            sys.exit(f"error: {package} has no {kind} among its {where}")
        documented = set(re.findall(r"\* (\w+) block$", script.with_suffix(".d.ts").read_text(), re.M))
        known = classes(script.read_text())
        main = next(it for it, text in known.items() if "tfResourceType" in text)
        facts[where][kind] = of_class(known, main, documented)
    script = root / "lib/provider/index.js"
    declared = script.with_suffix(".d.ts").read_text()
    interface = re.search(r"interface (\w+ProviderConfig) ", declared)[1]
    documented = set(re.findall(r"\* (\w+) block$", declared, re.M))
    facts["provider"] = of_function(script.read_text(), declared, documented, None, interface)
    return facts


def used_in(files):
    """(where, type) of all resources and data sources that files name, those that tests mock included."""
    text = "\n".join(file.read_text() for file in files)
    found = {("resources", it) for it in re.findall(r'^ *(?:mock_)?resource "(\w+)"', text, re.M)}
    return found | {("data", it) for it in re.findall(r'^ *(?:mock_)?data "(\w+)"', text, re.M)}


def main():
    used = used_in([*sorted(FOLDERS.glob("*/*.tf")), *sorted(FOLDERS.glob("*/tests/*.tftest.hcl"))])
    facts = {"made_by": "scripts/terraform/interfaces.py, which renews it", "modules": {}, "providers": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, tag, sub in MODULES:
            print(f"==> {name} {tag} {sub}", file=sys.stderr)
            facts["modules"][name if sub == "." else f"{name}//{sub}"] = module(name, tag, sub, work)
        for name, package in PROVIDERS:
            print(f"==> {package}", file=sys.stderr)
            mine = {it for it in used if it[1].startswith(f"{name}_")}
            facts["providers"][f"hashicorp/{name}"] = provider(name, package, mine, work)
    (HERE / "interfaces.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
