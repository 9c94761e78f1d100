"""CPU time and size of a page's log-probabilities in a response: OpenAI's form, and the compact one."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from airflow_deepseek_ocr.engines.protocol.token_logprobs import (
    of_compact,
    of_openai,
    to_compact,
    to_openai,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

_TOKENS = 8192
_ROUNDS = 7
_PIECES = (b" Total", b" the", b"1", b"<td>", b"\n", b" Invoice", "é".encode(), "页".encode())


def main() -> None:
    """Print a line of JSON for each form."""
    tokens = drawn(_TOKENS)
    forms: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., Any]]] = {
        "openai": (lambda page: to_openai(page, 2), of_openai),
        "compact": (to_compact, of_compact),
    }
    for name, (write, read) in forms.items():
        written = encode(write(tokens))
        figures = {
            "form": name,
            "tokens": _TOKENS,
            "bytes": len(written),
            "write_ms": milliseconds(lambda write=write: encode(write(tokens))),
            "read_ms": milliseconds(
                lambda read=read, written=written: read(json.loads(written), tokens.text)
            ),
        }
        print(json.dumps(figures))


def drawn(count: int) -> TokenProbabilities:
    """Return tokens as of a sure model.

    :param count: number of tokens.
    """
    chance = random.Random(1)
    return TokenProbabilities(
        pieces=tuple(chance.choices(_PIECES, k=count)),
        log_probabilities=tuple(-3 * chance.random() ** 4 for _ in range(count)),
        runner_up=tuple(-1 - 8 * chance.random() for _ in range(count)),
        runner_up_pieces=tuple(chance.choices(_PIECES, k=count)),
    )


def encode(value: dict[str, Any]) -> bytes:
    """Return the JSON that the server sends."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def milliseconds(function: Callable[[], Any]) -> float:
    """Return the CPU time of the fastest of several calls."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        function()
        best = min(best, time.process_time() - started)
    return round(1000 * best, 2)


if __name__ == "__main__":
    main()
