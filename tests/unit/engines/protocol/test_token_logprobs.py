"""Log-probabilities of tokens as JSON, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    END_OF_TEXT,
    OWN,
    Capabilities,
)
from airflow_deepseek_ocr.engines.protocol.token_logprobs import (
    MALFORMED,
    of_compact,
    of_openai,
    request_fields,
    to_compact,
    to_openai,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

PIECES = st.sampled_from([b"Total", b" ", b"", b"\n", b"na\xc3", b"\xaf", b"<|ref|>", b"\xf0"])
VALUES = st.floats(-50, 0, width=32)
TOKENS = TokenProbabilities(
    pieces=(b"na\xc3", b"\xafve"),
    log_probabilities=(-0.5, -3.0),
    runner_up=(-1.0, -0.25),
    runner_up_pieces=(b"no", b"\xaf"),
)


@given(st.lists(st.tuples(PIECES, VALUES, PIECES, VALUES), max_size=30), st.booleans())
def test_both_forms_keep_tokens_and_values(
    positions: list[tuple[bytes, float, bytes, float]], with_runner_up: bool
) -> None:
    pieces, values, others, other_values = zip(*positions, strict=True) if positions else [()] * 4
    tokens = TokenProbabilities(
        pieces=tuple(pieces),
        log_probabilities=tuple(values),
        runner_up=tuple(other_values) if with_runner_up else None,
        runner_up_pieces=tuple(others) if with_runner_up else None,
    )
    assert of_compact(json.loads(json.dumps(to_compact(tokens))), tokens.text) == tokens
    read = of_openai(json.loads(json.dumps(to_openai(tokens, 2))), tokens.text)
    assert read.pieces == tokens.pieces
    assert read.log_probabilities == pytest.approx(tokens.log_probabilities, abs=1e-6)
    if tokens.runner_up is not None:
        assert read.runner_up == pytest.approx(tokens.runner_up, abs=1e-6)


@pytest.mark.parametrize(
    ("top", "listed"), [(0, [[], []]), (1, [[-0.5], [-0.25]]), (2, [[-0.5, -1.0], [-0.25, -3.0]])]
)
def test_the_most_probable_tokens_come_first(top: int, listed: list[list[float]]) -> None:
    content = to_openai(TOKENS, top)["content"]
    assert [[each["logprob"] for each in token["top_logprobs"]] for token in content] == listed
    assert [token["logprob"] for token in content] == [-0.5, -3.0]
    assert content[0]["token"] == "na\ufffd"


def test_a_chosen_token_that_is_not_among_the_most_probable_has_the_best_as_runner_up() -> None:
    """OpenAI lists the most probable tokens alone; vLLM adds the chosen one."""
    top = [{"token": "b", "logprob": -0.1}, {"token": "c", "logprob": -2.5}]
    content = [{"token": "a", "logprob": -7.0, "top_logprobs": top}]
    assert of_openai({"content": content}, "a").runner_up == (-0.1,)


def test_a_probability_rounded_above_1_is_1() -> None:
    assert of_openai(openai(logprob=1e-6), "naïve").log_probabilities == (0.0,)


def test_the_end_token_does_not_count() -> None:
    content = [{"token": "a", "logprob": -1.0}, {"token": END_OF_TEXT, "logprob": 0.0}]
    tokens = of_openai({"content": content}, "a")
    assert (tokens.pieces, tokens.runner_up) == ((b"a",), None)


def test_characters_that_follow_parts_of_the_same_are_found_behind_them() -> None:
    written = ["|\ufffd", "\ufffd", "ש", "\ufffd ", "\ufffd", "\ufffd", " "]
    content = [{"token": token, "logprob": -1.0} for token in written]
    found = of_openai({"content": content}, "|שש— 本 ").pieces
    assert [piece.decode() for piece in found] == ["", "|ש", "ש", "", "", "— 本", " "]


def test_bytes_that_never_become_a_character_are_those_of_the_text() -> None:
    """vLLM writes U+FFFD and an empty token, and nothing for a character that is cut at the end."""
    content = [{"token": token, "logprob": -1.0} for token in ("na", "", "", "ve", "", "s", "", "")]
    found = of_openai({"content": content}, "na\ufffd\ufffdve\ufffds").pieces
    assert [piece.decode() for piece in found] == [
        "na", "", "\ufffd\ufffd", "ve", "\ufffd", "s", "", ""
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "pieces"),
    [
        # vLLM 0.32: the token that completes a character has all of it.
        (["na", "", "ï", "ve"], [b"na", b"", "ï".encode(), b"ve"]),
        # Older versions, and a token that begins with the rest of a character.
        (["na", "\ufffd", "\ufffd", "ve"], [b"na", b"", "ï".encode(), b"ve"]),
        (["na", "", "\ufffdv", "e"], [b"na", b"", "ïv".encode(), b"e"]),
        (["naïv", "\ufffd"], ["naïv".encode(), b"e"]),
        (["\ufffd", "\ufffd"], [b"", "naïve".encode()]),
        (["na", "ve"], None),
        (["naï", "\ufffd", "x"], None),
        (["naïve", "!"], None),
        (["naï"], None),
    ],
)
def test_split_characters_have_the_bytes_of_the_text(
    written: list[str], pieces: list[bytes] | None
) -> None:
    content = [
        {"token": token, "logprob": -1.0, "bytes": list(token.encode())} for token in written
    ]
    if pieces is None:
        with pytest.raises(ValueError, match="not those of the text"):
            of_openai({"content": content}, "naïve")
    else:
        assert list(of_openai({"content": content}, "naïve").pieces) == pieces


def decoded_alone(tokens: list[bytes], lost: bytes) -> list[bytes]:
    """Return tokens as a server writes them that decodes each alone.

    :param lost: what it writes for a token that ends within a character.
    """
    written = [token.decode("utf-8", "replace") for token in tokens]
    return [lost if each.endswith("\ufffd") and lost == b"" else each.encode() for each in written]


@pytest.mark.parametrize("lost", [b"", "\ufffd".encode()])
def test_a_split_character_may_be_followed_by_the_same_whole_one(lost: bytes) -> None:
    text, tokens = "ß日日!", [b"\xc3\x9f", b"\xe6", b"\x97\xa5", "日".encode(), b"!"]
    written = [
        {"token": each.decode(), "logprob": -1.0, "bytes": list(each)}
        for each in decoded_alone(tokens, lost)
    ]
    found = of_openai({"content": written}, text).pieces
    assert list(found) == ["ß".encode(), b"", "日".encode(), "日".encode(), b"!"]


@given(
    text=st.text(st.sampled_from("ab é日€😀\ufffd"), max_size=14),
    sizes=st.lists(st.integers(1, 5), min_size=60, max_size=60),
    lost=st.sampled_from([b"", "\ufffd".encode()]),
)
def test_split_characters_are_found_however_often_they_occur(
    text: str, sizes: list[int], lost: bytes
) -> None:
    content, tokens = text.encode(), []
    for size in sizes:
        tokens.append(content[:size])
        content = content[size:]
    tokens = [token for token in tokens if token]
    written = [
        {"token": each.decode(), "logprob": -1.0, "bytes": list(each)}
        for each in decoded_alone(tokens, lost)
    ]
    found = of_openai({"content": written}, text)
    assert (found.text, len(found.pieces)) == (text, len(tokens))


def test_many_ways_to_find_tokens_cost_no_minutes() -> None:
    tokens = [{"token": each, "logprob": -1.0} for each in ("", "a") * 5_000]
    start = time.process_time()
    with pytest.raises(ValueError, match="not those of the text"):
        of_openai({"content": tokens}, "a" * 10_000 + "b")
    assert time.process_time() - start < 10


def test_what_is_asked_for_depends_on_the_server() -> None:
    able = Capabilities(model="m", token_probabilities=True)
    assert request_fields(Capabilities(model="m")) == {}
    assert request_fields(able) == {"logprobs": True, "top_logprobs": 2}
    ours = Capabilities(model="m", token_probabilities=True, version="1")
    assert request_fields(ours) == {OWN: {"token_probabilities": True}}


def compact(**changes: Any) -> Any:
    return to_compact(TOKENS) | changes


def openai(**changes: Any) -> Any:
    return {"content": [{"token": "naïve", "logprob": -1.0} | changes]}


@pytest.mark.parametrize(
    ("read", "malformed"),
    [
        (of_compact, None),
        (of_compact, []),
        (of_compact, {}),
        (of_compact, compact(lengths=7)),
        (of_compact, compact(lengths=[3, 3, 0])),
        (of_compact, compact(lengths=[7, -1])),
        (of_compact, compact(lengths=[1.5, 4.5])),
        (of_compact, compact(lengths=[10**400, 3])),
        (of_compact, compact(lengths=[0] * 70_000)),
        (of_compact, compact(bytes="naïve")),
        (of_compact, compact(bytes="bmFpdmVu")),
        (of_compact, compact(logprobs="AAAA")),
        (of_compact, compact(logprobs="AACAPwAAgD8=")),
        (of_compact, compact(logprobs="AADAfwAAwH8=")),
        (of_compact, compact(runner_up={"bytes": "", "lengths": [], "logprobs": ""})),
        (of_openai, None),
        (of_openai, {"content": None}),
        (of_openai, {"content": "naïve"}),
        (of_openai, {"content": [3]}),
        (of_openai, {"content": [{"token": "", "logprob": 0}] * 70_000}),
        (of_openai, openai(token="other")),
        (of_openai, openai(token=None)),
        (of_openai, openai(bytes=10**12)),
        (of_openai, openai(bytes=[300])),
        (of_openai, openai(logprob=None)),
        (of_openai, openai(logprob=0.5)),
        (of_openai, openai(logprob=float("nan"))),
        (of_openai, openai(logprob=10**400)),
        (of_openai, openai(top_logprobs=10**12)),
        (of_openai, openai(top_logprobs=[None])),
    ],
)
def test_malformed_values_are_refused(read: Callable[[Any, str], Any], malformed: Any) -> None:
    with pytest.raises(MALFORMED):
        read(malformed, "naïve")
