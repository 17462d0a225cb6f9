"""usage: schemas.py core WHEEL VERSION DEST
       schemas.py crds CRDS DEST

Writes JSON schemas for kubeconform, which refuse a field that nobody knows.

core: Kubernetes's own kinds, out of the wheel `kubernetes-validate`. What it has refers to itself by web addresses;
here the references are to files, so that nothing is asked of a network.

crds: one schema for each served version of every CustomResourceDefinition in the YAML files below the folder CRDS, in
DEST/GROUP/KIND_VERSION.json. They say what an API server would with `fieldValidation: Strict`, without its rules in CEL.
"""

import json
import pathlib
import sys
import zipfile

import yaml

# What an API server's object metadata may hold, with the types of what people write.
TEXTS = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
TEXT = {"type": ["string", "null"]}
METADATA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "annotations": TEXTS,
        "creationTimestamp": TEXT,
        "deletionGracePeriodSeconds": {"type": ["integer", "null"]},
        "deletionTimestamp": TEXT,
        "finalizers": {"type": ["array", "null"], "items": {"type": "string"}},
        "generateName": TEXT,
        "generation": {"type": ["integer", "null"]},
        "labels": TEXTS,
        "managedFields": {"type": ["array", "null"]},
        "name": TEXT,
        "namespace": TEXT,
        "ownerReferences": {"type": ["array", "null"], "items": {"type": "object"}},
        "resourceVersion": TEXT,
        "selfLink": TEXT,
        "uid": TEXT,
    },
}
# What JSON Schema and an OpenAPI schema of Kubernetes have in common as it stands.
KEPT = (
    "type", "format", "enum", "required", "pattern", "minimum", "maximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "anyOf", "oneOf", "allOf", "not",
)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.1 gives a bare `=` a type of its own, which some definitions have among the values of an enum."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def translate(schema):
    """One structural schema of a CustomResourceDefinition, and all within, as a strict JSON schema."""
    result = {key: schema[key] for key in KEPT if key in schema}
    for limit in ("Minimum", "Maximum"):
        # a flag beside the limit there, the limit itself here
        if schema.get(f"exclusive{limit}") and limit.lower() in result:
            result[f"exclusive{limit}"] = result.pop(limit.lower())
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("format", None)
        result["type"] = ["integer", "string"]
    if "items" in schema:
        result["items"] = translate(schema["items"])
    properties = {name: translate(inner) for name, inner in schema.get("properties", {}).items()}
    if schema.get("x-kubernetes-embedded-resource"):
        properties |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": METADATA}
    if properties:
        result["properties"] = properties
    if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        more = schema.get("additionalProperties", False)
        result["additionalProperties"] = translate(more) if isinstance(more, dict) else more
    if schema.get("nullable"):
        nullable(result)
    return result


def nullable(schema):
    if isinstance(schema.get("type"), list):
        schema["type"].append("null")
    elif "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]


def of_version(definition, version):
    """The whole schema of one version of a definition."""
    spec = definition["spec"]
    schema = translate(version["schema"]["openAPIV3Schema"])
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    schema.setdefault("properties", {}).update({
        "apiVersion": {"type": "string", "enum": [f"{spec['group']}/{version['name']}"]},
        "kind": {"type": "string", "enum": [spec["names"]["kind"]]},
        "metadata": METADATA,
    })
    schema["required"] = sorted({"apiVersion", "kind", "metadata", *schema.get("required", [])})
    return schema


def write(path, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")), encoding="utf-8")


def crds(folder, dest):
    count = 0
    for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
        for definition in yaml.load_all(path.read_text(encoding="utf-8"), Loader):
            if not definition or definition.get("kind") != "CustomResourceDefinition":
                continue
            spec = definition["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    name = f"{spec['names']['kind'].lower()}_{version['name']}.json"
                    write(pathlib.Path(dest, spec["group"], name), of_version(definition, version))
                    count += 1
    return count


def by_file(schema):
    """The schema without its own address, its references to the definitions by the file's name."""
    if isinstance(schema, list):
        return [by_file(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: by_file(inner) for key, inner in schema.items() if not (key == "$id" and isinstance(inner, str))}
    if isinstance(result.get("$ref"), str):
        result["$ref"] = result["$ref"].replace("/api/_definitions.json", "_definitions.json")
    if isinstance(result.get("description"), str):
        del result["description"]
    return result


def core(wheel, version, dest):
    prefix = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(prefix) and name.endswith(".json"):
                write(pathlib.Path(dest, name.removeprefix(prefix)), by_file(json.loads(archive.read(name))))
                count += 1
    return count


def main(arguments):
    known = {("core", 4): core, ("crds", 3): crds}
    command = known.get((arguments[0] if arguments else "", len(arguments)))
    if not command:
        sys.exit(__doc__)
    count = command(*arguments[1:])
    if not count:
        sys.exit(f"error: {arguments[1]} has none of the schemas that '{' '.join(arguments)}' is to take from it")
    print(f"wrote {count} schemas to {arguments[-1]}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
