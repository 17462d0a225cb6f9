"""Copies of the models with another execution, precision and golden samples: folders that go when the check ends."""

import json

from measure.models import link

# Rows of one run that the server may take: texts, and pictures, whose convolutions are tuned anew for every size.
LARGEST, LARGEST_PICTURES = 256, 64
# Where only answers are compared.
FEW = 8


def largest(name):
    """Rows of one run of a model, where it is to be fast."""
    return LARGEST_PICTURES if name.startswith("resnet") else LARGEST


class Copies:
    """Where they lie."""

    def __init__(self, models, folder):
        self.models, self.folder, self.count = models, folder, 0

    def make(self, name, execution, golden=(), batching=FEW):
        """A copy of the model `name`; its folder.

        `execution` are lines of [execution], `golden` inputs with expected members and a tolerance.
        """
        self.count += 1
        source, copy = self.models.path(name), self.folder / "copies" / str(self.count) / name
        (copy / "1").mkdir(parents=True)
        for file in ("tokenizer.json", "1/model.onnx"):
            if (source / file).exists():
                link(source / file, copy / file)
        text = (source / "model.toml").read_text().partition("\n[[golden]]")[0]
        head, mark, tables = text.partition("\n[")
        parts = [head, *(["[" + tables] if mark else [])]
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
