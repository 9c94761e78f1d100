"""The routes of a server whose engine is not loaded yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from airflow_deepseek_ocr.engines.protocol.chat_completions import CHAT_PATH
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.model_server.app import make_app
from airflow_deepseek_ocr.model_server.service import Model, Service

KEY = {"Authorization": "Bearer key"}


@pytest.fixture
def client() -> TestClient:
    service = Service(Model(directory=Path("unused"), name="m"), on_end=lambda: None)
    return TestClient(make_app(service, "key"))


def test_health_needs_no_api_key(client: TestClient) -> None:
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "loading"})


@pytest.mark.parametrize("sent", [None, "Bearer wrong", "Basic key", "key"])
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/nowhere"])
def test_everything_else_needs_it(client: TestClient, path: str, sent: str | None) -> None:
    response = client.get(path, headers={"Authorization": sent} if sent else {})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == ErrorCode.SERVER_API_KEY
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_page_before_the_model_is_loaded_is_counted_and_refused(client: TestClient) -> None:
    response = client.post(CHAT_PATH, headers=KEY, content=b"{}")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == RequestErrorCode.SERVER_NOT_READY
    assert response.headers["Retry-After"] == "1"
    metrics = client.get("/metrics", headers=KEY).text
    assert 'deepseek_ocr_http_responses_total{status="503"} 1.0' in metrics
