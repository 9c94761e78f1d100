"""Airflow's plugin with the page of results (entry point ``airflow.plugins``).

Every process of Airflow imports this module, so it imports neither FastAPI's app nor the database.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_deepseek_ocr.airflow_support.results_page import (
    TITLE,
    URL_PREFIX,
    PageSettings,
    base_path,
)


async def lazy_app(scope: Any, receive: Any, send: Any) -> None:
    """Pass a request to the page's app, which the first request imports."""
    from airflow_deepseek_ocr.plugins.results_page.app import app

    await app(scope, receive, send)


def _apps(settings: PageSettings) -> list[dict[str, Any]]:
    if not settings.enabled:
        return []
    return [{"app": lazy_app, "url_prefix": URL_PREFIX, "name": TITLE}]


def _views(settings: PageSettings) -> list[dict[str, Any]]:
    """Return the entry of Airflow's menu.

    There is none on a DAG, run or task: Airflow would show it on those of other operators as well.
    """
    if not settings.enabled:
        return []
    path = f"{base_path()}{URL_PREFIX}/"
    return [
        {
            "name": TITLE,
            "href": path,
            "destination": "nav",
            "category": "browse",
            "url_route": "deepseek-ocr-results",
            "icon": f"{path}static/icon.svg",
            "icon_dark_mode": f"{path}static/icon-dark.svg",
        }
    ]


_SETTINGS = PageSettings.load()


class DeepSeekOCRPlugin(AirflowPlugin):
    """The page of results in Airflow's UI."""

    name = "deepseek_ocr"
    fastapi_apps = _apps(_SETTINGS)
    external_views = _views(_SETTINGS)
