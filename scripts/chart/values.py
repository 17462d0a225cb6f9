"""Checks that values.yaml, its schema and the versions agree: every value is documented and in the schema, the schema has none
that values.yaml lacks and refuses what it does not know, and the chart is of the version that Cargo.toml builds. Called by check.sh.
"""

import json
import re
import sys
from pathlib import Path

import manifests
import yaml

# Helm's own, which is handed to every chart.
HELMS_OWN = {"global"}


def documented(lines, key):
    """Whether the comment above a key says what it is, in the form that helm-docs reads."""
    above = []
    for line in reversed(lines[: key.start_mark.line]):
        if not line.strip().startswith("#"):
            break
        above.append(line.strip())
    return any(line.startswith("# -- ") for line in above)


def problems(node, schema, lines, path=""):
    """What is wrong below a mapping of values.yaml, beside its schema. A documented value ends the way: what is inside it is its own form."""
    keys = {key.value: (key, value) for key, value in node.value}
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is not False:
        yield f"the schema of {path or 'the values'} takes keys that nobody knows: additionalProperties must be false"
    for name in properties.keys() - keys.keys() - HELMS_OWN:
        yield f"{path}{name} is in the schema and not in values.yaml"
    for name in keys.keys() - properties.keys():
        yield f"{path}{name} is in values.yaml and not in the schema"
    for name in keys.keys() & properties.keys():
        key, value = keys[name]
        if documented(lines, key):
            continue
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            yield from problems(value, properties[name], lines, f"{path}{name}.")
        else:
            yield f"{path}{name} is not documented: a line `# -- ...` above it says what it is"


def versions():
    chart = yaml.safe_load((manifests.CHART / "Chart.yaml").read_text())
    cargo = re.search(r'^version = "(.*)"$', Path("Cargo.toml").read_text(), re.M)[1]
    if chart["appVersion"] != cargo:
        yield f"Chart.yaml has the appVersion {chart['appVersion']}, and Cargo.toml builds {cargo}"
    oldest = manifests.KUBERNETES[0].rsplit(".", 1)[0]
    if f">={oldest}." not in chart["kubeVersion"]:
        yield f"Chart.yaml has the kubeVersion {chart['kubeVersion']}, and the checks begin with {oldest}"
    pinned = re.search(r"^SCHEMAS_KUBERNETES='(.*)'$", Path("scripts/tools/versions.env").read_text(), re.M)[1]
    if tuple(pinned.split()) != manifests.KUBERNETES:
        yield f"scripts/tools/versions.env pins schemas of {pinned}, and scripts/chart/manifests.py wants {' '.join(manifests.KUBERNETES)}"


def spoilt(text, schema):
    """Proof that the above can fail: values.yaml and its schema with one thing wrong each must be complained of."""
    hidden = {**schema, "properties": {key: it for key, it in schema["properties"].items() if key != "image"}}
    cases = [
        (re.sub(r"(?m)^ *# -- Type of the Service\.\n", "", text), schema, "service.type is not documented"),
        (text.replace("  pullSecrets: []\n", ""), schema, "image.pullSecrets is in the schema and not"),
        (text + "# -- Something.\nsomething: 1\n", schema, "something is in values.yaml and not"),
        (text, hidden, "image is in values.yaml and not"),
        (text, {**schema, "additionalProperties": True}, "takes keys that nobody knows"),
    ]
    for changed, its_schema, sentence in cases:
        if not any(sentence in it for it in problems(yaml.compose(changed), its_schema, changed.splitlines())):
            yield f"the check of values.yaml does not say {sentence!r} of what was spoilt on purpose"


def main():
    text = (manifests.CHART / "values.yaml").read_text()
    schema = json.loads((manifests.CHART / "values.schema.json").read_text())
    found = [*problems(yaml.compose(text), schema, text.splitlines()), *versions(), *spoilt(text, schema)]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    count = len(re.findall(r"(?m)^ *# -- ", text))
    print(f"{count} values are documented and in the schema; the versions of chart, crate and schemas agree")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
