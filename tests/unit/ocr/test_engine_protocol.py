"""Requests and outputs between reader and engine."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from tests.support.fakes.scripted_engine import GOOD, ScriptedEngine


def request(key: object = "a") -> PageRequest:
    return PageRequest(key=key, image=Image.new("RGB", (9, 9)), prompt="free", resolution="tiny")


def test_a_request_has_no_limits_by_default() -> None:
    page = request()
    assert not page.cancelled()
    assert (page.max_output_length, page.no_repeat_ngram) == (None, None)


def test_fields_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        PageRequest("a", Image.new("RGB", (9, 9)), "free", "tiny")  # type: ignore[misc]
    with pytest.raises(TypeError):
        PageOutput("a", "text")  # type: ignore[misc]


def test_finish_reasons_are_those_of_the_chat_protocol() -> None:
    assert [str(reason) for reason in FinishReason] == ["stop", "length"]


def test_an_engine_answers_each_request_by_its_key() -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    outputs = {output.key: output for output in engine.read(request(key) for key in range(7))}
    assert sorted(outputs, key=str) == list(range(7))
    assert {output.text for output in outputs.values()} == {GOOD}
