"""Small tokenizers of the families that text models use, trained on the texts of texts.py.

Training breaks ties in another way in every run, so a tokenizer that is in git is taken from there: without
that, no model could be made again. Remove its fixture to train another.
"""

from tokenizers import (
    ByteLevelBPETokenizer,
    SentencePieceUnigramTokenizer,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertTokenizerFast,
    DebertaV2TokenizerFast,
    DistilBertTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

from fixture import FOLDER
from texts import CORPUS

WORDS = 420


def kept(fixture, trained):
    """The tokenizer of a fixture in git, without what belongs to its use; a newly trained one where there is none."""
    path = FOLDER / fixture / "model" / "tokenizer.json"
    if not path.is_file():
        return trained()
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def trained_word_pieces(lower):
    """BERT's, with or without regard for upper case."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=WORDS, special_tokens=special, continuing_subword_prefix="##", show_progress=False))
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", first), ("[SEP]", last)])
    return tokenizer


def word_pieces(most, lower=True, kind=BertTokenizerFast):
    """BERT's."""
    tokenizer = kept("hf-bert" if lower else "hf-distilbert", lambda: trained_word_pieces(lower))
    return kind(tokenizer_object=tokenizer, do_lower_case=lower, model_max_length=most)


def distil_pieces(most):
    """The same for DistilBERT, which has no token types."""
    return word_pieces(most, lower=False, kind=DistilBertTokenizerFast)


def trained_byte_pairs():
    """RoBERTa's, over bytes."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(CORPUS, vocab_size=WORDS, special_tokens=special, show_progress=False)
    tokenizer = trained._tokenizer
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def byte_pairs(most):
    """RoBERTa's, over bytes."""
    return RobertaTokenizerFast(tokenizer_object=kept("hf-roberta", trained_byte_pairs), model_max_length=most)


def unigrams(special, unknown):
    """SentencePiece's unigrams."""
    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        CORPUS, vocab_size=WORDS, special_tokens=special, unk_token=unknown, show_progress=False)
    return trained._tokenizer


def sentence_pieces(most):
    """XLM-R's: unigrams between RoBERTa's special tokens."""
    tokenizer = kept("hf-xlm-roberta", lambda: unigrams(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return XLMRobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=most)


def deberta_pieces(most):
    """DeBERTa-v2's: unigrams between BERT's special tokens."""
    tokenizer = kept("hf-deberta", lambda: unigrams(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[UNK]"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return DebertaV2TokenizerFast(tokenizer_object=tokenizer, model_max_length=most)


def as_saved_after_use(path):
    """Writes padding and truncation into tokenizer.json, as a tokenizer has it that is saved after such a call."""
    used = Tokenizer.from_file(str(path))
    used.enable_padding(length=32, pad_id=used.token_to_id("[PAD]"), pad_token="[PAD]")
    used.enable_truncation(max_length=8)
    used.save(str(path))
