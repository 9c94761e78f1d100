"""Tokens with their log-probabilities in a few characters, for recorded outputs.

Each token has one character for its length in bytes and one for its log-probability. The square root makes
steps fine where tokens are likely: values around -0.1 are wrong by 0.02 at most, values around -10 by 0.2.
"""

from __future__ import annotations

import math

from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

#: The first printable character of ASCII but the space, and how many follow it.
_FIRST, _MOST = 33, 93
#: Steps to a unit of the square root: the least log-probability that can be told apart is -21.6.
_STEPS = 20.0


def pack(probabilities: TokenProbabilities) -> dict[str, str]:
    """Return lengths and log-probabilities of tokens, whose bytes are those of the text."""
    return {
        "lengths": "".join(chr(_FIRST + len(piece)) for piece in probabilities.pieces),
        "log_probabilities": "".join(
            chr(_FIRST + min(_MOST, round(_STEPS * math.sqrt(-min(0.0, value)))))
            for value in probabilities.log_probabilities
        ),
    }


def unpack(text: str, fields: dict[str, str]) -> TokenProbabilities:
    """Return the tokens of a text.

    :param text: the text that all tokens together spell.
    :param fields: what :func:`pack` returned.
    """
    written, pieces, start = text.encode(), [], 0
    for length in (ord(character) - _FIRST for character in fields["lengths"]):
        pieces.append(written[start : start + length])
        start += length
    values = [-(((ord(each) - _FIRST) / _STEPS) ** 2) for each in fields["log_probabilities"]]
    return TokenProbabilities(pieces=tuple(pieces), log_probabilities=tuple(values))
