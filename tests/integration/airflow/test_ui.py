"""The connection form and a DAG run in Airflow's UI, in a real browser."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from airflow_deepseek_ocr.connection.fields import FIELDS
from tests.conftest import ROOT, TINY_MODEL
from tests.support.chromium import chromium
from tests.support.servers.airflow import Airflow, airflow, aws_connection, standalone
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.process import Process, free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAIT_S = 60
RUN_TIMEOUT_S = 240
#: Directory for screenshots; none are saved if it is not set.
SCREENSHOTS = os.environ.get("UI_SCREENSHOTS")


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as running:
        yield running


def screenshot(browser: webdriver.Chrome, name: str) -> None:
    if SCREENSHOTS:
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


def find(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """Return the first visible element; wait until there is one."""

    def visible(_: Any) -> WebElement | None:
        elements = browser.find_elements(By.XPATH, xpath)
        return next((element for element in elements if element.is_displayed()), None)

    wait = WebDriverWait(browser, WAIT_S)
    return wait.until(visible, f"no {xpath} in {browser.current_url}")  # type: ignore[return-value]


def click(browser: webdriver.Chrome, xpath: str) -> None:
    browser.execute_script("arguments[0].click()", find(browser, xpath))


def enter(element: WebElement, text: str) -> None:
    element.send_keys(Keys.CONTROL, "a")
    element.send_keys(text)


def test_a_connection_filled_in_in_the_ui_reads_documents(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    database = tmp_path / "results.db"
    with moto_s3() as s3:
        client = boto3.client(
            "s3",
            **s3.client_arguments,
        )
        client.create_bucket(Bucket="documents")
        invoice = ROOT / "demo" / "documents" / "invoice.pdf"
        client.upload_file(str(invoice), "documents", "invoice.pdf")
        connections = {
            "aws_default": aws_connection(s3),
            "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(database)},
        }
        with airflow(connections) as instance, standalone(instance) as process:
            _fill_in_connection(browser, instance)
            _start_run(browser, instance)

            def stored() -> bool:
                return _documents(database) == [("s3://documents/invoice.pdf", "done", "small")]

            wait_until(stored, RUN_TIMEOUT_S, "the document's row", process)
            browser.get(f"{instance.url}/dags/s3_to_database")
            find(browser, "//*[contains(text(), 'read')]")
            screenshot(browser, "dag-run")
            _follow_the_tasks_link(browser, instance, process, database)


def _follow_the_tasks_link(
    browser: webdriver.Chrome, instance: Airflow, process: Process, database: Path
) -> None:
    """Open the results from the link that the task has in Airflow's API, which its UI shows."""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        ((run,),) = connection.execute("SELECT run_id FROM ocr_documents")
    run_api = f"{instance.url}/api/v2/dags/s3_to_database/dagRuns/{quote(run)}"
    links = f"{run_api}/taskInstances/read/links"

    def link() -> Any:
        found = httpx.get(links, params={"map_index": 0}, timeout=WAIT_S).json()
        return found.get("extra_links", {}).get("OCR results")

    wait_until(lambda: bool(link()), WAIT_S, "the task's link", process)
    browser.get(f"{instance.url}{link()}")
    click(browser, "//a[contains(., 'invoice.pdf')]")
    find(browser, "//*[contains(@class, 'region')]")
    screenshot(browser, "results-of-the-task")


def test_the_test_of_an_unreachable_server_names_the_remedy(browser: webdriver.Chrome) -> None:
    port = free_port()
    with airflow({}) as instance, standalone(instance):
        _begin_connection(browser, instance, "no_server")
        enter(find(browser, "//input[@name='host']"), "127.0.0.1")
        enter(find(browser, "//input[@name='port']"), str(port))
        enter(find(browser, "//input[@name='password']"), "an-api-key-of-the-server")
        click(browser, "//*[@role='dialog']//button[contains(., 'Save')]")
        find(browser, "//*[contains(text(), 'no_server')]")
        click(browser, "//button[contains(@aria-label, 'Test Connection')]")
        find(browser, "//*[contains(text(), 'Test Connection Failed')]")
        said = find(
            browser, f"//*[contains(text(), 'No connection to http://127.0.0.1:{port}')]"
        ).text
        screenshot(browser, "connection-test-failed")
        assert "Is the server running, and are host and port of the connection right?" in said
        assert "an-api-key-of-the-server" not in browser.page_source


def _begin_connection(browser: webdriver.Chrome, instance: Airflow, name: str) -> None:
    browser.get(f"{instance.url}/connections")
    click(browser, "//button[contains(., 'Add Connection')]")
    enter(find(browser, "//input[@name='connection_id']"), name)
    _choose(browser, "//*[@role='dialog']//input[@role='combobox']", "DeepSeek-OCR")


def _fill_in_connection(browser: webdriver.Chrome, instance: Airflow) -> None:
    _begin_connection(browser, instance, "deepseek_ocr_default")
    enter(find(browser, "//input[@name='port']"), "0")  # the Test button fails without one
    _open_extra_fields(browser)
    screenshot(browser, "connection-form-empty")
    text = find(browser, "//*[@role='dialog']").text
    for field in FIELDS:
        assert field.label in text, f"{field.label} is not in the form:\n{text}"
    values = {
        each.get_attribute("name"): each.get_attribute("value")
        for each in browser.find_elements(By.XPATH, "//*[@role='dialog']//input")
    }
    assert values["element_model"] == "deepseek-ai/DeepSeek-OCR"
    assert values["element_max_output_length"].replace(",", "") == "8192"
    enter(find(browser, "//input[@name='element_model']"), str(TINY_MODEL))
    enter(find(browser, "//input[@name='element_max_output_length']"), "512")
    hidden = "//input[@name='element_resolution']"
    _choose(browser, f"{hidden}/preceding::input[@role='combobox'][1]", "small")
    hidden = "//input[@name='element_engine']"
    _choose(browser, f"{hidden}/preceding::input[@role='combobox'][1]", "in_process")
    screenshot(browser, "connection-form")
    click(browser, "//*[@role='dialog']//button[contains(., 'Save')]")
    find(browser, "//*[contains(text(), 'deepseek_ocr_default')]")
    screenshot(browser, "connections")
    click(browser, "//button[contains(@aria-label, 'Test Connection')]")
    # The API server does not look at the disk that has the model.
    find(browser, "//*[contains(text(), 'Not tested, although the fields are valid')]")
    screenshot(browser, "connection-tested")
    saved = instance.command("connections", "get", "deepseek_ocr_default", "-o", "json")
    assert str(TINY_MODEL) in saved
    assert "***" not in saved.partition("extra")[2].replace("'password'", "")


def _open_extra_fields(browser: webdriver.Chrome) -> None:
    """Open the section; while the form loads it opens another section, and may close this one."""

    def opened(_: Any) -> bool:
        if browser.find_element(By.XPATH, "//input[@name='element_model']").is_displayed():
            return True
        browser.find_element(By.XPATH, "//button[contains(@id, 'trigger:Extra Fields')]").click()
        return False

    wait = WebDriverWait(browser, WAIT_S, poll_frequency=2, ignored_exceptions=[WebDriverException])
    wait.until(opened, "the extra fields do not open")


def _choose(browser: webdriver.Chrome, combobox: str, option: str) -> None:
    """Choose from a list by typing."""
    wait = WebDriverWait(browser, WAIT_S)
    field = wait.until(lambda _: browser.find_element(By.XPATH, combobox))
    field.send_keys(option)
    find(browser, f"//*[@role='option' and contains(., '{option}')]")
    field.send_keys(Keys.ENTER)


def _start_run(browser: webdriver.Chrome, instance: Airflow) -> None:
    browser.get(f"{instance.url}/dags/s3_to_database")
    click(browser, "//button[contains(., 'Trigger')]")
    find(browser, "//*[@role='dialog']")
    screenshot(browser, "trigger")
    click(browser, "//*[@role='dialog']//button[contains(., 'Trigger')]")


def _documents(database: Path) -> list[tuple[str, str, str]]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        try:
            return connection.execute(
                "SELECT uri, status, resolution FROM ocr_documents"
            ).fetchall()
        except sqlite3.OperationalError:
            return []
