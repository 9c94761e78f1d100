"""A real browser for tests, and axe, which finds what people without eyes or mouse cannot use."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium import webdriver

#: From the npm registry; MPL-2.0, and in no package of this project.
_AXE = "axe-core@4.10.3"
_AXE_TIMEOUT_S = 120


@contextmanager
def chromium(size: str = "1300,2200", downloads: Path | None = None) -> Iterator[webdriver.Chrome]:
    """Run Chromium until the block ends.

    :param size: width and height of the window.
    :param downloads: directory for downloads.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--window-size={size}",
    ):
        options.add_argument(argument)
    if downloads is not None:
        preferences = {
            "download.default_directory": str(downloads),
            "download.prompt_for_download": False,
        }
        options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=driver)
    )
    try:
        yield running
    finally:
        running.quit()


def set_dark(browser: webdriver.Chrome, *, dark: bool) -> None:
    """Let the browser prefer dark or light pages."""
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def accessibility_faults(browser: webdriver.Chrome) -> list[str]:
    """Return what axe finds wrong in the page, by the rules of WCAG 2.2 AA and good practice."""
    browser.execute_script(_axe())
    found: dict[str, Any] = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(done, (error) => done({violations: [String(error)]}))"
    )
    return [
        each
        if isinstance(each, str)
        else f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found["violations"]
    ]


@cache
def _axe() -> str:
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm, which fetches axe-core, is not installed")
    with TemporaryDirectory() as directory:
        subprocess.run(
            [npm, "pack", "--silent", _AXE],
            cwd=directory,
            check=True,
            timeout=_AXE_TIMEOUT_S,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(directory).glob("*.tgz")
        with tarfile.open(archive) as opened:
            script = opened.extractfile("package/axe.min.js")
            if script is None:
                raise FileNotFoundError("axe.min.js")
            return script.read().decode()
