"""The server's process, with TLS and without; tests/integration/servers runs it with the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server import main
from airflow_deepseek_ocr.model_server.listen_address import ListenAddress
from airflow_deepseek_ocr.model_server.server_tls import ServerTls
from tests.support.certificates import Authority
from tests.support.servers.process import free_port

KEY = "0123456789abcdef"


class StandInService:
    """A service without a model: it asks the server to end as soon as a client was answered."""

    state, capabilities, page_files, idle_s = "loading", None, None, 0.0

    def __init__(self, failure: DeepSeekOCRError | None = None) -> None:
        self.failure, self.events = failure, list[str]()

    def load(self) -> None:
        self.events.append("load")

    def close(self) -> None:
        self.events.append("close")


def answer(
    address: ListenAddress, endpoint: Endpoint, tls: ServerTls | None, service: StandInService
) -> httpx.Response:
    """Run a server in this thread until a client in another one has an answer."""
    answers: list[httpx.Response] = []
    leave: list[Callable[[], None]] = []

    def call() -> None:
        for _ in range(200):
            try:
                with endpoint.client(httpx.Timeout(5)) as client:
                    answers.append(client.get("/health/ready"))
                break
            except httpx.ConnectError:
                threading.Event().wait(0.05)
        leave[0]()

    def make(on_end: Callable[[], None]) -> StandInService:
        leave.append(on_end)
        return service

    client = threading.Thread(target=call)
    client.start()
    try:
        main.run(make, api_key=KEY, address=address, idle_s=None, tls=tls)  # type: ignore[arg-type]
    finally:
        client.join()
    return answers[0]


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests keep their signal handlers."""
    monkeypatch.setattr(main.signal, "signal", lambda *_: None)


def test_a_server_with_tls(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    tls = ServerTls(authority.issue("127.0.0.1"))
    endpoint = Endpoint(f"https://127.0.0.1:{port}", KEY, ca_certificates=authority.path)
    service = StandInService()
    response = answer(ListenAddress(port=port), endpoint, tls, service)
    assert (response.status_code, response.json()) == (503, {"status": "loading"})
    assert service.events == ["load", "close"]


def test_a_server_at_a_socket_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    endpoint = Endpoint("http://localhost", KEY, path)
    assert answer(ListenAddress(socket_path=path), endpoint, None, StandInService()).json()
    assert not path.exists()


def test_the_failure_of_the_model_ends_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    service = StandInService(UnavailableError(ErrorCode.SERVER_BROKEN, "The device is gone."))
    with pytest.raises(UnavailableError, match="device is gone"):
        answer(
            ListenAddress(socket_path=path), Endpoint("http://localhost", KEY, path), None, service
        )


def test_a_renewed_certificate_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "RENEWAL_S", 0.01)
    old, new, port = Authority(tmp_path, "old"), Authority(tmp_path, "new"), free_port()
    tls = ServerTls(old.issue("127.0.0.1"))
    new.issue("127.0.0.1")
    endpoint = Endpoint(f"https://127.0.0.1:{port}", KEY, ca_certificates=new.path)
    assert answer(ListenAddress(port=port), endpoint, tls, StandInService()).status_code == 503
