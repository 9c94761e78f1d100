"""Pages that go to a server on the same host as files, with the small checkpoint."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.image_delivery import ImageDelivery
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import chat_request
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from tests.conftest import TINY_MODEL
from tests.integration.servers.conftest import SPEC


@pytest.fixture
def scans(table: Image.Image) -> list[PageRequest]:
    """Pages with grain and without, in colour and without."""
    grain = Image.effect_noise(table.size, 20)
    images = [
        table,
        table.convert("L").convert("RGB"),
        Image.merge("RGB", [grain, grain, grain.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]),
    ]
    return [
        PageRequest(key=key, image=image, prompt="free", resolution="tiny", max_output_length=12)
        for key, image in enumerate(images)
    ]


def texts(outputs: Iterable[PageOutput]) -> dict[Any, str]:
    outputs = list(outputs)
    assert [output.error for output in outputs] == [None] * len(outputs)
    return {output.key: output.text for output in outputs}


def test_pages_go_to_a_server_on_this_host_as_files(
    started: ServerRecord,
    servers: Path,
    scans: list[PageRequest],
) -> None:
    expected = texts(InProcessEngine(TINY_MODEL, device="cpu").read(scans))
    # A page within a request would fail.
    delivery = ImageDelivery(encode=lambda *_, **__: str(1 / 0))
    engine = HttpEngine(Supervisor(SPEC, servers, 120).find, model="tiny", delivery=delivery)
    assert texts(engine.read(scans)) == expected
    directory = page_directory(Path(str(started.socket)))
    assert directory.stat().st_mode & 0o077 == 0
    assert not list(directory.iterdir())


def test_where_no_file_can_be_written_pages_go_within_requests(
    started: ServerRecord,
    servers: Path,
    scans: list[PageRequest],
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = HttpEngine(Supervisor(SPEC, servers, 120).find, model="tiny")
    expected = texts(engine.read(scans))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    engine = HttpEngine(
        Supervisor(SPEC, servers, 120).find, model="tiny", delivery=ImageDelivery(write=full)
    )
    assert texts(engine.read(scans)) == expected
    directory = page_directory(Path(str(started.socket)))
    said = [each for each in caplog.messages if "within requests, which is slower" in each]
    assert len(said) == 1, "it is said once"
    assert f"{directory} (No space left" in said[0]


def test_a_page_whose_file_is_gone_goes_within_the_request(
    started: ServerRecord,
    servers: Path,
    scans: list[PageRequest],
) -> None:
    engine = HttpEngine(Supervisor(SPEC, servers, 120).find, model="tiny")
    expected = texts(engine.read(scans))
    encoded = []

    def encode(image: Image.Image, *, local: bool, limit: int | None = None) -> str:
        encoded.append(image)
        return data_url(image, local=local, limit=limit)

    delivery = ImageDelivery(write=lambda *_: None, encode=encode)
    engine = HttpEngine(Supervisor(SPEC, servers, 120).find, model="tiny", delivery=delivery)
    assert texts(engine.read(scans)) == expected
    assert len(encoded) == len(scans)


@pytest.mark.parametrize("path", ["/etc/passwd", "SECRET", "DIRECTORY/../SECRET"])
def test_no_other_file_is_read_for_a_client(started: ServerRecord, path: str) -> None:
    secret = Path(started.api_key_file)
    directory = page_directory(Path(str(started.socket)))
    url_path = path.replace("/SECRET", f"/{secret.name}").replace("DIRECTORY", str(directory))
    body = chat_request(
        model="tiny",
        image_url=f"file://{url_path.replace('SECRET', str(secret))}",
        line="Free OCR.",
        resolution="tiny",
        max_tokens=5,
        no_repeat_ngram=(0, 0),
        table_cells=(),
    )
    with started.endpoint.client(httpx.Timeout(30)) as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == RequestErrorCode.NO_PAGE_FILE
    assert secret.read_text().strip() not in answer.text
