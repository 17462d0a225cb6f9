"""Text classifiers as optimum exports them, with what transformers' pipeline answers."""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import pipeline

import hf_models
import hf_tokenizers
from fixture import Fixture
from texts import LONG, LONG_PAIRS, PAIRS, SINGLE

OPTIMUM = f"optimum {version('optimum')}, optimum-onnx {version('optimum-onnx')}"
PIPELINE = f"pipeline of transformers {version('transformers')}, PyTorch {version('torch').split('+')[0]}"
SENTENCE = version("sentence-transformers")
TOLERANCE = 1e-4
MOODS = ["negative", "neutral", "positive"]
JSON = "application/json"


def optimum(*arguments):
    """Runs optimum-cli as a user does."""
    command = [Path(sys.executable).parent / "optimum-cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: optimum-cli {' '.join(map(str, arguments))}: {done.stderr[-2000:]}")


def balanced(model, tokenizer):
    """The model with logits of mean 0 and deviation 1.5 over the texts, so that no class always wins."""
    with torch.no_grad():
        rows = [model(**tokenizer(text, truncation=True, max_length=40, return_tensors="pt")).logits for text in SINGLE]
        logits = torch.cat(rows)
        last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
        deviation = logits.std(dim=0) / 1.5
        last.weight.div_(deviation[:, None])
        last.bias.copy_((last.bias - logits.mean(dim=0)) / deviation)
    return model


def saved(model, tokenizer, work):
    """The model's folder as transformers writes it."""
    folder = work / "saved"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def exported(model, tokenizer, work, task="text-classification"):
    """The model's folder as optimum writes it."""
    out = work / "model"
    optimum("export", "onnx", "--model", saved(model, tokenizer, work), "--task", task, out)
    return out


def instance(given):
    """A text, or two, in the form that both the server and the pipeline take."""
    return {"text": given} if isinstance(given, str) else {"text": given[0], "text_pair": given[1]}


def prediction(scores):
    """The pipeline's answer in the server's form."""
    scores = sorted(scores, key=lambda entry: -entry["score"])
    values = {entry["label"]: round(entry["score"], 8) for entry in scores}
    return {"label": scores[0]["label"], "confidence": round(scores[0]["score"], 8), "scores": values}


def answered(pipe, given, **options):
    """What the pipeline says of one text or pair."""
    return prediction(pipe(instance(given), top_k=None, **options))


def spread(made):
    """Ends the run where many texts get the same answer: such answers would prove little."""
    confidences = [case["expected"]["confidence"] for case in made]
    if len({round(confidence, 3) for confidence in confidences}) < len(made) - 2:
        sys.exit(f"error: answers are too much alike: {confidences}")


def cases(pipe, texts, long=()):
    """Each text alone, all in one list, and those that are cut off."""
    if not texts:
        return []
    single = [{"content_type": JSON, "body": instance(given), "expected": answered(pipe, given)} for given in texts]
    spread(single)
    listed = {"instances": [given if isinstance(given, str) else instance(given) for given in texts]}
    single.append({"content_type": JSON, "body": listed,
                   "expected": {"predictions": [case["expected"] for case in single]}})
    for given in long:
        body = instance(given) | {"parameters": {"truncate": True}}
        single.append({"content_type": JSON, "body": body, "expected": answered(pipe, given, truncation=True)})
    if long:
        single.append({"content_type": JSON, "body": instance(long[0]), "status": 400,
                       "expected": {"code": "input_too_long", "retryable": False}})
    return single


def classifier(work, name, what, model, tokenizer, given, long=(), files=None, **members):
    """The fixture of one classifier; `files` changes the exported folder, or chooses the files of it."""
    balanced(model, tokenizer)
    out = exported(model, tokenizer, work)
    if files:
        files(out)
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer)
    kind = type(model).__name__
    defaults = {
        "exporter": OPTIMUM, "layout": "Hugging Face", "path": "model", "task": "text-classification",
        "export": "optimum-cli export onnx --model MODEL --task text-classification model", "python": PIPELINE,
        "cases": cases(pipe, given, long), "tolerance": TOLERANCE,
        "notes": [f"recognised: a Hugging Face export (config.json: {kind})"],
        "write": lambda part: shutil.copytree(out, part / "model"),
    }
    return Fixture(name=name, what=f"{kind}, {what}", **(defaults | members))


def bert(work):
    """Token types, labels, pairs."""
    tokenizer = hf_tokenizers.word_pieces(64)
    return classifier(work, "hf-bert", "WordPiece in lower case, 3 labels, texts and pairs",
                      hf_models.bert(tokenizer, MOODS), tokenizer, [*SINGLE, *PAIRS], [LONG, *LONG_PAIRS])


def bert_limits(work):
    """A tokenizer without a limit, whose file asks for padding and a truncation to eight tokens."""
    tokenizer = hf_tokenizers.word_pieces(int(1e30))
    plain = hf_tokenizers.word_pieces(40)
    model = hf_models.bert(plain, ["no", "yes"], positions=40)
    fixture = classifier(work, "hf-bert-limits", "padding and truncation in tokenizer.json, no limit but 40 positions",
                         model, tokenizer, [],
                         files=lambda out: hf_tokenizers.as_saved_after_use(out / "tokenizer.json"))
    pipe = pipeline("text-classification", model=model, tokenizer=plain)
    fixture.cases = cases(pipe, [SINGLE[0], SINGLE[1], SINGLE[9], PAIRS[0]], [LONG, LONG_PAIRS[0]])
    return fixture


def distilbert(work):
    """No token types, upper case kept."""
    tokenizer = hf_tokenizers.distil_pieces(64)
    return classifier(work, "hf-distilbert", "WordPiece with upper case, no token types, 2 labels",
                      hf_models.distilbert(tokenizer, ["NEGATIVE", "POSITIVE"]), tokenizer, [*SINGLE, *PAIRS],
                      [LONG, *LONG_PAIRS])


def roberta(work):
    """Byte-level BPE."""
    tokenizer = hf_tokenizers.byte_pairs(64)
    return classifier(work, "hf-roberta", "byte-level BPE, positions from behind the padding, 3 labels",
                      hf_models.roberta(tokenizer, ["LABEL_0", "LABEL_1", "LABEL_2"]), tokenizer, [*SINGLE, *PAIRS],
                      [LONG, *LONG_PAIRS])


def roberta_limits(work):
    """No limit is given; of 66 positions 64 are for tokens, since they are counted from behind the padding's number."""
    plain = hf_tokenizers.byte_pairs(64)
    model = hf_models.roberta(plain, ["no", "yes"])
    made = classifier(work, "hf-roberta-limits", "no model_max_length: 66 positions are 64 tokens", model,
                      hf_tokenizers.byte_pairs(int(1e30)), [])
    made.cases = cases(pipeline("text-classification", model=model, tokenizer=plain), [SINGLE[0], PAIRS[0]],
                       [LONG, LONG_PAIRS[0]])
    return made


def xlm_roberta(work):
    """Unigrams."""
    tokenizer = hf_tokenizers.sentence_pieces(64)
    return classifier(work, "hf-xlm-roberta", "SentencePiece's unigrams, 4 labels",
                      hf_models.roberta(tokenizer, ["de", "en", "fr", "other"], "XLMRoberta"), tokenizer,
                      [*SINGLE, *PAIRS], [LONG, *LONG_PAIRS])


def deberta(work):
    """Relative positions."""
    tokenizer = hf_tokenizers.deberta_pieces(64)
    return classifier(work, "hf-deberta", "natural language inference: pairs, relative positions, 3 labels",
                      hf_models.deberta(tokenizer, ["entailment", "neutral", "contradiction"]), tokenizer,
                      [*PAIRS, *SINGLE[:4]], [*LONG_PAIRS, LONG])


def multi_label(work):
    """Sigmoid for each label."""
    tokenizer = hf_tokenizers.word_pieces(64)
    model = hf_models.bert(tokenizer, ["toxic", "insult", "threat", "spam"], problem_type="multi_label_classification")
    return classifier(work, "hf-multi-label", "multi_label_classification: a sigmoid for each of 4 labels", model,
                      tokenizer, SINGLE, [LONG])


def one_logit(work):
    """A single score, which is a probability."""
    tokenizer = hf_tokenizers.word_pieces(64)
    return classifier(work, "hf-one-logit", "one label: a sigmoid", hf_models.bert(tokenizer, ["LABEL_0"]), tokenizer,
                      [*PAIRS, *SINGLE[:5]], LONG_PAIRS)


def regression(work):
    """A single score, which is a number."""
    tokenizer = hf_tokenizers.word_pieces(64)
    model = hf_models.bert(tokenizer, ["LABEL_0"], problem_type="regression")
    return classifier(work, "hf-regression", "problem_type regression: the number as it is", model, tokenizer,
                      [*PAIRS, *SINGLE[:5]])


def reranker(work):
    """A cross-encoder whose config.json says that its score is no probability, as the published rerankers have it."""
    tokenizer = hf_tokenizers.word_pieces(64)
    identity = {"activation_fn": "torch.nn.modules.linear.Identity", "version": SENTENCE}
    model = hf_models.bert(tokenizer, ["LABEL_0"], sentence_transformers=identity)
    made = classifier(work, "hf-reranker", "a cross-encoder whose activation_fn is Identity: the number as it is",
                      model, tokenizer, [], python=f"predict of CrossEncoder, sentence-transformers {SENTENCE}")
    encoder = CrossEncoder(str(saved(model, tokenizer, work)), device="cpu")
    made.cases = []
    for pair in [*PAIRS, (SINGLE[0], SINGLE[5])]:
        score = round(float(encoder.predict(pair)), 7)
        expected = {"label": "LABEL_0", "confidence": score, "scores": {"LABEL_0": score}}
        made.cases.append({"content_type": JSON, "body": instance(pair), "expected": expected})
    return made


def quantize(out):
    """Puts model_quantized.onnx beside the others, by optimum's own command."""
    quantized = out.parent / "quantized"
    optimum("onnxruntime", "quantize", "--onnx_model", out, "--avx2", "-o", quantized)
    shutil.copy(quantized / "model_quantized.onnx", out)


def beside_quantized(work):
    """Two graphs in a folder: the one that is called model.onnx answers."""
    tokenizer = hf_tokenizers.word_pieces(64)
    return classifier(work, "hf-quantized-beside", "model.onnx, with model_quantized.onnx beside it",
                      hf_models.bert(tokenizer, MOODS), tokenizer, SINGLE[:4], files=quantize)


def only_quantized(work):
    """The only graph of a folder, by whatever name."""
    from optimum.onnxruntime import ORTModelForSequenceClassification

    tokenizer = hf_tokenizers.word_pieces(64)

    def files(out):
        quantize(out)
        (out / "model.onnx").unlink()

    fixture = classifier(
        work, "hf-quantized", "INT8 weights (dynamic), model_quantized.onnx alone", hf_models.bert(tokenizer, MOODS),
        tokenizer, [], files=files, python=f"ORTModelForSequenceClassification of {OPTIMUM}",
        export="optimum-cli onnxruntime quantize --onnx_model MODEL --avx2 -o model")
    model = ORTModelForSequenceClassification.from_pretrained(work / "model", file_name="model_quantized.onnx")
    fixture.cases = cases(pipeline("text-classification", model=model, tokenizer=tokenizer), SINGLE[:8])
    return fixture


BUILDERS = {
    "hf-bert": bert, "hf-bert-limits": bert_limits, "hf-distilbert": distilbert, "hf-roberta": roberta,
    "hf-roberta-limits": roberta_limits,
    "hf-xlm-roberta": xlm_roberta, "hf-deberta": deberta, "hf-multi-label": multi_label, "hf-one-logit": one_logit,
    "hf-regression": regression, "hf-reranker": reranker, "hf-quantized-beside": beside_quantized,
    "hf-quantized": only_quantized,
}
