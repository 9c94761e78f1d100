"""Delivery of images as files, and within requests where no file can be written."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.image_delivery import (
    ImageDelivery,
    Server,
    can_write_page_files,
)
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model_server.received_page_files import ReceivedPageFiles
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.support.fakes.another_user import as_another_user


def request(resolution: str = "gundam") -> PageRequest:
    noise = Image.effect_noise((40, 30), 90)
    return PageRequest(key=1, image=noise, prompt="free", resolution=resolution)


class Host:
    """A server with a socket, and the delivery of pages to it."""

    def __init__(
        self, directory: Path, *, limit: int | None = None, file_retry_s: float = 60.0
    ) -> None:
        self.socket = directory / "s.sock"
        self.socket.touch()
        self.files = ReceivedPageFiles(page_directory(self.socket), 1_000_000)
        self.files.open()
        self.delivery, self.delivered = ImageDelivery(file_retry_s=file_retry_s), 0
        self.server = Server(
            Endpoint("http://localhost", socket_path=self.socket),
            Capabilities(model="m", page_directory=self.files.url, max_body_bytes=limit),
        )

    def send(self, *, as_file: bool = True) -> str:
        """Send a page, and return the scheme of its image's URL."""
        page = self.delivery.prepare(request(), self.server)
        assert page.image_url is None, "nothing is encoded in vain"
        self.delivered = 0
        return asyncio.run(self._send(page, as_file))

    async def _send(self, page: object, as_file: bool) -> str:
        done = asyncio.Event()

        def on_delivered() -> None:
            self.delivered += 1
            done.set()

        delivering = self.delivery.deliver(page, self.server, on_delivered, as_file=as_file)  # type: ignore[arg-type]
        async with delivering as image:
            image.on_sent()
            url = image.url.decode()
            if url.startswith("file:"):
                assert not self.delivered, "the server has not taken the file"
                assert self.files.take(url)
            await asyncio.wait_for(done.wait(), 20)
            assert self.delivered == 1
        return url.partition(":")[0]


def test_a_page_goes_as_a_file_where_it_can(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.send() == "file"
    assert host.send(as_file=False) == "data"
    assert host.send() == "file"


def test_a_page_that_is_too_large_is_left_to_the_server_to_refuse(tmp_path: Path) -> None:
    assert Host(tmp_path, limit=500).send() == "data"


def test_a_missing_directory_is_logged_once_and_no_file_is_tried_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path)
    host.files.close()
    assert [host.send(), host.send()] == ["data", "data"]
    (message,) = caplog.messages
    assert "within requests, which is slower" in message
    assert f"{page_directory(host.socket)} (No such file" in message
    host.files.open()
    assert host.send() == "data"


def test_files_are_tried_again_after_a_while(tmp_path: Path) -> None:
    host = Host(tmp_path, file_retry_s=0.0)
    host.files.close()
    assert host.send() == "data"
    host.files.open()
    assert host.send() == "file"


def test_a_directory_that_disappeared_with_its_server_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path)
    host.files.close()
    host.socket.unlink()
    assert host.send() == "data"
    assert not caplog.messages
    host.socket.touch()
    host.files.open()
    assert host.send() == "file"


def test_a_page_for_another_kind_of_server_is_encoded_ahead() -> None:
    server = Server(Endpoint("http://127.0.0.1:1"), Capabilities(model="m"))
    page = ImageDelivery().prepare(request(), server)
    assert page.image_url is not None
    assert page.image_url.startswith(b"data:image/bmp;base64,")
    assert (page.line, page.size) == ("Free OCR.", (40, 30))


def test_a_mode_that_the_server_does_not_support_is_refused() -> None:
    server = Server(Endpoint("http://127.0.0.1:1"), Capabilities(model="m"))
    with pytest.raises(ConfigurationError) as caught:
        ImageDelivery().prepare(request("tiny"), server)
    assert caught.value.code == ErrorCode.SERVER_MODE


def test_whether_page_files_reach_a_server(tmp_path: Path) -> None:
    host = Host(tmp_path)
    endpoint = host.server.endpoint
    assert can_write_page_files(endpoint)
    assert not can_write_page_files(Endpoint("http://127.0.0.1:1"))
    host.files.close()
    assert not can_write_page_files(endpoint), (
        "only the socket is mounted, or the server is another one"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="another user needs root")
def test_another_user_sends_pages_within_requests() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        endpoint = Host(Path(directory)).server.endpoint
        assert can_write_page_files(endpoint)
        said = as_another_user({"writes": lambda: str(can_write_page_files(endpoint))})
        assert said == {"writes": "False"}
        os.chown(page_directory(Path(directory) / "s.sock"), 12345, 12345)
        assert not can_write_page_files(endpoint), "the server could not read files of root"
