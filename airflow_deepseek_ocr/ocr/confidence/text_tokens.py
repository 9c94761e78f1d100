"""The tokens behind each character of a text, with their log-probabilities.

Tokens are bytes: one may have a part of a character, or several characters, or characters of two words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airflow_deepseek_ocr.ocr.markup.box_rewriting import Edit
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

#: Least log-probability that counts. Servers write -9999 or -inf for a token without any probability.
_LEAST = -100.0
#: Broken characters of a text, at most; a text with more is no text, and its checks say so.
_MOST_BROKEN = 200


@dataclass(frozen=True, eq=False)
class TextTokens:
    """The tokens of a text.

    :param first: index of each character's first token.
    :param end: index of the token after each character's last one; ``first`` for a character that no token
        has.
    :param log_probabilities: of each token, -100 to 0.
    :param has_digit: whether each token has a digit.
    """

    first: np.ndarray
    end: np.ndarray
    log_probabilities: np.ndarray
    has_digit: np.ndarray

    def probabilities(self, starts: Sequence[int], lengths: Sequence[int]) -> list[float]:
        """Return the product of the probabilities of all tokens that have a part of each word.

        :param starts: the first character of each word.
        :param lengths: characters of each word, at least 1.
        """
        sums = np.concatenate(([0.0], np.cumsum(self.log_probabilities)))
        first = np.asarray(starts, dtype=np.int64)
        last = first + np.asarray(lengths, dtype=np.int64) - 1
        logs = sums[self.end[last]] - sums[self.first[first]]
        # A difference of sums may be above 0 by rounding.
        found: list[float] = np.exp(np.minimum(logs, 0.0)).tolist()
        return found

    def mean_of_numbers(self, start: int, end: int) -> float | None:
        """Return the mean log-probability of the tokens with digits; None without one.

        :param start: first character.
        :param end: the character after the last one.
        """
        if start >= end:
            return None
        tokens = slice(int(self.first[start]), int(self.end[end - 1]))
        numbers = self.log_probabilities[tokens][self.has_digit[tokens]]
        return float(numbers.mean()) if len(numbers) else None

    def edited(self, edits: Sequence[Edit]) -> TextTokens:
        """Return the tokens of an edited text: a new part has the tokens of the part before.

        :param edits: in order, without overlap.
        """
        if not edits:
            return self
        first, end, done = [], [], 0
        for edit in edits:
            first.append(self.first[done : edit.start])
            end.append(self.end[done : edit.start])
            if edit.end > edit.start:
                first.append(np.full(edit.length, self.first[edit.start]))
                end.append(np.full(edit.length, self.end[edit.end - 1]))
            done = edit.end
        first.append(self.first[done:])
        end.append(self.end[done:])
        return TextTokens(
            np.concatenate(first), np.concatenate(end), self.log_probabilities, self.has_digit
        )


def tokens_of(text: str, probabilities: TokenProbabilities | None) -> TextTokens | None:
    """Return the tokens of a text; None if there are none, or they are those of another text.

    :param text: the model's output, or a part of it: some engines strip spaces from its ends.
    :param probabilities: the tokens that the engine returned.
    """
    if probabilities is None:
        return None
    written = b"".join(probabilities.pieces)
    starts = _character_starts(written)
    if starts is None:
        return None
    whole = written.decode("utf-8", errors="replace")
    offset = 0 if whole == text else whole.find(text)
    if offset < 0:
        return None
    # Bytes before each token, and after the last one.
    lengths = np.array([len(piece) for piece in probabilities.pieces], dtype=np.int64)
    borders = np.concatenate(([0], np.cumsum(lengths)))
    part = starts[offset : offset + len(text) + 1]
    log_probabilities = np.nan_to_num(np.array(probabilities.log_probabilities), nan=_LEAST)
    return TextTokens(
        # The last token that begins at or before the character; tokens without bytes are passed over.
        first=np.searchsorted(borders[:-1], part[:-1], side="right") - 1,
        end=np.searchsorted(borders[:-1], part[1:], side="left"),
        log_probabilities=np.clip(log_probabilities, _LEAST, 0.0),
        has_digit=_have_digits(written, borders),
    )


def join_tokens(parts: Sequence[TextTokens], separator: str) -> TextTokens:
    """Return the tokens of texts that are joined.

    :param parts: the tokens of each text, at least one.
    :param separator: what joins the texts; no token has it.
    """
    first: list[np.ndarray] = []
    end: list[np.ndarray] = []
    count = 0
    for part in parts:
        if first:
            first.append(np.full(len(separator), count))
            end.append(np.full(len(separator), count))
        first.append(part.first + count)
        end.append(part.end + count)
        count += len(part.log_probabilities)
    return TextTokens(
        np.concatenate(first),
        np.concatenate(end),
        np.concatenate([part.log_probabilities for part in parts]),
        np.concatenate([part.has_digit for part in parts]),
    )


def _have_digits(written: bytes, borders: np.ndarray) -> np.ndarray:
    """Return whether each token has a digit.

    :param borders: bytes before each token, and after the last one.
    """
    values = np.frombuffer(written, dtype=np.uint8)
    is_digit = (values >= ord("0")) & (values <= ord("9"))
    before = np.concatenate(([0], np.cumsum(is_digit)))[borders]
    found: np.ndarray = before[1:] > before[:-1]
    return found


def _character_starts(written: bytes) -> np.ndarray | None:
    """Return the byte at which each character starts, and the number of bytes.

    A broken sequence is one character, U+FFFD, as for ``errors="replace"``; None if there are too many.
    """
    values = np.frombuffer(written, dtype=np.uint8)
    # Each character has one byte that does not continue another.
    is_start = (values & 0xC0) != 0x80
    done = 0
    for _ in range(_MOST_BROKEN):
        try:
            written[done:].decode("utf-8")
        except UnicodeDecodeError as error:
            is_start[done + error.start] = True
            is_start[done + error.start + 1 : done + error.end] = False
            done += error.end
        else:
            return np.append(np.flatnonzero(is_start), len(written))
    return None
