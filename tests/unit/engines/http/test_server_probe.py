"""Questions to a server, without and with the constraint and the plugin."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from airflow_deepseek_ocr.engines.http import server_probe
from airflow_deepseek_ocr.engines.http.server_probe import (
    ask_capabilities,
    ask_modes,
    ask_token_probabilities,
    blocks_repetition,
    forced_repetition,
    prove_no_repeat_ngram,
    require_device,
    require_forced,
)
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from tests.support.fakes.fault_server import Faults, fault_server

VLLM = Capabilities(model="m")
OURS = Capabilities(model="m", version="1", device="cuda:0", dtype="bfloat16")


@pytest.fixture
def faults() -> Iterator[Faults]:
    with fault_server(Faults()) as running:
        yield running


def ask(faults: Faults) -> tuple[httpx.Client, Endpoint]:
    endpoint = Endpoint(faults.url)
    return endpoint.client(httpx.Timeout(20)), endpoint


def test_a_server_lists_its_models(faults: Faults) -> None:
    client, endpoint = ask(faults)
    assert ask_capabilities(client, endpoint, "m", "").context_length == 8192
    with pytest.raises(ConfigurationError, match="Models there: m") as caught:
        ask_capabilities(client, endpoint, "other", "")
    assert caught.value.code == ErrorCode.SERVER_MODEL


def test_a_list_of_models_does_not_have_the_time_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_probe, "_LIST_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}")
        started = time.monotonic()
        with (
            endpoint.client(httpx.Timeout(1800)) as client,
            pytest.raises(UnavailableError, match=r"takes more than 0\.2 s") as caught,
        ):
            ask_capabilities(client, endpoint, "m", "")
    assert caught.value.code is ErrorCode.SERVER_RESPONSE
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_probe_shows_whether_the_plugin_is_installed(
    faults: Faults, family: ModelFamily
) -> None:
    client, endpoint = ask(faults)
    faults.family = family
    served = replace(VLLM, family=family)
    assert ask_modes(client, endpoint, served).modes == ("gundam",)
    faults.modes = "read"
    found = ask_modes(client, endpoint, served)
    assert (found.modes, found.max_tiles) == (family.modes, family.max_tiles)
    assert ask_modes(client, endpoint, OURS) == OURS
    assert len(faults.probes) == 2


def test_the_probe_tells_the_family_of_a_server_that_does_not_report_it(faults: Faults) -> None:
    client, endpoint = ask(faults)
    second = replace(VLLM, family=DEEPSEEK_OCR_2)
    for modes in ("ignored", "read", "refused"):
        faults.modes, faults.family = modes, DEEPSEEK_OCR_2
        found = ask_modes(client, endpoint, second).modes
        assert found == (DEEPSEEK_OCR_2.modes if modes == "read" else ("gundam",))
        with pytest.raises(ConfigurationError, match="is DeepSeek-OCR-2, but") as caught:
            ask_modes(client, endpoint, VLLM)
        assert caught.value.code == ErrorCode.MODEL_FAMILY
        faults.family = DEEPSEEK_OCR
        with pytest.raises(ConfigurationError, match="model family to deepseek_ocr, "):
            ask_modes(client, endpoint, second)
    faults.modes = "uncounted"
    assert ask_modes(client, endpoint, second) == second


@pytest.mark.parametrize("modes", ["ignored", "refused"])
def test_a_model_of_no_family_is_recognised_by_its_tiles(faults: Faults, modes: str) -> None:
    """As vLLM counts for baidu/Unlimited-OCR, whose images without tiles have DeepSeek-OCR's tokens."""
    client, endpoint = ask(faults)
    faults.modes, faults.max_tiles = modes, 32
    with pytest.raises(ConfigurationError, match=r"m at .* counts 1294 .*Unlimited-OCR") as caught:
        ask_modes(client, endpoint, VLLM)
    assert caught.value.code == ErrorCode.MODEL_FAMILY
    # As many as the published code cuts: a later vLLM may cut them, too.
    faults.max_tiles = DEEPSEEK_OCR.max_tiles
    assert ask_modes(client, endpoint, VLLM).modes == ("gundam",)


def test_a_server_of_the_other_family_is_refused_by_its_card(faults: Faults) -> None:
    client, endpoint = ask(faults)
    faults.card = Capabilities(model="m", family=DEEPSEEK_OCR_2, version="1").card()
    assert ask_capabilities(client, endpoint, "m", "", DEEPSEEK_OCR_2).family is DEEPSEEK_OCR_2
    with pytest.raises(ConfigurationError, match="is DeepSeek-OCR-2, but") as caught:
        ask_capabilities(client, endpoint, "m", "", DEEPSEEK_OCR)
    assert caught.value.code == ErrorCode.MODEL_FAMILY


def test_the_probe_shows_whether_repetition_is_blocked(faults: Faults) -> None:
    client, endpoint = ask(faults)
    prove_no_repeat_ngram(client, endpoint, VLLM, Decoding())
    faults.no_repeat_ngram = False
    with pytest.raises(ConfigurationError, match="--logits-processors") as caught:
        prove_no_repeat_ngram(client, endpoint, VLLM, Decoding())
    assert caught.value.code == ErrorCode.SERVER_NO_REPEAT_NGRAM


@pytest.mark.parametrize(
    ("kind", "able"),
    [
        ("raw", True),
        ("processed", False),
        ("refused", False),
        ("none", False),
        ("malformed", False),
    ],
)
def test_the_probe_shows_whether_probabilities_are_the_models_own(
    faults: Faults, kind: str, able: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client, endpoint = ask(faults)
    faults.logprobs = kind
    assert ask_token_probabilities(client, endpoint, VLLM).token_probabilities == able
    assert ("--max-logprobs" in caplog.text) == (not able)


def test_a_model_server_reports_whether_it_returns_probabilities(faults: Faults) -> None:
    client, endpoint = ask(faults)
    for reported in (OURS, replace(OURS, token_probabilities=True)):
        assert ask_token_probabilities(client, endpoint, reported) == reported
    assert not faults.requests


def test_a_reported_constraint_is_compared_without_a_probe(faults: Faults) -> None:
    client, endpoint = ask(faults)
    reported = replace(OURS, no_repeat_ngram=(30, 90))
    prove_no_repeat_ngram(client, endpoint, reported, Decoding())
    with pytest.raises(ConfigurationError, match="not"):
        prove_no_repeat_ngram(client, endpoint, reported, Decoding(ngram_size=20))
    assert not faults.requests


def test_a_forced_token_may_not_repeat_three_times() -> None:
    def answer(*tokens: str) -> dict[str, object]:
        return {"choices": [{"logprobs": {"content": [{"token": token} for token in tokens]}}]}

    assert not blocks_repetition(answer("a", "a", "a", "b"))
    assert blocks_repetition(answer("a", "a", "b", "a"))
    assert blocks_repetition(answer("a", "a"))
    with pytest.raises(KeyError):
        blocks_repetition({})
    body = forced_repetition(VLLM)
    assert "mm_processor_kwargs" not in body
    assert body["vllm_xargs"]["ngram_size"] == 2


@pytest.mark.parametrize(
    ("device", "dtype", "fits"),
    [("auto", "auto", True), ("cuda", "bfloat16", True), ("cpu", "auto", False), ("cuda", "float16", False)],
)  # fmt: skip
def test_device_and_dtype_must_be_those_of_the_connection(
    device: str, dtype: str, fits: bool
) -> None:
    require_device(VLLM, device, dtype)
    if fits:
        require_device(OURS, device, dtype)
    else:
        with pytest.raises(ConfigurationError) as caught:
            require_device(OURS, device, dtype)
        assert caught.value.code == ErrorCode.SERVER_DEVICE


def test_forced_lengths_need_a_server_that_ignores_the_end() -> None:
    require_forced(VLLM)
    require_forced(replace(OURS, ignores_end=True))
    with pytest.raises(ConfigurationError, match="--ignore-end"):
        require_forced(OURS)


def test_no_server_and_no_json_are_distinguished(faults: Faults) -> None:
    endpoint = Endpoint("http://127.0.0.1:9")
    with pytest.raises(UnavailableError) as caught:
        ask_capabilities(endpoint.client(httpx.Timeout(5)), endpoint, "m", "")
    assert caught.value.code == ErrorCode.SERVER_UNREACHABLE
    faults.card = {}
    with pytest.raises(UnavailableError) as caught:
        ask_capabilities(*ask(faults), "m", "")
    assert caught.value.code == ErrorCode.SERVER_RESPONSE


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 16)


def trickle() -> Iterator[bytes]:
    while True:
        time.sleep(0.02)
        yield b" "


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        trickle,
        lambda: iter([b"[" * 500_000]),
        lambda: iter([gzip.compress(bytes(1 << 24))]),
    ],
    ids=["endless", "trickle", "deep", "gzip"],
)
def test_an_answer_that_is_too_long_slow_or_deep_is_refused(
    answer: Callable[[], Iterator[bytes]],
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer()))
    endpoint = Endpoint("http://server:1")
    with (
        httpx.Client(transport=transport, base_url=endpoint.url, timeout=0.2) as client,
        pytest.raises(UnavailableError) as caught,
    ):
        ask_capabilities(client, endpoint, "m", "")
    assert caught.value.code is ErrorCode.SERVER_RESPONSE
