"""What is sent for a page."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.chat import PUBLISHED_TABLE_CELLS, Capabilities, chat_request
from airflow_deepseek_ocr.engines.endpoint import Endpoint
from airflow_deepseek_ocr.engines.http_page import encode, request_body
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine import PageRequest


@pytest.mark.parametrize("name", ["m", '"url":""', "ein Größeres"])
def test_the_image_is_put_into_the_request_where_it_belongs(name: str) -> None:
    server = Capabilities(name, version="1")
    request = PageRequest(1, Image.effect_noise((40, 30), 90), f"locate:{name}", "gundam")
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
        guard=(Decoding().ngram_size, Decoding().ngram_window),
        table_cells=PUBLISHED_TABLE_CELLS,
    )
