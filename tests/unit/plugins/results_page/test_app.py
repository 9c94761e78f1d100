"""The page, its style and scripts."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi.testclient import TestClient

from airflow_deepseek_ocr.plugins.results_page import app


def test_the_page_and_all_that_it_loads_are_there(client: Callable[..., TestClient]) -> None:
    anonymous = client(None)
    html = anonymous.get("/").text
    scripts = {"static/app.js"}
    links = set(re.findall(r'(?:href|src)="(static/[^"]+)"', html))
    assert scripts < links
    for script in sorted(app._STATIC.glob("*.js")):
        links |= {f"static/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert len(links) >= 10
    for link in links | {"static/icon-dark.svg"}:
        response = anonymous.get(f"/{link}")
        assert response.status_code == 200, link
        assert response.headers["cache-control"] == "no-cache"
    assert "javascript" in anonymous.get("/static/app.js").headers["content-type"]


def test_nothing_is_inline_or_of_another_host() -> None:
    for file in app._STATIC.iterdir():
        text = file.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
        if file.suffix == ".html":
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)
        if file.suffix == ".js" and file.name != "dom.js":
            assert "innerHTML" not in text, file.name


def test_airflows_own_documentation_of_apps_is_not_served(
    client: Callable[..., TestClient],
) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/static/", "/static/../app.py"):
        assert client().get(path).status_code in (404, 405), path
