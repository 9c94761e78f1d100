"""Loading, failing and idle time of the service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.service import Model, Service, State
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from tests.support.waiting import eventually


class Engine:
    """An engine without a model."""

    device, dtype, decoding, preempted_pages = "cpu", torch.float32, Decoding(), 0
    clock = type("Clock", (), {"seconds": staticmethod(dict)})()

    def __init__(self, fault: str = "") -> None:
        self._fault = fault

    def family(self) -> ModelFamily:
        return DEEPSEEK_OCR

    def smallest_print(self) -> float:
        return 5.5

    def occupancy(self) -> Occupancy:
        return Occupancy(slots=4)

    def plan(self) -> Any:
        return type("Plan", (), {"slots": 4})

    def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
        for request in requests:
            if self._fault == "reading":
                raise RuntimeError("lost")
            yield PageOutput(key=request.key, text="text")

    @property
    def page_length(self) -> int:
        if self._fault == "length":
            raise RuntimeError("no way")
        return 8192


def service(load: Callable[[Model], Any], **options: Any) -> tuple[Service, threading.Event]:
    ended = threading.Event()
    model = Model(directory=Path("unused"), name="m")
    return Service(model, load=load, on_end=ended.set, **options), ended


def no_engine(_: Model) -> Any:
    raise RuntimeError("no way")


@pytest.mark.parametrize("load", [no_engine, lambda _: Engine("length")], ids=["engine", "later"])
def test_any_error_while_it_loads_ends_it(load: Callable[[Model], Any]) -> None:
    loading, ended = service(load)
    loading.load()
    assert ended.wait(20)
    assert (loading.state, str(loading.failure)) == (State.FAILED, "RuntimeError: no way")
    assert loading.failure is not None
    assert loading.failure.code == ErrorCode.SERVER_FAILED
    assert loading.capabilities is None


def test_an_error_of_the_package_keeps_its_code() -> None:
    def full(_: Model) -> Any:
        raise UnavailableError(ErrorCode.OUT_OF_MEMORY, "too little")

    loading, ended = service(full)
    loading.load()
    assert ended.wait(20)
    assert loading.failure is not None
    assert (loading.failure.code, str(loading.failure)) == (ErrorCode.OUT_OF_MEMORY, "too little")


def test_capabilities_are_those_of_the_engine(tmp_path: Path) -> None:
    loading, _ = service(lambda _: Engine(), page_directory=tmp_path / "pages", max_body_bytes=99)
    assert loading.state == State.LOADING
    assert loading.idle_s == 0
    loading.load()
    eventually(lambda: loading.state == State.READY)
    capabilities = loading.capabilities
    assert capabilities is not None
    assert (capabilities.pages, capabilities.max_body_bytes) == (4, 99)
    assert (capabilities.device, capabilities.dtype) == ("cpu", "float32")
    assert capabilities.page_directory == (tmp_path / "pages").as_uri()
    assert (tmp_path / "pages").is_dir()
    loading.close()
    assert not (tmp_path / "pages").exists()


def test_pages_count_as_use() -> None:
    loading, _ = service(lambda _: Engine(), max_pending_tokens=1)
    loading.load()
    eventually(lambda: loading.state == State.READY)
    eventually(lambda: loading.idle_s > 0)
    with loading.admit("a") as ticket:
        assert ticket is not None
        assert loading.idle_s == 0
        text = loading.metrics.text()
        for line in (
            b"deepseek_ocr_pending_pages 1.0",
            b"deepseek_ocr_slots 4.0",
            b"deepseek_ocr_max_pending_tokens 1.0",
            b"deepseek_ocr_queued_pages 0.0",
        ):
            assert line in text
        assert b"deepseek_ocr_oldest_page_seconds 0.0\n" not in text
        assert f'device="cpu",dtype="float32",model="m",revision="",version="{__version__}"' in str(
            text
        )
        assert b"deepseek_ocr_device_memory_bytes{" not in text
        with loading.admit("a") as second:
            assert second is None
    assert b"deepseek_ocr_pending_pages 0.0" in loading.metrics.text()
    loading.close()
