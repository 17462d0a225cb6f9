"""Copies of the models with another execution, precision and golden samples: folders that go when the check ends."""

import json

from measure.models import link

# Rows of one run that the server may take, beyond its default of 32.
LARGEST = 256


class Copies:
    """Where they lie."""

    def __init__(self, models, folder):
        self.models, self.folder, self.count = models, folder, 0

    def make(self, name, execution, served=None, golden=(), batching=LARGEST):
        """A copy of the model `name`, called `served`; its folder.

        `execution` are lines of [execution], `golden` pairs of input and expected members with a tolerance.
        """
        self.count += 1
        source, copy = self.models.path(name), self.folder / "copies" / str(self.count) / (served or name)
        (copy / "1").mkdir(parents=True)
        for file in ("tokenizer.json", "1/model.onnx"):
            if (source / file).exists():
                link(source / file, copy / file)
        text = (source / "model.toml").read_text().partition("\n[[golden]]")[0]
        text = "\n".join(line for line in text.splitlines() if not line.startswith("name = "))
        head, mark, tables = text.partition("\n[")
        parts = [head, f'name = "{served or name}"', mark.removesuffix("[") + mark[1:] + tables if mark else ""]
        parts += ["[execution]", *execution, "", "[batching]", f"max_batch_size = {batching}"]
        for sample, expected, tolerance in golden:
            parts += ["", "[[golden]]", f"input = {toml(sample)}", f"expected = {toml(expected)}"]
            parts += [f"tolerance = {tolerance}"]
        (copy / "model.toml").write_text("\n".join(parts) + "\n")
        return copy


def toml(value):
    """A value as TOML writes it inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def execution(provider, *more, **options):
    """Lines of [execution] for one provider, with its options in a table of their own."""
    lines = [f'providers = ["{provider}"]', *more]
    if options:
        lines += ["", f"[execution.{provider}]", *(f'{key} = "{value}"' for key, value in options.items())]
    return lines
