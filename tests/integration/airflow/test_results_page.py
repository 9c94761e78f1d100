"""The page of results in Airflow's own API server, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import PageRow, RegionRow
from tests.support.chromium import accessibility_faults, chromium, set_dark
from tests.support.fixtures.shown_documents import FORBIDDEN, FOREIGN
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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with results_page(tmp_path_factory.mktemp("results")) as running:
        yield running


Open = Callable[..., webdriver.Chrome]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium("1500,950", tmp_path_factory.mktemp("downloads")) as running:
        yield running


@pytest.fixture
def opened(page: Page, browser: webdriver.Chrome) -> Open:
    """Open an address of Airflow as a person."""

    def open_page(path: str = "deepseek-ocr/", user: str = "vic") -> webdriver.Chrome:
        page.open(browser, path, user)
        return browser

    return open_page


def test_documents_pages_and_downloads_in_airflows_frame(
    opened: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    browser = opened("plugin/deepseek-ocr-results")
    browser.switch_to.frame(find(browser, "iframe"))
    find(browser, "a", "invoice.pdf")
    screenshot(browser, "results-in-airflow")
    assert "secret.pdf" not in browser.page_source
    find(browser, "input[type=search]").send_keys("invo")
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1, "one hit")
    find(browser, "tbody a", "invoice.pdf").click()
    region = find(browser, ".region", "Received with thanks.")
    width = "return document.querySelector('.picture img').naturalWidth"
    until(browser, lambda: browser.execute_script(width) == 500, "the picture")
    ActionChains(browser).move_to_element(region).perform()
    lit = browser.find_elements(By.CSS_SELECTOR, ".box.on")
    assert len(lit) == 1
    assert lit[0].get_attribute("y") == "190"
    find(browser, ".menu summary").click()
    find(browser, ".menu a", "Markdown").click()
    downloads = tmp_path_factory.getbasetemp() / "downloads0"
    until(browser, (downloads / "invoice.pdf.md").exists, "the download")
    browser.switch_to.default_content()


def test_the_keyboard_changes_pages_and_tabs(page: Page, opened: Open) -> None:
    browser = opened(f"deepseek-ocr/#{page.ids['invoice.pdf']}")
    find(browser, ".region")
    find(browser, "body").send_keys(Keys.ARROW_RIGHT)
    find(browser, "h3", "Page 2")
    assert browser.current_url.endswith(f"#{page.ids['invoice.pdf']}/2")
    find(browser, ".flags", "The model reached the maximum output length")
    find(browser, "[role=tab]", "Regions").send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.END)
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    find(browser, ".attempt", "1. small")
    browser.back()
    find(browser, "h3", "Page 1")
    assert complaints(browser) == []


def test_conditions_add_up_and_are_cleared(page: Page, opened: Open) -> None:
    browser = opened("deepseek-ocr/")
    click(browser, ".chip", "Done")
    find(browser, "input[type=search]").send_keys("i")
    until(browser, lambda: "q=i" in browser.current_url, "searched")
    assert "status=done" in browser.current_url
    browser = opened("deepseek-ocr/?q=nothing-of-that-name&status=done")
    find(browser, ".message button", "Show all documents").click()
    find(browser, "td a", "scan.pdf")
    assert browser.current_url.endswith("/deepseek-ocr/")
    browser = opened("deepseek-ocr/?dag_id=invoices&run_id=none#queue")
    find(browser, ".message", "Nothing to review")
    find(browser, "button", "Clear").click()
    find(browser, "td a", "scan.pdf, page 1")
    assert find(browser, "[name=run_id]").get_attribute("value") == ""
    assert "dag_id" not in browser.current_url


def test_the_view_of_the_newest_address_stays(page: Page, opened: Open) -> None:
    browser = opened("deepseek-ocr/")
    find(browser, "tbody a")
    browser.execute_script(
        "const all = window.fetch; window.fetch = async (path, rest) => {"
        "  if (path.includes('documents/')) await new Promise((done) => setTimeout(done, 800));"
        "  return all(path, rest); };"
        f"location.hash = '{page.ids['invoice.pdf']}'; setTimeout(() => location.hash = 'queue', 100);"
    )
    find(browser, "h2", "Pages to review")
    time.sleep(1)
    assert find(browser, "h2", "Pages to review")
    assert complaints(browser) == []


def test_nothing_of_a_hostile_text_is_live(page: Page, opened: Open) -> None:
    browser = opened(f"deepseek-ocr/#{page.ids['hostile.pdf']}")
    find(browser, ".region", "a paragraph")
    for tab in ("Regions", "Text", "Model's output"):
        find(browser, "[role=tab]", tab).click()
        panel = find(browser, ".panel", "paragraph")
        assert "window.hacked" in panel.text
        found = browser.find_elements(By.CSS_SELECTOR, f".model :is({FORBIDDEN})")
        assert [each.get_attribute("outerHTML") for each in found] == []
        assert browser.execute_script("return window.hacked") is None
    assert complaints(browser) == []
    cells = "return document.querySelectorAll('.model td').length"
    find(browser, "[role=tab]", "Regions").click()
    assert browser.execute_script(cells) == 1 + 2 * 420


def test_rights(page: Page, opened: Open) -> None:
    assert page.get("documents", None).status_code == 401
    foreign = f"documents/{page.ids['secret.pdf']}"
    assert page.get(foreign, "vic").status_code == 404
    assert page.get(foreign, "ada").json()["document"]["dag_id"] == FOREIGN
    browser = opened(f"deepseek-ocr/#{page.ids['secret.pdf']}")
    find(browser, ".message", "may not see it")
    browser = opened(f"deepseek-ocr/#{page.ids['invoice.pdf']}")
    find(browser, ".region")
    assert browser.find_elements(By.CSS_SELECTOR, ".edit") == []
    address = f"documents/{page.ids['invoice.pdf']}/pages/1"
    body = {"accepted": True, "page_created_at": page.get(address, "vic").json()["created_at"]}
    put = f"{page.url}api/{address}/acceptance"
    headers = {"authorization": f"Bearer {page.token('vic')}"}
    assert httpx.put(put, json=body, headers=headers, timeout=WAIT_S).status_code == 403
    headers = {"cookie": f"_token={page.token('una')}", "sec-fetch-site": "cross-site"}
    assert httpx.put(put, json=body, headers=headers, timeout=WAIT_S).status_code == 403


def test_a_person_corrects_a_region_and_accepts_a_page(page: Page, opened: Open) -> None:
    browser = opened("deepseek-ocr/#queue", "una")
    find(browser, "td a", "scan.pdf, page 1").click()
    find(browser, ".region .edit").click()
    area = find(browser, ".region textarea")
    area.clear()
    area.send_keys("# Invoice 4712")
    find(browser, ".editor button", "Save").click()
    find(browser, ".region", "Corrected by una")
    find(browser, ".summary .badge", "Corrected")
    with Session(page.store.database.engine) as session:
        here = select(PageRow.id).where(PageRow.document_id == page.ids["scan.pdf"])
        region = session.scalars(
            select(RegionRow).where(RegionRow.page_id.in_(here), RegionRow.position == 0)
        ).one()
        assert (region.text, region.reviewed_text) == ("# Invoice 4711", "# Invoice 4712")
    find(browser, "a.button", "Next to review").click()
    find(browser, "h3", "Page 2")
    find(browser, "button", "Accept as it is").click()
    find(browser, ".summary", "Accepted by una")
    browser.get(f"{page.url}#queue")
    find(browser, ".message", "Nothing to review")


def test_people_without_eyes_or_mouse_can_use_it(page: Page, opened: Open) -> None:
    views = {
        "": "tbody a",
        "?q=nothing-of-that-name": ".message",
        f"#{page.ids['invoice.pdf']}/1": ".region",
        f"#{page.ids['long.pdf']}/30": ".region",
        "#queue": "h2",
        "#4711": ".message",
    }
    for dark in (False, True):
        for view, element in views.items():
            browser = opened(f"deepseek-ocr/{view}", "ada")
            set_dark(browser, dark=dark)
            find(browser, element)
            assert accessibility_faults(browser) == [], f"{view}, dark: {dark}"
