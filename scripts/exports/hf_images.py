"""Image classifiers as optimum exports them, with what transformers' pipeline answers."""

import base64
import shutil
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import pipeline

import hf_models
from fixture import Fixture
from hf_texts import JSON, OPTIMUM, PIPELINE, optimum, prediction, saved
from processors import HALVES, IMAGENET, processor

PICTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "images"
PNG, JPEG = ["large.png", "palette.png", "rgba.png", "grey.png", "tiny.png"], ["halved.jpg", "turned-6.jpg"]
# Resizing and decoders of JPEG differ by a level here and there: in every value that moves a score by some 4e-3.
TOLERANCE = 1e-2


def processor_of(settings):
    """The object that preprocessor_config.json describes."""
    return getattr(transformers, settings["image_processor_type"]).from_dict(settings)


def balanced(model, reader):
    """The model with logits of mean 0 and deviation 1.5 over the pictures, so that no class always wins."""
    pictures = [Image.open(PICTURES / name).convert("RGB") for name in [*PNG, *JPEG]]
    with torch.no_grad():
        logits = model(**reader(pictures, return_tensors="pt")).logits
        last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
        deviation = logits.std(dim=0) / 1.5
        last.weight.div_(deviation[:, None])
        last.bias.copy_((last.bias - logits.mean(dim=0)) / deviation)
    return model


def encoded(name):
    """A picture in JSON."""
    return {"b64": base64.b64encode((PICTURES / name).read_bytes()).decode()}


def cases(pipe):
    """Pictures as bodies, in JSON, and in one list."""
    names = [*PNG, *JPEG]
    answers = {name: prediction(pipe(str(PICTURES / name), top_k=10)) for name in names}
    made = [{"content_type": "image/png" if name in PNG else "image/jpeg", "body_file": name, "expected": answers[name]}
            for name in names]
    made.append({"content_type": JSON, "body": encoded("palette.png"), "expected": answers["palette.png"]})
    made.append({"content_type": JSON, "body": {"instances": [encoded(name) for name in ["tiny.png", "grey.png"]]},
                 "expected": {"predictions": [answers["tiny.png"], answers["grey.png"]]}})
    return made


def classifier(work, name, what, model, settings):
    """The fixture of one classifier."""
    reader = processor_of(settings)
    balanced(model, reader)
    out = work / "model"
    optimum("export", "onnx", "--model", saved(model, reader, work), "--task", "image-classification", out)
    kind = type(model).__name__

    def write(part):
        shutil.copytree(out, part / "model")
        for picture in [*PNG, *JPEG]:
            shutil.copy(PICTURES / picture, part)

    return Fixture(
        name=name, exporter=OPTIMUM, layout="Hugging Face", what=f"{kind}, {what}", path="model",
        export="optimum-cli export onnx --model MODEL --task image-classification model", task="image-classification",
        python=PIPELINE, tolerance=TOLERANCE, write=write,
        notes=[f"recognised: a Hugging Face export (config.json: {kind})", settings["image_processor_type"]],
        cases=cases(pipeline("image-classification", model=model, image_processor=reader)))


def vit(work):
    """Resized to a square, whatever its shape."""
    settings = processor("ViTImageProcessor", 2, HALVES, size={"height": 32, "width": 32})
    return classifier(work, "hf-vit", "32 x 32 pixels, bilinear, 4 labels",
                      hf_models.vit(["cat", "dog", "bird", "fish"]), settings)


def resnet(work):
    """The middle of what is a little larger."""
    settings = processor("ConvNextImageProcessor", 3, IMAGENET, size={"shortest_edge": 32}, crop_pct=0.875)
    return classifier(work, "hf-resnet", "the middle 32 x 32 of 36 pixels, bicubic, 3 labels",
                      hf_models.resnet(["tabby, tabby cat", "tiger cat", "Egyptian cat"]), settings)


BUILDERS = {"hf-vit": vit, "hf-resnet": resnet}
