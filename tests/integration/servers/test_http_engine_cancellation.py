"""The HTTP engine ends early: closed, cancelled, or after an error of the source."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from tests.support.fakes.fault_server import TEXT, Faults
from tests.support.fixtures.fault_engine import engine_for, page


def test_closing_early_cancels(faults: Faults) -> None:
    # The stand-in answers when the test is over: without cancellation, closing would never end.
    faults.script = {prompt_line("ocr"): ["hang"] * 99}
    outputs = engine_for(faults, pages=4).read(page(prompt) for prompt in ("free", *["ocr"] * 50))
    assert next(outputs).key == "free"
    outputs.close()
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
    sent = [page("ocr", cancelled=lambda: len(faults.pages) == 2), page("free")]
    outputs = {output.key: output for output in engine_for(faults).read(sent)}
    assert outputs["free"].text == TEXT
    assert outputs["ocr"].error is not None
    assert outputs["ocr"].error.code == "cancelled"


def test_an_error_of_the_source_reaches_the_consumer(faults: Faults) -> None:
    def requests() -> Iterator[PageRequest]:
        yield page("free")
        raise RuntimeError("the source")

    with pytest.raises(RuntimeError, match="the source"):
        list(engine_for(faults).read(requests()))
