"""The page of results where Airflow's own URL has a path, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.chromium import chromium
from tests.support.results_pages import (
    WAIT_S,
    Page,
    click,
    complaints,
    find,
    results_page,
    screenshot,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: The page's own API has a path /api/ too.
PATH = "/api/airflow"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with results_page(tmp_path_factory.mktemp("results"), PATH) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium("1500,950", tmp_path_factory.mktemp("downloads")) as running:
        yield running


def test_the_page_works_in_airflows_frame(
    page: Page, browser: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page.open(browser, "plugin/deepseek-ocr-results", "vic")
    frame = find(browser, "iframe")
    assert urlsplit(frame.get_attribute("src") or "").path == f"{PATH}/deepseek-ocr/"
    browser.switch_to.frame(frame)
    find(browser, "tbody a", "invoice.pdf").click()
    find(browser, ".region", "Received with thanks.")
    width = "return document.querySelector('.picture img').naturalWidth"
    until(browser, lambda: browser.execute_script(width) == 500, "the picture")
    screenshot(browser, "results-below-a-path")
    click(browser, ".head summary", "3 pages")
    task = find(browser, ".head dl a", "invoices › ").get_attribute("href") or ""
    assert urlsplit(task).path.startswith(f"{PATH}/dags/invoices/runs/")
    assert "[object" not in find(browser, "main").text
    find(browser, ".menu summary").click()
    find(browser, ".menu a", "Markdown").click()
    downloads = tmp_path_factory.getbasetemp() / "downloads0"
    until(browser, (downloads / "invoice.pdf.md").exists, "the download")
    browser.switch_to.default_content()


def test_a_person_corrects_a_page(page: Page, browser: webdriver.Chrome) -> None:
    page.open(browser, "deepseek-ocr/", "una")
    find(browser, "tbody a", "scan.pdf").click()
    find(browser, ".region .edit").click()
    area = find(browser, ".region textarea")
    area.clear()
    area.send_keys("# Invoice 4712")
    find(browser, ".editor button", "Save").click()
    find(browser, ".region", "Corrected by una")
    assert complaints(browser) == []


def test_who_is_not_logged_in_comes_back_after_the_login(
    page: Page, browser: webdriver.Chrome
) -> None:
    browser.get(f"{page.airflow_url}/api/v2/version")
    browser.delete_all_cookies()
    browser.get(f"{page.url}?status=failed")
    find(browser, "a.button", "Log in").click()
    find(browser, "input[name=username]").send_keys("vic")
    find(browser, "input[name=password]").send_keys("password of vic")
    find(browser, "button[type=submit]").click()
    find(browser, "td a", "scan.pdf")
    assert browser.current_url == f"{page.url}?status=failed"
    assert [each["path"] for each in browser.get_cookies() if each["name"] == "_token"] == [
        f"{PATH}/"
    ]
    assert browser.find_elements(By.CSS_SELECTOR, ".message") == []


def test_static_files_and_the_api_have_the_pages_headers(page: Page) -> None:
    for path in ("", "static/app.js", "api/documents"):
        answer = httpx.get(f"{page.url}{path}", timeout=WAIT_S)
        assert answer.status_code == (401 if path.startswith("api") else 200), path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for base in (page.airflow_url, page.instance.url):
        headers = {"authorization": f"Bearer {page.token('una')}", "origin": base}
        address = f"{page.url}api/documents/{page.ids['long.pdf']}/pages/1"
        seen = httpx.get(address, headers=headers, timeout=WAIT_S).json()["created_at"]
        body = {"accepted": True, "page_created_at": seen}
        answer = httpx.put(f"{address}/acceptance", json=body, headers=headers, timeout=WAIT_S)
        assert answer.status_code == 200, answer.text
