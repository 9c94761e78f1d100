"""What is sent for a page."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.page_exchange import Images, encode, request_body
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    PUBLISHED_TABLE_CELLS,
    Capabilities,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.model_server.received_page_files import PageFiles
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest


@pytest.mark.parametrize("name", ["m", '"url":""', "ein Größeres"])
def test_the_image_is_put_into_the_request_where_it_belongs(name: str) -> None:
    server = Capabilities(name, version="1")
    request = PageRequest(
        key=1, image=Image.effect_noise((40, 30), 90), prompt=f"locate:{name}", resolution="gundam"
    )
    page = encode(request, server, Endpoint("http://127.0.0.1:1"))
    assert page.image_url is not None
    parts = request_body(page, page.image_url, server, Decoding(), PUBLISHED_TABLE_CELLS)
    assert any(part is page.image_url for part in parts), "it is not copied"
    assert json.loads(b"".join(parts)) == chat_request(
        model=name,
        image_url=page.image_url.decode(),
        line=page.line,
        resolution=None,
        max_tokens=Decoding().max_output_length,
        no_repeat_ngram=(Decoding().ngram_size, Decoding().ngram_window),
        table_cells=PUBLISHED_TABLE_CELLS,
    )


class Handed:
    """Pages on their way to a server with a socket."""

    def __init__(self, directory: Path, limit: int | None = None) -> None:
        self.socket = directory / "s.sock"
        self.socket.touch()
        self.files = PageFiles(page_directory(self.socket), 1_000_000)
        self.files.open()
        self.images, self.told = Images(), 0
        self.server = Capabilities("m", page_directory=self.files.url, max_body_bytes=limit)

    def send(self, *, files: bool = True) -> str:
        """Where the image was, and that it was there."""
        noise = Image.effect_noise((40, 30), 90)
        endpoint = Endpoint("http://resident", socket_path=self.socket)
        page = encode(
            PageRequest(key=1, image=noise, prompt="free", resolution="gundam"),
            self.server,
            endpoint,
        )
        assert page.image_url is None, "nothing is made ready that is not needed"

        def tell() -> None:
            self.told += 1

        async def one() -> str:
            async with self.images.sent(page, self.server, endpoint, tell, files=files) as image:
                image.on_sent()
                url = image.url.decode()
                if url.startswith("file:"):
                    assert not self.told, "the server has nothing of it yet"
                    assert self.files.take(url)
                    await asyncio.sleep(0.1)
                assert self.told == 1
            return url.partition(":")[0]

        self.told = 0
        return asyncio.run(one())


def test_a_page_goes_as_a_file_where_it_can(tmp_path: Path) -> None:
    handed = Handed(tmp_path)
    assert handed.send() == "file"
    assert handed.send(files=False) == "data"
    assert handed.send() == "file"


def test_a_page_that_is_too_large_is_left_to_the_server_to_refuse(tmp_path: Path) -> None:
    assert Handed(tmp_path, limit=500).send() == "data"


def test_a_directory_that_is_missing_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handed = Handed(tmp_path)
    handed.files.close()
    assert [handed.send(), handed.send()] == ["data", "data"]
    (said,) = caplog.messages
    assert "within requests, which is slower" in said
    assert f"{page_directory(handed.socket)} (No such file" in said
    handed.files.open()
    assert handed.send() == "data"
    handed.images._no_files_until = time.monotonic()
    assert handed.send() == "file"


def test_a_directory_that_went_with_its_server_is_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handed = Handed(tmp_path)
    handed.files.close()
    handed.socket.unlink()
    assert handed.send() == "data"
    assert not caplog.messages
    handed.socket.touch()
    handed.files.open()
    assert handed.send() == "file"
