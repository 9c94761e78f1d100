"""The HTTP engine against servers that fail in every way there is."""

from __future__ import annotations

import asyncio
import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.http.session import UploadLimits
from airflow_deepseek_ocr.engines.protocol.chat_completions import OWN, own_capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from tests.support.fakes.fault_server import TEXT, Faults, fault_server

RETRY_POLICY = RetryPolicy(connect_s=2, page_s=5, full_s=5, max_pause_s=0.1)
PROMPTS = ("free", "markdown", "ocr", "figure", "describe")


@pytest.fixture
def faults() -> Iterator[Faults]:
    with fault_server(Faults()) as running:
        yield running


def engine_for(faults: Faults, **options: Any) -> HttpEngine:
    endpoint = Endpoint(faults.url, options.pop("api_key", None))
    options = {"model": "m", "retry_policy": RETRY_POLICY} | options
    return HttpEngine(lambda: endpoint, **options)


def page(prompt: str, resolution: str = "gundam", **others: Any) -> PageRequest:
    return PageRequest(
        key=prompt,
        image=Image.new("RGB", (700, 300)),
        prompt=prompt,
        resolution=resolution,
        **others,
    )


def read(engine: HttpEngine, *prompts: str) -> dict[Any, PageOutput]:
    outputs = list(engine.read([page(prompt) for prompt in prompts]))
    assert sorted(str(output.key) for output in outputs) == sorted(prompts)
    return {output.key: output for output in outputs}


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
    faults.script = {prompt_line("ocr"): ["hang"]}
    started = time.monotonic()
    outputs = read(engine_for(faults, retry_policy=RetryPolicy(page_s=1)), *PROMPTS)
    assert outputs["ocr"].error is not None
    assert outputs["ocr"].error.code == "server_timeout"
    assert time.monotonic() - started < 4
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
    told = [str(output.error) for output in outputs.values()]
    assert all("refused" in text for text in told)
    everything = " ".join(
        [str(caught.value), repr(engine), caplog.text, *map(repr, outputs.values())]
    )
    assert "hunter22" not in everything
    assert b"hunter22" not in pickle.dumps(caught.value)


@pytest.mark.parametrize("modes", ["ignored", "refused", "uncounted"])
def test_a_server_without_the_plugin_reads_in_gundam_only(faults: Faults, modes: str) -> None:
    faults.modes = modes
    engine = engine_for(faults)
    assert engine.capabilities().modes == ("gundam",)
    for mode in ("tiny", "small", "base", "large"):
        said = r"gundam only.*resident.*airflow-deepseek-ocr-vllm.*--trust-request-mm-kwargs"
        with pytest.raises(ConfigurationError, match=said) as caught:
            list(engine.read([page("free", mode)]))
        assert caught.value.code == "server_mode"
    assert not faults.pages
    (output,) = engine.read([page("free")])
    # 2 x 1 tiles and the view: 20 lines of 10 tokens and a newline, 16 of 16 and a newline, an end.
    assert output.vision_tokens == 10 * 21 + 16 * 17 + 1
    (sent,) = faults.pages
    assert "mm_processor_kwargs" not in sent
    assert sent["skip_special_tokens"] is False
    assert sent["vllm_xargs"] == {
        "ngram_size": 30, "window_size": 90, "whitelist_token_ids": [128821, 128822]
    }  # fmt: skip
    # vLLM refuses a request whose text might not fit.
    assert 8192 - 600 < sent["max_tokens"] + output.vision_tokens < 8192


def test_vllm_with_the_plugin_reads_in_all_modes(faults: Faults) -> None:
    faults.modes = "read"
    engine = engine_for(faults)
    assert engine.capabilities().modes == ("tiny", "small", "base", "large", "gundam")
    tall = Image.new("RGB", (400, 3600))
    requests = [
        PageRequest(key=mode, image=tall, prompt="free", resolution=mode) for mode in engine.modes()
    ]
    tokens = {output.key: output.vision_tokens for output in engine.read(requests)}
    # In gundam nine tiles, as in-process.
    nine = 90 * 11 + 16 * 17 + 1
    assert tokens == {"tiny": 73, "small": 111, "base": 273, "large": 421, "gundam": nine}
    named = sorted(each["mm_processor_kwargs"]["resolution"] for each in faults.pages)
    assert named == sorted(tokens)
    with pytest.raises(ConfigurationError, match="huge"):
        list(engine.read([PageRequest(key=1, image=tall, prompt="free", resolution="huge")]))


def test_a_server_that_fails_at_the_probe_is_not_taken_for_one_without_the_plugin(
    faults: Faults,
) -> None:
    faults.modes = "500"
    with pytest.raises(UnavailableError, match="status 500"):
        engine_for(faults).capabilities()


def test_at_most_six_tiles_where_vllm_cuts(faults: Faults) -> None:
    tall = Image.new("RGB", (400, 3600))
    (output,) = engine_for(faults).read(
        [PageRequest(key=1, image=tall, prompt="free", resolution="gundam")]
    )
    assert output.vision_tokens == 60 * 11 + 16 * 17 + 1


def test_the_no_repeat_ngram_is_proven_before_the_first_page(faults: Faults) -> None:
    faults.no_repeat_ngram = False
    with pytest.raises(ConfigurationError, match="NGramPerReqLogitsProcessor") as caught:
        read(engine_for(faults), "free")
    assert caught.value.code == "server_no_repeat_ngram"
    assert not faults.pages
    assert read(engine_for(faults, decoding=Decoding(ngram_size=0)), "free")
    assert "vllm_xargs" not in faults.pages[0]
    faults.no_repeat_ngram = True
    engine = engine_for(faults)
    read(engine, "free")
    read(engine, "free")
    assert len([each for each in faults.probes if "logit_bias" in each]) == 2, "it is asked once"


def test_another_model_or_revision_or_no_repeat_ngram_is_refused(faults: Faults) -> None:
    faults.card = own_capabilities("m", "abc", Decoding()).card()
    with pytest.raises(ConfigurationError, match="abc"):
        engine_for(faults, revision="def").capabilities()
    with pytest.raises(ConfigurationError, match="Models there: m"):
        engine_for(faults, model="n").capabilities()
    with pytest.raises(ConfigurationError, match="no-repeat-n-gram constraint is"):
        engine_for(faults, decoding=Decoding(ngram_size=20)).capabilities()
    faults.card = {**faults.card, OWN: {**faults.card[OWN], "prompts": ["free"]}}
    with pytest.raises(ConfigurationError, match="supports the prompts free"):
        read(engine_for(faults), "markdown")
    assert engine_for(faults, revision="abc").capabilities().revision == "abc"


@pytest.mark.parametrize("card", [{}, {"id": "m", OWN: 3}, {"id": "m", "max_model_len": "x"}])
def test_a_server_of_another_kind(faults: Faults, card: dict[str, Any]) -> None:
    faults.card = card
    with pytest.raises(UnavailableError) as caught:
        engine_for(faults).capabilities()
    assert caught.value.code == "server_response"


def test_pages_in_flight_are_bounded_and_taken_as_they_are_sent(faults: Faults) -> None:
    faults.script = {prompt_line("free"): ["slow"] * 99}
    taken = done = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            assert taken - done <= 3 + 3 + 2, "taken too far ahead"
            yield page("free")

    for _ in engine_for(faults, pages=3).read(requests()):
        done += 1
    assert (done, faults.most_in_flight) == (12, 3)


def test_a_page_is_sent_as_soon_as_it_is_ready(faults: Faults) -> None:
    """Even if no page in flight has ended."""
    faults.script = {prompt_line("ocr"): ["hang"] * 5}

    def requests() -> Iterator[PageRequest]:
        for number in range(5):
            yield page("ocr")
            deadline = time.monotonic() + 5
            while len(faults.pages) <= number:
                assert time.monotonic() < deadline, "it waits for an answer"
                time.sleep(0.01)
        faults.over.set()

    assert len(list(engine_for(faults, pages=8, poll_s=30.0).read(requests()))) == 5


class GatheringTransport(httpx.AsyncBaseTransport):
    """A server that responds when it has all pages; the connection of one breaks at first.

    :param pages: number of pages.
    :param stuck: number of first pages that it receives only after the others.
    """

    def __init__(self, pages: int, stuck: int = 0) -> None:
        self._all, self._broken, self._stuck = pages, False, stuck
        self.sending = self.most_sending = self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sending += 1
        self.most_sending = max(self.sending, self.most_sending)
        body = b""
        stuck, self._stuck = self._stuck > 0, self._stuck - 1
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for part in request.stream:
            body += part
            await asyncio.sleep(0.005)
            while stuck and self.sent < self._all - 2:
                await asyncio.sleep(0.005)
            if not self._broken and self.sent == 1:
                self._broken = True
                self.sending -= 1
                raise httpx.WriteError("broken")
        self.sending -= 1
        self.sent += 1
        assert len(body) == int(request.headers["Content-Length"])
        while self.sent < self._all:
            await asyncio.sleep(0.005)
        choice = {"message": {"content": TEXT}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})

    def connect(self, endpoint: Endpoint, _: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url=endpoint.url)


def test_few_pages_are_uploaded_at_once_and_many_in_flight(faults: Faults) -> None:
    """Also after one upload has broken: its turn is over."""
    transport = GatheringTransport(20)
    engine = engine_for(
        faults, pages=20, uploads=UploadLimits(concurrent=2), connect=transport.connect
    )
    assert [output.text for output in engine.read([page("free")] * 20)] == [TEXT] * 20
    assert (transport.most_sending, transport.sent) == (2, 20)


def test_uploads_that_the_server_does_not_receive_delay_others_only_for_a_turn(
    faults: Faults,
) -> None:
    transport = GatheringTransport(9, stuck=2)
    uploads = UploadLimits(concurrent=2, turn_s=0.1)
    engine = engine_for(faults, pages=9, uploads=uploads, connect=transport.connect)
    assert [output.text for output in engine.read([page("free")] * 9)] == [TEXT] * 9


@pytest.mark.parametrize(("keepalive_s", "new_connections"), [(0.0, 1), (60.0, 0)])
def test_a_connection_that_the_server_may_be_about_to_close_is_not_used(
    faults: Faults, keepalive_s: float, new_connections: int
) -> None:
    def connect(endpoint: Endpoint, connections: int) -> httpx.AsyncClient:
        return endpoint.async_client(RETRY_POLICY.timeout, connections, keepalive_s)

    engine = engine_for(faults, pages=1, connect=connect)
    outputs = engine.read(page("free") for _ in range(2))
    next(outputs)
    before = faults.connections
    assert len(list(outputs)) == 1
    assert faults.connections == before + new_connections


def test_closing_early_cancels(faults: Faults) -> None:
    faults.script = {prompt_line("ocr"): ["hang"] * 99}
    outputs = engine_for(faults, pages=4).read(page(prompt) for prompt in ("free", *["ocr"] * 50))
    assert next(outputs).key == "free"
    started = time.monotonic()
    outputs.close()
    assert time.monotonic() - started < 2
    assert len(faults.pages) < 10


def test_a_generator_that_was_never_closed_keeps_no_process_alive(faults: Faults) -> None:
    faults.script = {prompt_line("ocr"): ["hang"] * 9}
    script = f"""
from PIL import Image
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
image = Image.new("RGB", (50, 50))
requests = [
    PageRequest(key=prompt, image=image, prompt=prompt, resolution="gundam")
    for prompt in ("free", *["ocr"] * 99)
]
outputs = HttpEngine(lambda: Endpoint({faults.url!r}), model="m", pages=2).read(requests)
print(next(outputs).text)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=15, check=True
    )
    assert (done.stdout.strip(), done.stderr) == (TEXT, "")


def test_one_page_is_cancelled(faults: Faults) -> None:
    faults.script = {prompt_line("ocr"): ["hang"]}
    started = time.monotonic()
    requests = [page("ocr", cancelled=lambda: time.monotonic() > started + 0.3), page("free")]
    outputs = {output.key: output for output in engine_for(faults).read(requests)}
    assert outputs["free"].text == TEXT
    assert outputs["ocr"].error is not None
    assert outputs["ocr"].error.code == "cancelled"


def test_an_error_of_the_source_reaches_the_consumer(faults: Faults) -> None:
    def requests() -> Iterator[PageRequest]:
        yield page("free")
        raise RuntimeError("the source")

    with pytest.raises(RuntimeError, match="the source"):
        list(engine_for(faults).read(requests()))


def test_progress_is_reported(faults: Faults) -> None:
    faults.script = {prompt_line("free"): ["slow"] * 4}
    reports: list[Progress] = []
    list(
        engine_for(faults, pages=2, progress_interval_s=0.0).read(
            [page("free")] * 4, reports.append
        )
    )
    assert max(each.pages_in_flight for each in reports) == 2
    assert reports[-1].pages_done == 4
