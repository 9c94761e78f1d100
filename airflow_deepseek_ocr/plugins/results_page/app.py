"""The app behind Airflow's path ``/deepseek-ocr``: one page, its style and script, and JSON for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from airflow_deepseek_ocr.plugins.results_page import documents, lists, reviews
from airflow_deepseek_ocr.plugins.results_page.gate import Gate

_STATIC = Path(__file__).parent / "static"
#: The browser asks each time whether the file is still the same, so that an upgrade shows at once.
_REVALIDATE = {"cache-control": "no-cache"}


class _Files(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return a file that the browser asks for again."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(_REVALIDATE)
        return response


class _App(FastAPI):
    def build_middleware_stack(self) -> Any:
        """Return the app behind the gate, which gives its headers to failures without a handler as well."""
        return Gate(super().build_middleware_stack())


def make_app() -> FastAPI:
    """Return the app. Airflow mounts it, so nothing of Airflow's own app is in its state."""
    made = _App(docs_url=None, redoc_url=None, openapi_url=None)
    api = APIRouter(prefix="/api")
    api.include_router(lists.router)
    api.include_router(documents.router)
    api.include_router(reviews.router)
    made.include_router(api)
    made.add_api_route("/", _page, methods=["GET", "HEAD"], include_in_schema=False)
    made.mount("/static", _Files(directory=_STATIC), name="static")
    return made


async def _page() -> FileResponse:
    return FileResponse(_STATIC / "index.html", headers=_REVALIDATE)


#: Mounted by the plugin.
app = make_app()
