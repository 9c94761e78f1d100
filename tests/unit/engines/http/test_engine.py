"""The HTTP engine with a server that works; its faults are tests of the servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import own_capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.support.fakes.fault_server import TEXT, Faults, fault_server


@pytest.fixture
def faults() -> Iterator[Faults]:
    with fault_server(Faults()) as running:
        yield running


def requests(count: int) -> Iterator[PageRequest]:
    for key in range(count):
        image = Image.new("L", (40, 30))
        yield PageRequest(key=key, image=image, prompt="free", resolution="gundam")


def test_every_page_has_one_output(faults: Faults) -> None:
    engine = HttpEngine(lambda: Endpoint(faults.url), model="m", pages=4)
    outputs = {output.key: output.text for output in engine.read(requests(20))}
    assert outputs == dict.fromkeys(range(20), TEXT)
    assert faults.most_in_flight <= 4
    assert list(engine.read(requests(0))) == []
    engine.close()


def test_capabilities_are_asked_once_per_server(faults: Faults) -> None:
    faults.card = own_capabilities("m", "abc", Decoding(), version="1").card()
    found: list[str] = []

    def find() -> Endpoint:
        found.append(faults.url)
        return Endpoint(faults.url)

    engine = HttpEngine(find, model="m")
    assert engine.modes() == ("tiny", "small", "base", "large", "gundam")
    faults.card = {}
    assert engine.capabilities().revision == "abc"
    assert len(found) == 2
