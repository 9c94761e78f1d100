"""Servers that other containers and hosts use: TLS, keys, Unix sockets, network namespaces."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import make_engine
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.image_delivery import ImageDelivery
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL
from tests.integration.servers.conftest import MODEL, START_TIMEOUT_S
from tests.support.certificates import Authority
from tests.support.command_line import run
from tests.support.servers.network import ADDRESS, private_network
from tests.support.servers.process import Process, ServerUnavailable, free_port, wait_until

TABLE = ROOT / "demo" / "documents" / "table.png"
#: Ports in namespaces, where no other program listens.
TLS_PORT, LOOPBACK_PORT = 8808, 8809


def serve(*options: object) -> list[str]:
    """Return the command of a server with the small checkpoint."""
    argv = [
        sys.executable, "-m", "airflow_deepseek_ocr.cli", "serve", TINY_MODEL,
        "--name", MODEL, "--device", "cpu", *options,
    ]  # fmt: skip
    return list(map(str, argv))


def start(argv: list[str], directory: Path, endpoint: Endpoint) -> Process:
    """Start a server, and wait until it is ready."""
    process = Process(argv, directory, directory / "log")
    process.start()

    def ready() -> bool:
        try:
            with endpoint.client(httpx.Timeout(5)) as client:
                return client.get("/health/ready").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(ready, START_TIMEOUT_S, "the server is ready", process)
    except BaseException:
        process.kill()
        raise
    return process


def request(image: Image.Image) -> PageRequest:
    return PageRequest(key=0, image=image, prompt="free", resolution="tiny", max_output_length=8)


@dataclass(frozen=True)
class TlsServer:
    url: str
    api_key: str
    authority: Path
    process: Process

    def settings(self, api_key: str | None, **extra: Any) -> Settings:
        fields = {"model": MODEL, "ca_certificates": str(self.authority), **extra}
        return Settings.of(fields, api_key, host=self.url)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    directory = tmp_path_factory.mktemp("tls")
    authority, port = Authority(directory), free_port()
    files = authority.issue("127.0.0.1")
    url = f"https://127.0.0.1:{port}"
    api_key = create_api_key(directory / "api_key")
    argv = serve(
        *("--port", port, "--api-key-file", directory / "api_key"),
        *("--tls-certificate", files.certificate, "--tls-key", files.key),
    )
    process = start(argv, directory, Endpoint(url, ca_certificates=authority.path))
    yield TlsServer(url, api_key, authority.path, process)
    process.stop()


def test_a_connection_with_tls_reads_a_page(tls_server: TlsServer, table: Image.Image) -> None:
    engine = make_engine(tls_server.settings(tls_server.api_key), lambda: pytest.fail("fetched"))
    (output,) = engine.read([request(table)])
    assert output.error is None
    assert output.text_tokens == 8
    assert "with TLS" in tls_server.process.log.read_text()


@pytest.mark.parametrize("api_key", [None, "0123456789abcdef-wrong"])
def test_without_the_key_all_but_the_health_is_refused(
    tls_server: TlsServer, api_key: str | None
) -> None:
    endpoint = Endpoint(tls_server.url, api_key, ca_certificates=tls_server.authority)
    with endpoint.client(httpx.Timeout(20)) as client:
        for path in ("/v1/models", "/metrics", "/docs", "/no/such/path"):
            response = client.get(path)
            assert response.status_code == 401
            assert MODEL not in response.text
        assert client.get("/health/live").json() == {"status": "live"}
        assert client.get("/health/ready").json() == {"status": "ready"}
    with pytest.raises(ConfigurationError, match="refuses the API key") as caught:
        make_engine(tls_server.settings(api_key), lambda: TINY_MODEL).modes()
    assert caught.value.code is ErrorCode.SERVER_API_KEY


def test_plain_http_and_unknown_authorities_are_refused(tls_server: TlsServer) -> None:
    unknown = Settings.of({"model": MODEL}, tls_server.api_key, host=tls_server.url)
    with pytest.raises(ConfigurationError) as caught:
        make_engine(unknown, lambda: TINY_MODEL).modes()
    assert caught.value.code is ErrorCode.SERVER_TLS
    with pytest.raises(httpx.TransportError):
        httpx.get(tls_server.url.replace("https:", "http:") + "/health/live", trust_env=False)


def test_preflight_of_a_server_with_tls(
    tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCR_KEY", tls_server.api_key)
    options = ("preflight", "--host", tls_server.url, "--model", MODEL, "--api-key-env", "OCR_KEY")
    done = run(*options, "--ca-certificates", tls_server.authority)
    assert done.returncode == 0, done.stdout
    assert f"{tls_server.url} serves {MODEL}" in done.stdout
    done = run(*options)
    assert done.returncode == 1
    assert "Set the connection's CA certificates" in done.stdout


def test_plain_http_beyond_this_host_must_be_named(tmp_path: Path) -> None:
    done = run("serve", TINY_MODEL, "--host", "0.0.0.0", "--api-key-file", tmp_path / "key")
    assert done.returncode == 1
    assert "--plain-http if pages and API key may be read on the way" in done.stderr


def test_a_connection_names_a_socket(
    tmp_path: Path, table: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left by a server that was killed with its container."""
    path = tmp_path / "s.sock"
    api_key = "0123456789abcdef"
    monkeypatch.setenv("OCR_KEY", api_key)
    argv = serve("--socket", path, "--api-key-env", "OCR_KEY")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = start(argv, tmp_path, Endpoint("http://localhost", socket_path=path))
    try:
        settings = Settings.of({"model": MODEL}, api_key, host=f"unix://{path}")
        engine = make_engine(settings, lambda: pytest.fail("fetched"))
        assert isinstance(engine, HttpEngine)
        # A page within a request would fail.
        engine._delivery = ImageDelivery(encode=lambda *_, **__: str(1 / 0))
        (output,) = engine.read([request(table)])
        assert output.error is None
        # Only the socket is mounted in the client's container.
        (tmp_path / "mounted").symlink_to(path)
        settings = Settings.of({"model": MODEL}, api_key, host=f"unix://{tmp_path}/mounted")
        (again,) = make_engine(settings, lambda: pytest.fail("fetched")).read([request(table)])
        assert (again.error, again.text) == (None, output.text)
        assert not list(page_directory(path).iterdir())
        done = run(
            "preflight", "--host", f"unix://{path}", "--model", MODEL, "--api-key-env", "OCR_KEY"
        )
        assert done.returncode == 0, done.stdout
        assert f"unix://{path} serves {MODEL}" in done.stdout
    finally:
        server.stop()
    assert not path.exists()
    assert not page_directory(path).exists()


@pytest.mark.slow
def test_callers_of_other_network_namespaces(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue(ADDRESS)
    api_key = create_api_key(tmp_path / "key")
    key_option = ("--api-key-file", tmp_path / "key")
    url = f"https://{ADDRESS}:{TLS_PORT}"
    with ExitStack() as stack:
        try:
            network = stack.enter_context(private_network(2))
        except ServerUnavailable as reason:
            pytest.skip(str(reason))
        tls = ("--tls-certificate", files.certificate, "--tls-key", files.key)
        for name, argv in (
            ("tls", serve("--host", ADDRESS, "--port", TLS_PORT, *key_option, *tls)),
            ("loopback", serve("--port", LOOPBACK_PORT, *key_option)),
        ):
            process = Process(network.command(network.server, argv), tmp_path, tmp_path / name)
            process.start()
            stack.callback(process.kill)

        def call(namespace: str, host: str, password: str | None, wait_s: float) -> dict[str, str]:
            extra = {"model": MODEL}
            if host.startswith("https:"):
                extra["ca_certificates"] = str(authority.path)
            values = {
                "host": host, "password": password, "extra": extra, "image": str(TABLE), "wait_s": wait_s,
            }  # fmt: skip
            argv = network.command(namespace, [sys.executable, "-m", "tests.support.read_page"])
            done = subprocess.run(
                argv,
                input=json.dumps(values),
                capture_output=True,
                text=True,
                timeout=200,
                cwd=ROOT,
            )
            assert done.returncode == 0, done.stderr
            answer: dict[str, str] = json.loads(done.stdout)
            return answer

        one, other = network.callers
        loopback = f"http://127.0.0.1:{LOOPBACK_PORT}"
        with ThreadPoolExecutor(3) as pool:
            ready = pool.submit(call, network.server, loopback, api_key, START_TIMEOUT_S)
            pages = pool.map(lambda each: call(each, url, api_key, START_TIMEOUT_S), (one, other))
            texts = [page["text"] for page in pages]
            assert ready.result()["text"] == texts[0], (
                "the server on the loopback serves its own host"
            )
        assert texts[0] == texts[1]
        with ThreadPoolExecutor(3) as pool:
            refused = pool.submit(call, one, url, None, 0)
            plain = pool.submit(call, one, f"http://{ADDRESS}:{LOOPBACK_PORT}", api_key, 0)
            away = pool.submit(call, other, loopback, api_key, 0)
            assert refused.result()["code"] == ErrorCode.SERVER_API_KEY
            assert plain.result()["code"] == ErrorCode.SERVER_UNREACHABLE
            assert away.result()["code"] == ErrorCode.SERVER_UNREACHABLE
