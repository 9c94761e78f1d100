"""A tokenizer for the recorded checkpoint, which came without one: its ids, and words for them.

It gives the recorded ids for the recorded prompts, and each other id a word that names it.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

#: Ids that the published tokenizer gives for the pieces of the recorded prompts.
_PIECES = {
    "\n": 201, "Convert": 21842, " the": 270, " document": 4940, " to": 304, " mark": 2121,
    "down": 7919, ".": 16, "Free": 21431, " OCR": 126041,
}  # fmt: skip
_SPECIAL = {
    "<｜begin▁of▁sentence｜>": 0, "<｜end▁of▁sentence｜>": 1, "<｜▁pad▁｜>": 2, "<image>": 128815,
    "<|grounding|>": 128820, "<td>": 128821, "</td>": 128822,
}  # fmt: skip


def write_golden_tokenizer(folder: Path, vocabulary: int) -> Tokenizer:
    """Write it as a checkpoint has it.

    :param folder: of the checkpoint.
    :param vocabulary: how many ids there are.
    """
    named = {number: word for word, number in {**_PIECES, **_SPECIAL}.items()}
    words = {named.get(number, f"t{number}"): number for number in range(vocabulary)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<｜▁pad▁｜>"))
    pattern = "|".join(piece.replace(".", r"\.") for piece in _PIECES)
    tokenizer.pre_tokenizer = Split(Regex(pattern), "isolated")
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    begin, end, pad = list(_SPECIAL)[:3]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
        "pad_token": pad,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer
