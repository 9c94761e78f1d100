"""Requests to the server of the tests, well formed and as bytes."""

from __future__ import annotations

import base64
import io
import socket
from typing import Any

import psutil
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    PUBLISHED_TABLE_CELLS,
    chat_request,
)
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from tests.integration.servers.conftest import MODEL, Server

CHAT = "/v1/chat/completions"


def body(image: Image.Image, **changes: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    values = chat_request(
        model=MODEL,
        image_url=f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        line=PROMPTS["free"].template,
        resolution="tiny",
        max_tokens=20,
        no_repeat_ngram=(30, 90),
        table_cells=PUBLISHED_TABLE_CELLS,
    )
    return values | changes


def engine_for(server: Server, **options: Any) -> HttpEngine:
    return HttpEngine(lambda: server.endpoint, model=MODEL, **options)


def connection_to(server: Server) -> socket.socket:
    port = int(server.endpoint.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def server_process(server: Server) -> psutil.Process:
    port = int(server.endpoint.url.rpartition(":")[2])
    (found,) = (
        each
        for each in psutil.net_connections("tcp4")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    )
    return psutil.Process(found.pid)


def with_prompt(request: dict[str, Any], line: str) -> list[dict[str, Any]]:
    (message,) = request["messages"]
    return [{"role": "user", "content": [message["content"][0], {"type": "text", "text": line}]}]
