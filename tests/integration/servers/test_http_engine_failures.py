"""The HTTP engine against servers that fail in every way there is."""

from __future__ import annotations

import logging
import pickle

import pytest

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from tests.support.fakes.fault_server import TEXT, Faults, fault_server
from tests.support.fixtures.fault_engine import PROMPTS, RETRY_POLICY, engine_for, page, read


@pytest.mark.parametrize(
    "script",
    [["429"] * 8, ["500"] * 4, ["503", "502"], ["reset"] * 2, ["half"], ["500", "reset", "429"]],
    ids=" ".join,
)
def test_temporary_failures_are_retried(faults: Faults, script: list[str]) -> None:
    """On one page, and on all at once."""
    faults.script = {prompt_line("free"): list(script)}
    assert all(output.text == TEXT for output in read(engine_for(faults), *PROMPTS).values())
    assert len(faults.pages) == len(PROMPTS) + len(script)
    faults.script = {prompt_line(prompt): list(script) for prompt in PROMPTS}
    assert all(output.text == TEXT for output in read(engine_for(faults), *PROMPTS).values())


@pytest.mark.parametrize(
    ("script", "tries", "code"),
    [
        (["500"] * 9, 5, "server_error"),
        (["reset"] * 9, 3, "server_broken"),
        (["half"] * 9, 3, "server_broken"),
        (["final"] * 9, 1, "engine_error"),
        (["garbage"] * 9, 1, "server_response"),
        (["400"] * 9, 1, "server_refused"),
        (["413"] * 9, 1, "page_too_large"),
        (["307"] * 9, 1, "server_refused"),
    ],
)
def test_a_page_that_fails_every_time_fails_alone(
    faults: Faults, script: list[str], tries: int, code: str
) -> None:
    faults.script = {prompt_line("ocr"): script}
    outputs = read(engine_for(faults), *PROMPTS)
    assert {key for key, output in outputs.items() if output.error} == {"ocr"}
    error = outputs["ocr"].error
    assert error is not None
    assert error.code == code
    assert len(faults.pages) == len(PROMPTS) - 1 + tries


def test_a_page_that_is_never_answered_fails_alone(faults: Faults) -> None:
    # The stand-in answers when the test is over, so only the time-out ends this page.
    faults.script = {prompt_line("ocr"): ["hang"]}
    outputs = read(engine_for(faults, retry_policy=RetryPolicy(page_s=1)), *PROMPTS)
    assert outputs["ocr"].error is not None
    assert outputs["ocr"].error.code == "server_timeout"
    assert sum(output.error is None for output in outputs.values()) == 4


def test_no_server() -> None:
    engine = HttpEngine(
        lambda: Endpoint("http://127.0.0.1:9"), model="m", retry_policy=RETRY_POLICY
    )
    with pytest.raises(UnavailableError) as caught:
        read(engine, "free")
    assert caught.value.code == "server_unreachable"


def test_a_server_that_goes_away_for_good_ends_the_call() -> None:
    with fault_server(Faults()) as faults:
        engine = engine_for(faults, pages=1)
        outputs = engine.read(page(prompt) for prompt in PROMPTS)
        assert next(outputs).text == TEXT
    with pytest.raises(UnavailableError) as caught:
        list(outputs)
    assert caught.value.code == "server_unreachable"


def test_a_server_that_was_replaced_is_found_again() -> None:
    """At another address, with another API key."""
    with fault_server(Faults(api_key="old")) as old, fault_server(Faults(api_key="new")) as new:
        endpoints = [Endpoint(old.url, "old")]
        engine = HttpEngine(lambda: endpoints[-1], model="m", pages=1, retry_policy=RETRY_POLICY)
        outputs = engine.read(page(prompt) for prompt in PROMPTS)
        texts = [next(outputs).text]
        endpoints.append(Endpoint(new.url, "new"))
        old.api_key = "changed"
        texts += [output.text for output in outputs]
        assert texts == [TEXT] * 5
        assert len(new.pages) >= 3


def test_the_api_key_is_nowhere(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    faults.api_key = "hunter22-right"
    engine = engine_for(faults, api_key="hunter22-wrong")
    with pytest.raises(ConfigurationError) as caught:
        read(engine, "free")
    assert caught.value.code == "server_api_key"
    assert "password" in str(caught.value)
    faults.script = {prompt_line("free"): ["400"], prompt_line("ocr"): ["500"] * 9}
    outputs = read(engine_for(faults, api_key="hunter22-right"), "free", "ocr")
    errors = [str(output.error) for output in outputs.values()]
    assert all("refused" in text for text in errors)
    everything = " ".join(
        [str(caught.value), repr(engine), caplog.text, *map(repr, outputs.values())]
    )
    assert "hunter22" not in everything
    assert b"hunter22" not in pickle.dumps(caught.value)
