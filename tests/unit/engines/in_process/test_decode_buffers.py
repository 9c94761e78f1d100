"""State of slots without a model."""

from __future__ import annotations

import torch

from airflow_deepseek_ocr.engines.in_process.decode_buffers import (
    DecodeBuffers,
    SlotText,
    TextProbabilities,
    TokenChoice,
)
from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import NO_TOKEN

EOS = 1


def make_buffers() -> DecodeBuffers:
    buffers = DecodeBuffers(count=3, length=10, window=4, eos=EOS, device=torch.device("cpu"))
    buffers.begin(torch.tensor([0, 2]), torch.tensor([5, 6]), torch.tensor([3, 2]))
    return buffers


def append(buffers: DecodeBuffers, *tokens: int) -> None:
    buffers.append(buffers.rows, torch.tensor(tokens))


def test_texts_end_with_the_end_token_or_at_their_budget() -> None:
    buffers = make_buffers()
    append(buffers, 7, 99, 8)
    assert buffers.snapshot().finished([0, 1, 2]) == {1: SlotText([], False)}
    append(buffers, EOS, 99, 9)
    append(buffers, 70, 99, 90)  # both are done
    assert buffers.snapshot().finished([0, 2]) == {
        0: SlotText([7], True),
        2: SlotText([8, 9], False),
    }


def test_a_snapshot_keeps_the_state_of_its_time() -> None:
    buffers = make_buffers()
    append(buffers, 7, 0, 8)
    early = buffers.snapshot()
    append(buffers, EOS, 0, EOS)
    assert early.finished([0, 2]) == {}
    assert buffers.snapshot().finished([2]) == {2: SlotText([8], True)}


def test_recent_tokens_come_newest_first() -> None:
    buffers = make_buffers()
    for token in (11, 12):
        append(buffers, token, 0, token)
    assert buffers.recent(1).tolist() == [[12, 11, NO_TOKEN, NO_TOKEN]]


def test_slots_that_are_done_stay_at_their_first_column() -> None:
    buffers = make_buffers()
    buffers.advance(3)
    assert buffers.position.tolist() == [6, 0, 7]
    buffers.stop([0])
    buffers.advance(3)
    assert buffers.position.tolist() == [0, 0, 8]


def test_the_middle_of_texts_can_be_set() -> None:
    buffers = make_buffers()
    buffers.set_mid_text([4, 5], budget=3)
    append(buffers, 7, 7, 7)
    append(buffers, 7, 7, 7)
    assert buffers.position.tolist()[:2] == [4, 5]
    assert buffers.snapshot().finished([0, 1, 2]).keys() == {0, 1, 2}


def test_tokens_have_their_probabilities() -> None:
    buffers = DecodeBuffers(
        count=2, length=10, window=4, eos=EOS, device=torch.device("cpu"), probabilities=True
    )
    buffers.begin(torch.tensor([0, 1]), torch.tensor([5, 5]), torch.tensor([3, 3]))
    impossible = float("-inf")
    for first, second, pairs in (
        (7, 8, [[-0.5, -1.0], [-0.25, -2.0]]),
        (70, EOS, [[-3.0, impossible], [-0.125, -4.0]]),
        (700, 99, [[float("nan"), -6.0], [-9.0, -9.0]]),  # the second one is done
    ):
        choice = TokenChoice(torch.tensor(pairs), torch.tensor([first + 1, second + 1]))
        buffers.append(buffers.rows, torch.tensor([first, second]), choice)
    assert buffers.snapshot().finished([0, 1]) == {
        0: SlotText(
            [7, 70, 700],
            False,
            # JSON has neither infinity nor NaN.
            TextProbabilities([-0.5, -3.0, -9999.0], [-1.0, -9999.0, -6.0], [8, 71, 701]),
        ),
        1: SlotText([8], True, TextProbabilities([-0.25], [-2.0], [9])),
    }


def test_an_empty_text_has_no_probabilities() -> None:
    buffers = DecodeBuffers(
        count=1, length=10, window=4, eos=EOS, device=torch.device("cpu"), probabilities=True
    )
    buffers.begin(torch.tensor([0]), torch.tensor([5]), torch.tensor([3]))
    choice = TokenChoice(torch.tensor([[-0.5, -1.0]]), torch.tensor([2]))
    buffers.append(buffers.rows, torch.tensor([EOS]), choice)
    assert buffers.snapshot().finished([0]) == {
        0: SlotText([], True, TextProbabilities([], [], []))
    }
