"""Folders of sentence-transformers with an ONNX graph, with what its own `encode` answers."""

import json
import shutil
import sys
from importlib.metadata import version

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

import hf_models
import hf_tokenizers
from fixture import Fixture
from hf_texts import JSON, OPTIMUM, TOLERANCE, optimum
from texts import LONG, SINGLE

SENTENCE = f"sentence-transformers {version('sentence-transformers')}"
PYTHON = f"encode of {SENTENCE}, PyTorch {version('torch').split('+')[0]}"
WIDTH = 32
# What belongs to PyTorch, and the description that is written for a hub.
LEFT_OUT = shutil.ignore_patterns("*.safetensors", "README.md")


def encoder(work, tokenizer, most=None):
    """The first module, over a small BERT."""
    folder = work / "encoder"
    hf_models.encoder(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Transformer(str(folder), max_seq_length=most)


def answered(model, text):
    """What the library makes of a text."""
    vector = model.encode(text)
    prompt = model.prompts[model.default_prompt_name] if model.default_prompt_name else ""
    tokens = model.tokenizer((prompt + text).strip(), truncation=True, max_length=model.max_seq_length)
    return {"embedding": [round(float(value), 7) for value in vector], "tokens": len(tokens["input_ids"])}


def cases(model, texts=(*SINGLE[:10], SINGLE[11])):
    """A text alone, all in one list, one that is cut off and one that must not be."""
    answers = [answered(model, text) for text in texts]
    cut = {"text": LONG, "parameters": {"truncate": True}}
    listed = {"instances": list(texts), "parameters": {"truncate": True}}
    return [
        {"content_type": JSON, "body": {"text": texts[0]}, "expected": answers[0]},
        {"content_type": JSON, "body": listed, "expected": {"predictions": answers}},
        {"content_type": JSON, "body": cut, "expected": answered(model, LONG)},
        {"content_type": JSON, "body": {"text": LONG}, "status": 400, "expected": {"code": "input_too_long"}},
    ]


def fixture(name, what, model, out, export, **members):
    """The fixture of the folder `out`, which must load again and answer as `model`."""
    defaults = {
        "exporter": OPTIMUM, "layout": "Hugging Face", "path": "model", "task": "text-embedding", "python": PYTHON,
        "tolerance": TOLERANCE, "notes": ["recognised: a sentence-transformers model"], "cases": cases(model),
        "write": lambda part: shutil.copytree(out, part / "model", ignore=LEFT_OUT),
    }
    return Fixture(name=name, what=what, export=export, **(defaults | members))


def by_own_backend(model, work):
    """The model's folder with onnx/model.onnx, as sentence-transformers' ONNX backend writes it."""
    saved, out = work / "saved", work / "out"
    model.save_pretrained(str(saved))
    provider = {"export": True, "provider": "CPUExecutionProvider"}
    SentenceTransformer(str(saved), backend="onnx", device="cpu", model_kwargs=provider).save_pretrained(str(out))
    if not (out / "onnx" / "model.onnx").is_file():
        sys.exit("error: sentence-transformers wrote no onnx/model.onnx")
    return saved, out


OWN = 'SentenceTransformer(MODEL, backend="onnx").save_pretrained("model")'


def mean(work):
    """The common form."""
    modules = [encoder(work, hf_tokenizers.word_pieces(64), 48), Pooling(WIDTH, "mean"), Normalize()]
    saved, out = by_own_backend(SentenceTransformer(modules=modules, device="cpu"), work)
    return fixture("hf-sentence-mean", "mean pooling, normalized, onnx/model.onnx", SentenceTransformer(str(saved)),
                   out, OWN, exporter=SENTENCE)


def prompt(work):
    """A prompt before every text, and the highest of each dimension."""
    modules = [encoder(work, hf_tokenizers.word_pieces(64), 48), Pooling(WIDTH, "max")]
    prompts = {"query": "how do I find: ", "passage": "help: "}
    model = SentenceTransformer(modules=modules, device="cpu", prompts=prompts, default_prompt_name="query")
    saved, out = by_own_backend(model, work)
    return fixture("hf-sentence-prompt", "max pooling, a default prompt", SentenceTransformer(str(saved)), out, OWN,
                   exporter=SENTENCE)


def write_json(path, value):
    """A file as sentence-transformers indents it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def older(work):
    """Files as version 2 wrote them, which most published models still have."""
    tokenizer = hf_tokenizers.word_pieces(64, lower=False)
    folder, out = work / "older", work / "out"
    hf_models.encoder(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    pooling = {f"pooling_mode_{mode}": mode == "cls_token" for mode in modes}
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [{"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for index, (kind, path) in enumerate(kinds)]
    exported = work / "exported"
    optimum("export", "onnx", "--model", folder, "--task", "feature-extraction", "--library", "transformers", exported)
    for place in (folder, exported):
        write_json(place / "modules.json", modules)
        write_json(place / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **pooling})
        write_json(place / "sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": True})
        write_json(place / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.2.2"}})
    model = SentenceTransformer(str(folder), device="cpu")
    if model.max_seq_length != 40 or not model[0].do_lower_case or model[1].pooling_mode != "cls":
        sys.exit(f"error: the older files were read as {model}")
    shutil.move(exported, out)
    return fixture("hf-sentence-older", "files of version 2: cls pooling, normalized, lower-cased first", model, out,
                   "optimum-cli export onnx --model MODEL --task feature-extraction --library transformers model")


def dense(work):
    """The whole model in the graph, with a layer that no pooling file tells of."""
    import torch

    first = encoder(work, hf_tokenizers.word_pieces(64), 48)
    torch.manual_seed(hf_models.SEED)
    modules = [first, Pooling(WIDTH, "mean"), Dense(WIDTH, 16), Normalize()]
    folder, out = work / "saved", work / "out"
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))
    optimum("export", "onnx", "--model", folder, "--task", "feature-extraction", out)
    model = SentenceTransformer(str(folder), device="cpu")
    return fixture("hf-sentence-dense", "pooling and a dense layer in the graph: output sentence_embedding", model, out,
                   "optimum-cli export onnx --model MODEL --task feature-extraction model",
                   notes=["recognised: the graph pools itself: output sentence_embedding"])


BUILDERS = {
    "hf-sentence-mean": mean, "hf-sentence-prompt": prompt, "hf-sentence-older": older, "hf-sentence-dense": dense,
}
