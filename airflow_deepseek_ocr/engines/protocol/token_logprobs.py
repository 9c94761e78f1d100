"""Log-probabilities of tokens in responses: as OpenAI's API has them, and in a compact form.

OpenAI's form of a page has eight times as many bytes, and takes tens of milliseconds to write and to read
(``python -m benchmarks.token_logprobs``), so this package's client asks for the compact one.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from typing import Any, TypeAlias

from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    END_OF_TEXT,
    OWN,
    Capabilities,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

#: Tokens that a request may ask for at each position: the chosen one, and its runner-up.
MOST_TOP_LOGPROBS = 2
#: Field of the compact form, in a response of the model server; in a request it asks for that form.
COMPACT = "token_probabilities"
#: Most characters of a token that holds a part of a character.
_LONGEST_SPLIT = 32
#: Most ways to find the tokens in a text that are followed: a server's answer must not cost minutes.
_MOST_WAYS = 8
#: A run of split tokens with their text, and the runs before it.
_Way: TypeAlias = tuple["_Way | None", tuple[int, ...], str]
#: Most tokens that are read from a response: eight times the model's context.
_MOST_TOKENS = 65_536
#: Largest logarithm that counts as 0: a server may round a probability of 1 upwards.
_ROUNDING = 1e-3
#: What malformed values raise: they have another type, or are nested without end.
MALFORMED = (
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def request_fields(capabilities: Capabilities) -> dict[str, Any]:
    """Return the fields of a chat completion request that ask for log-probabilities.

    :param capabilities: of the server; none are asked for if it returns none.
    """
    if not capabilities.token_probabilities:
        return {}
    if capabilities.version is not None:
        return {OWN: {COMPACT: True}}
    return {"logprobs": True, "top_logprobs": MOST_TOP_LOGPROBS}


def to_openai(tokens: TokenProbabilities, top: int) -> dict[str, Any]:
    """Return ``choices[].logprobs`` of a chat completion.

    :param tokens: of the page.
    :param top: tokens to list at each position, the most probable first, from 0 to 2.
    """
    chosen = list(map(_entry, tokens.pieces, tokens.log_probabilities))
    lists: list[list[dict[str, Any]]] = [[entry] for entry in chosen]
    if tokens.runner_up is not None and tokens.runner_up_pieces is not None:
        others = map(_entry, tokens.runner_up_pieces, tokens.runner_up)
        for entries, other in zip(lists, others, strict=True):
            entries.append(other)
            entries.sort(key=lambda entry: -entry["logprob"])
    content = [
        {**entry, "top_logprobs": entries[:top]}
        for entry, entries in zip(chosen, lists, strict=True)
    ]
    return {"content": content, "refusal": None}


def _entry(piece: bytes, log_probability: float) -> dict[str, Any]:
    return {
        "token": piece.decode("utf-8", errors="replace"),
        "logprob": round(log_probability, 6),
        "bytes": list(piece),
    }


def of_openai(logprobs: Mapping[str, Any], text: str) -> TokenProbabilities:
    """Read ``choices[].logprobs`` of a chat completion.

    :param logprobs: as the server sent it.
    :param text: the page's text, without the end token.
    :raises ValueError, TypeError, KeyError, AttributeError, OverflowError: it is malformed, or belongs to
        another text.
    """
    content = _tokens(logprobs["content"])
    if content and content[-1]["token"] == END_OF_TEXT:
        content = content[:-1]
    runners_up = [_runner_up(entry) for entry in content]
    complete = [other for other in runners_up if other is not None]
    known = len(complete) == len(content)
    return _of(
        text,
        pieces=_pieces_of(text, tuple(map(_piece, content))),
        log_probabilities=_values(entry["logprob"] for entry in content),
        runner_up=_values(entry["logprob"] for entry in complete) if known else None,
        runner_up_pieces=tuple(map(_piece, complete)) if known else None,
    )


def _piece(entry: Mapping[str, Any]) -> bytes:
    spelled = entry.get("bytes")
    if spelled is not None:
        # bytes(10**12) would be a terabyte.
        return bytes(_list(spelled))
    encoded: bytes = entry["token"].encode()
    return encoded


def _pieces_of(text: str, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the pieces, with the bytes of the text where they have U+FFFD in place of parts of characters.

    vLLM decodes each token alone, and returns nothing for a token that ends within a character. Of tokens
    that hold parts of a character, the last one gets the text up to the next token that is whole.

    :raises ValueError: the pieces are not those of the text.
    """
    if b"".join(pieces).decode("utf-8", errors="replace") == text:
        return pieces
    # A token may occur several times in the text of split ones: all ways are followed, up to a number.
    ways: dict[int, _Way | None] = {0: None}
    split: list[int] = []
    spelled = [piece.decode("utf-8", errors="replace") for piece in pieces]
    for number, piece in enumerate((*spelled, None)):
        if piece is not None and ("\ufffd" in piece or not piece):
            split.append(number)
            continue
        found: dict[int, _Way | None] = {}
        for end, before in ways.items():
            starts = _starts(text, end, [spelled[each] for each in split], piece)
            for start in islice(starts, max(0, _MOST_WAYS - len(found))):
                way = (before, tuple(split), text[end:start]) if split else before
                found.setdefault(start + len(piece or ""), way)
        if not found:
            raise ValueError("the tokens are not those of the text")
        ways, split = found, []
    return _filled(pieces, ways[len(text)])


def _filled(pieces: tuple[bytes, ...], way: _Way | None) -> tuple[bytes, ...]:
    """Return the pieces with the text of each run of split ones in its last piece."""
    whole = list(pieces)
    while way is not None:
        way, split, between = way
        for each in split:
            whole[each] = b""
        whole[split[-1]] = between.encode()
    return tuple(whole)


def _starts(text: str, end: int, split: Sequence[str], whole: str | None) -> Iterator[int]:
    """Yield where a whole token may begin, the earliest place first.

    :param text: the page's text.
    :param end: the end of the whole token before.
    :param split: the split tokens between both.
    :param whole: the token; None for the end of the text.
    """
    if not split:
        if text.startswith(whole, end) if whole is not None else end == len(text):
            yield end
        return
    least = end
    try:
        for each in split:
            least = _end_of_known(text, each, least)
    except ValueError:
        return
    if whole is None:
        yield len(text)
        return
    # At least one character lies between: parts are written until it is complete.
    first, most = least + split[-1].endswith("\ufffd"), end + _LONGEST_SPLIT * len(split)
    start = text.find(whole, first, most + len(whole))
    while start >= 0:
        yield start
        start = text.find(whole, start + 1, most + len(whole))


def _end_of_known(text: str, spelled: str, start: int) -> int:
    """Return the earliest end of a token that holds parts of characters, by its whole characters.

    :raises ValueError: the text does not have these.
    """
    for known in filter(None, spelled.split("\ufffd")):
        found = text.find(known, start, start + _LONGEST_SPLIT)
        if found < 0:
            raise ValueError("the tokens are not those of the text")
        start = found + len(known)
    return start


def _runner_up(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the most probable other token of a position; None if it is not listed."""
    others = _list(entry.get("top_logprobs") or [])[: MOST_TOP_LOGPROBS + 1]
    for number, other in enumerate(others):
        if (other["token"], other["logprob"]) == (entry["token"], entry["logprob"]):
            del others[number]
            break
    return max(others, key=lambda other: float(other["logprob"]), default=None)


def to_compact(tokens: TokenProbabilities) -> dict[str, Any]:
    """Return ``deepseek_ocr.token_probabilities`` of a response."""
    compact = _compact(tokens.pieces, tokens.log_probabilities)
    if tokens.runner_up is not None and tokens.runner_up_pieces is not None:
        compact["runner_up"] = _compact(tokens.runner_up_pieces, tokens.runner_up)
    return compact


def _compact(pieces: Sequence[bytes], log_probabilities: Sequence[float]) -> dict[str, Any]:
    values = struct.pack(f"<{len(log_probabilities)}f", *log_probabilities)
    return {
        "bytes": base64.b64encode(b"".join(pieces)).decode(),
        "lengths": list(map(len, pieces)),
        "logprobs": base64.b64encode(values).decode(),
    }


def of_compact(compact: Mapping[str, Any], text: str) -> TokenProbabilities:
    """Read ``deepseek_ocr.token_probabilities`` of a response.

    :param compact: as the server sent it.
    :param text: the page's text.
    :raises ValueError, TypeError, KeyError, AttributeError, OverflowError: it is malformed, or belongs to
        another text.
    """
    pieces, values = _of_compact(compact)
    others = compact.get("runner_up")
    runner_up_pieces, runner_up = (None, None) if others is None else _of_compact(others)
    return _of(
        text,
        pieces=pieces,
        log_probabilities=values,
        runner_up=runner_up,
        runner_up_pieces=runner_up_pieces,
    )


def _of_compact(compact: Mapping[str, Any]) -> tuple[tuple[bytes, ...], tuple[float, ...]]:
    lengths = _tokens(compact["lengths"])
    joined = base64.b64decode(compact["bytes"], validate=True)
    if not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ValueError("a length is no number of bytes")
    if sum(lengths) != len(joined):
        raise ValueError("the lengths are not those of the bytes")
    ends = accumulate(lengths, initial=0)
    values = struct.unpack(
        f"<{len(lengths)}f", base64.b64decode(compact["logprobs"], validate=True)
    )
    return tuple(joined[start:end] for start, end in pairwise(ends)), _values(values)


def _of(text: str, **fields: Any) -> TokenProbabilities:
    tokens = TokenProbabilities(**fields)
    if tokens.text != text:
        raise ValueError("the tokens are not those of the text")
    return tokens


def _tokens(value: Any) -> list[Any]:
    tokens = _list(value)
    if len(tokens) > _MOST_TOKENS:
        raise ValueError("too many tokens")
    return tokens


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _values(numbers: Any) -> tuple[float, ...]:
    values = tuple(map(float, numbers))
    if not all(-math.inf < value <= _ROUNDING for value in values):
        raise ValueError("a number is no log-probability")
    return tuple(min(value, 0.0) for value in values)
