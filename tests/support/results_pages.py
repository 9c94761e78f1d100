"""The page of results in an API server of Airflow, and what a person does there in a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from sqlalchemy import create_engine

from airflow_deepseek_ocr.store.results_store import Store
from tests.conftest import ROOT
from tests.support.fixtures.shown_documents import add_export, fill
from tests.support.servers.airflow import Airflow, airflow, api_server

WAIT_S = 60
#: Directory for screenshots; none are saved if it is not set.
SCREENSHOTS = os.environ.get("UI_SCREENSHOTS")
ROLES = {"ada": "admin", "una": "user", "vic": "viewer"}


class Page(NamedTuple):
    """A running API server with the page, and its results database."""

    instance: Airflow
    store: Store
    ids: dict[str, int]

    @property
    def airflow_url(self) -> str:
        """The address of Airflow, as its configuration has it."""
        return self.instance.env["AIRFLOW__API__BASE_URL"]

    @property
    def url(self) -> str:
        """The page's address."""
        return f"{self.airflow_url}/deepseek-ocr/"

    def token(self, user: str) -> str:
        """Log in, and return the token."""
        body = {"username": user, "password": f"password of {user}"}
        answer = httpx.post(f"{self.airflow_url}/auth/token", json=body, timeout=WAIT_S)
        token: str = answer.json()["access_token"]
        return token

    def get(self, path: str, user: str | None) -> httpx.Response:
        """Ask the page's API as a person; None is not logged in."""
        headers = {"authorization": f"Bearer {self.token(user)}"} if user else {}
        return httpx.get(f"{self.url}api/{path}", headers=headers, timeout=WAIT_S)

    def open(self, browser: webdriver.Chrome, path: str, user: str) -> None:
        """Open an address of Airflow as a person."""
        browser.get(f"{self.airflow_url}/api/v2/version")
        browser.delete_all_cookies()
        cookie_path = urlsplit(self.airflow_url).path or "/"
        browser.add_cookie({"name": "_token", "value": self.token(user), "path": cookie_path})
        browser.get_log("browser")
        browser.get("about:blank")
        browser.get(f"{self.airflow_url}/{path}")


@contextmanager
def results_page(
    directory: Path, base_path: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[Page]:
    """Run an API server with the page and its documents.

    :param directory: for the results database and pictures.
    :param base_path: path of Airflow's own URL.
    :param settings: further environment variables.
    """
    with closing(Store(create_engine(f"sqlite:///{directory}/results.db"))) as store:
        store.ensure_schema()
        ids = fill(store)
        picture = directory / "page-0001.webp"
        Image.new("RGB", (500, 700), "#fffbe6").save(picture)
        add_export(store, ids["invoice.pdf"], "webp", picture.as_uri(), picture.read_bytes(), 1)
        passwords = directory / "passwords.json"
        passwords.write_text(json.dumps({user: f"password of {user}" for user in ROLES}))
        environment = {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in ROLES.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "tests.support.fakes.foreign_dag_auth_manager.ForeignDagAuthManager"
            ),
            "AIRFLOW__DEEPSEEK_OCR__RESULTS_PAGE_EXPORTS": str(directory),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            **(settings or {}),
        }
        database = {"conn_type": "sqlite", "host": str(directory / "results.db")}
        with (
            airflow({"deepseek_ocr_db": database}, environment, base_path=base_path) as instance,
            api_server(instance),
        ):
            yield Page(instance, store, ids)


def find(browser: webdriver.Chrome, css: str, text: str = "") -> WebElement:
    """Return the first visible element with a text; wait until there is one."""

    def visible(_: Any) -> WebElement | None:
        try:
            for element in browser.find_elements(By.CSS_SELECTOR, css):
                if element.is_displayed() and text in element.text:
                    return element
        except StaleElementReferenceException:
            pass
        return None

    wait = WebDriverWait(browser, WAIT_S)
    return wait.until(visible, f"no {css} with {text!r}")  # type: ignore[return-value]


def click(browser: webdriver.Chrome, css: str, text: str = "") -> None:
    """Click the first visible element with a text, although answers to requests may replace it meanwhile."""

    def clicked() -> bool:
        try:
            find(browser, css, text).click()
        except StaleElementReferenceException:
            return False
        return True

    until(browser, clicked, f"a click on {css} with {text!r}")


def until(browser: webdriver.Chrome, holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    WebDriverWait(browser, WAIT_S).until(lambda _: holds(), f"not {what}")


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Return the errors that the browser has logged since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def screenshot(browser: webdriver.Chrome, name: str) -> None:
    """Save a screenshot, if a directory for them is set."""
    if SCREENSHOTS:
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))
