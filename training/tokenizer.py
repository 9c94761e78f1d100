"""The small checkpoint's tokenizer: bytes, whole accented letters, and the published special tokens.

Spelling is learnt far sooner than sub-words, and an OCR model of this size has nothing to say that
is not on the page. Merges therefore only join what is one character in print, and the punctuation
of boxes.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from training.charset import CHARSET

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
#: Names as in the published tokenizer.json; ids differ, and are looked up by name.
SPECIAL_TOKENS = (
    BOS,
    EOS,
    PAD,
    "<image>",
    "<|ref|>",
    "<|/ref|>",
    "<|det|>",
    "<|/det|>",
    "<|grounding|>",
    "<td>",
    "</td>",
    "<tr>",
    "</tr>",
    "<|User|>",
    "<|Assistant|>",
)
#: Ordinary text in the published vocabulary; one token each here, for shorter tables.
_WHOLE_WORDS = ("<table>", "</table>")
_BOX_PUNCTUATION = ("[[", "]]", ", ")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; the same each time."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    for symbol in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[symbol] = len(vocabulary)
    merges: list[tuple[str, str]] = []
    whole = [*_BOX_PUNCTUATION, *(character for character in CHARSET if ord(character) > 127)]
    for text in whole:
        ((symbols, _),) = byte_level.pre_tokenize_str(text)
        for end in range(2, len(symbols) + 1):
            if symbols[:end] not in vocabulary:
                vocabulary[symbols[:end]] = len(vocabulary)
                merges.append((symbols[: end - 1], symbols[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in _WHOLE_WORDS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(directory: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``."""
    build_tokenizer().save_pretrained(directory)
