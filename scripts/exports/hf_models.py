"""Small models of the architectures that are exported most, with seeded weights.

Weights are drawn wider than for training, so that answers depend on every token, on its place and on
which of two texts it is in: an answer that comes out the same without one of them proves nothing.
"""

import torch
import transformers

SEED = 20
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TEXT = {**SMALL, **DROPOUT, "initializer_range": 0.25}


def seeded(kind, config):
    """A model of the class with weights of its own."""
    torch.manual_seed(SEED)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.1)
            if "embeddings" in name and name.endswith("embeddings.weight"):
                weight.mul_(4)
    return model


def names(labels):
    """The keys of config.json that name classes."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def bert(tokenizer, labels, positions=64, **settings):
    """BERT with token types."""
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=positions, pad_token_id=tokenizer.pad_token_id, **TEXT,
        **names(labels), **settings)
    return seeded(transformers.BertForSequenceClassification, config)


def distilbert(tokenizer, labels):
    """DistilBERT, which knows no token types."""
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
        dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, initializer_range=0.25, **names(labels))
    return seeded(transformers.DistilBertForSequenceClassification, config)


def roberta(tokenizer, labels, kind="Roberta", **settings):
    """RoBERTa or XLM-R, whose positions are counted from behind the padding's number."""
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, **TEXT, **names(labels), **settings)
    return seeded(getattr(transformers, f"{kind}ForSequenceClassification"), config)


def deberta(tokenizer, labels):
    """DeBERTa-v3: relative positions, and token types that the graph may not take."""
    config = transformers.DebertaV2Config(
        vocab_size=len(tokenizer), max_position_embeddings=64, relative_attention=True, position_buckets=16,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        type_vocab_size=0, pad_token_id=tokenizer.pad_token_id, pooler_hidden_size=32, **names(labels),
        **(TEXT | {"num_hidden_layers": 1}))
    return seeded(transformers.DebertaV2ForSequenceClassification, config)


def encoder(tokenizer):
    """BERT without a head."""
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id, **TEXT)
    return seeded(transformers.BertModel, config)


def calmed(model):
    """The model with a first layer that sees areas more than single pixels, as trained ones do.

    Two good decoders differ by a level here and there; weights of noise would make a great thing of it.
    """
    first = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d))
    with torch.no_grad():
        areas = torch.randn(*first.weight.shape[:2], 1, 1) / first.weight[0, 0].numel() ** 0.5
        first.weight.mul_(0.1).add_(areas)
    return model


def vit(labels):
    """A vision transformer of 32 x 32 pixels."""
    config = transformers.ViTConfig(image_size=32, patch_size=8, **SMALL, **DROPOUT, initializer_range=0.2,
                                    **names(labels))
    return calmed(seeded(transformers.ViTForImageClassification, config))


def resnet(labels):
    """A ResNet of basic blocks, with the statistics of a batch normalization that has seen something."""
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
                                       **names(labels))
    model = calmed(seeded(transformers.ResNetForImageClassification, config))
    model.train()
    with torch.no_grad():
        for _ in range(20):
            areas = torch.randn(8, 3, 4, 4)
            model(torch.nn.functional.interpolate(areas, size=(32, 32), mode="bilinear"))
    return model.eval()
