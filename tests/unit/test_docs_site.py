"""The documentation site: every page has a place in it, and it is built without a warning."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from airflow_deepseek_ocr.get_provider_info import get_provider_info
from tests.support.house.paths import ROOT, relative

SITE = ROOT / "docs" / "site"
#: Pages outside of docs that the site has.
OUTSIDE = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
#: Entries of a toctree: a path alone, or ``Title <path>``.
TOCTREE = re.compile(r"```\{toctree\}\n((?::[^\n]*\n)*)\n(.*?)```", re.DOTALL)
DOCUMENTED = re.compile(r"^\.\. autoapi(?:class|exception|function):: (\S+)$", re.MULTILINE)


def _entries() -> Iterator[str]:
    """Yield the pages that the sections' navigation names."""
    for section in SITE.glob("*.md"):
        for _, entries in TOCTREE.findall(section.read_text("utf-8")):
            for entry in entries.splitlines():
                name = re.sub(r".*<(.*)>", r"\1", entry)
                for suffix in (".md", ".rst"):
                    page = (section.parent / f"{name}{suffix}").resolve()
                    if page.exists():
                        yield relative(page)
                        break
                else:
                    raise AssertionError(f"{relative(section)} names {name}, which is no page")


def test_every_page_has_one_place_in_the_navigation() -> None:
    pages = {relative(page) for page in (ROOT / "docs").rglob("*.md") if SITE not in page.parents}
    # The entrance, and the page that is a section of its own.
    pages -= {"docs/README.md", "docs/quickstart.md"}
    named = Counter(_entries())
    assert [page for page, count in named.items() if count > 1] == []
    missing = sorted({*pages, *OUTSIDE} - set(named))
    assert not missing, f"Name them in a toctree of docs/site: {missing}"


def test_the_api_has_every_class_that_a_dag_may_import() -> None:
    names = {name for page in (SITE / "api").glob("*.rst") for name in _documented(page)}
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    info = get_provider_info()
    modules = {name.rpartition(".")[0] for name in names}
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for each in info[kind]:
            assert set(each["python-modules"]) <= modules
    assert {each["class-name"] for each in info["task-decorators"]} <= names


def _documented(page: Path) -> list[str]:
    return DOCUMENTED.findall(page.read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_site_is_built_and_needs_no_other_site() -> None:
    _make_docs(ROOT)
    html = ROOT / ".docs" / "html"
    pages = sorted(page for page in html.rglob("*.html") if html / "_static" not in page.parents)
    assert len(pages) > 60
    for page in pages:
        links = _Links(page)
        assert [each for each in links.loaded if urlsplit(each).netloc] == [], page
        for target in [*links.loaded, *links.targets]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert file.is_file(), f"{page.relative_to(html)}: {target}"
    assert "lease" in (html / "searchindex.js").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    """Links to a heading, a page and a file; a page without a place; a class that is none."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if name.startswith(("airflow_deepseek_ocr/", "docs/")) or "/" not in name:
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    _append(
        tmp_path / "docs" / "glossary.md",
        "[a](quickstart.md#no-such-heading) [b](no-such-page.md) [c](../no-such-file.yaml)\n",
    )
    (tmp_path / "docs" / "without-a-place.md").write_text("# A page\n", "utf-8")
    _append(
        tmp_path / "docs" / "site" / "api" / "hooks.rst",
        "\n.. autoapiclass:: airflow_deepseek_ocr.hooks.NoSuchHook\n",
    )
    done = _sphinx(tmp_path)
    assert done.returncode != 0
    for word in (
        "no-such-heading",
        "no-such-page",
        "no-such-file",
        "without-a-place",
        "NoSuchHook",
    ):
        assert word in done.stderr


def _append(page: Path, text: str) -> None:
    page.write_text(page.read_text("utf-8") + text, "utf-8")


def _make_docs(directory: Path) -> None:
    done = subprocess.run(
        ["make", "docs"], cwd=directory, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


def _sphinx(directory: Path) -> subprocess.CompletedProcess[str]:
    """Build a copy of the pages, in the environment that ``make docs`` has made."""
    _make_docs(ROOT)
    subprocess.run(["git", "init", "--quiet"], cwd=directory, check=True)
    build = [ROOT / ".venv-docs" / "bin" / "sphinx-build", "--quiet", "--fail-on-warning"]
    build += ["--keep-going", "-b", "dummy", "-c", "docs/site", ".", ".docs/html"]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    return subprocess.run(
        build, cwd=directory, env=environment, capture_output=True, text=True, timeout=600
    )


class _Links(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.targets: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.loaded.append(values["src"] or "")
        if tag == "link" and values.get("rel") in (
            "stylesheet",
            "icon",
            "preload",
            "modulepreload",
        ):
            self.loaded.append(values["href"] or "")
        if tag == "a" and values.get("href"):
            self.targets.append(values["href"] or "")
