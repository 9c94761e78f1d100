"""tools/pypi-project makes a README whose links and pictures work on PyPI."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "tools" / "pypi-project"
REPOSITORY = "https://git.example/owner/name"
TARGET = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


def run(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    left = {
        name: value for name, value in os.environ.items() if name not in ("REPOSITORY", "REVISION")
    }
    return subprocess.run(
        [SCRIPT, directory], env=left | environment, capture_output=True, text=True, timeout=60
    )


def targets(readme: str) -> list[str]:
    return [first or second for first, second in TARGET.findall(readme)]


def test_links_and_pictures_lead_to_the_repository_at_the_tag(tmp_path: Path) -> None:
    assert run(tmp_path, REPOSITORY=REPOSITORY, REVISION="v0.2.0").returncode == 0
    readme = (tmp_path / "README.md").read_text("utf-8")
    ours = [each for each in targets(readme) if each.startswith(f"{REPOSITORY}/")]
    assert len(ours) > 40
    assert [each for each in targets(readme) if not each.startswith("https://")] == []
    for target in ours:
        kind, revision, path = target.removeprefix(f"{REPOSITORY}/").split("/", 2)
        file = ROOT / path.partition("#")[0]
        assert revision == "v0.2.0"
        assert file.is_dir() if kind == "tree" else file.is_file()
        assert (kind == "raw") == (file.suffix in (".png", ".webp", ".svg"))
    urls = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    assert set(urls) == {"Source", "Documentation", "Changelog", "Issues"}
    assert urls["Changelog"] == f"{REPOSITORY}/blob/v0.2.0/CHANGELOG.md"


def test_without_a_repository_no_link_leads_nowhere(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0
    readme = (tmp_path / "README.md").read_text("utf-8")
    assert [each for each in targets(readme) if not each.startswith("https://")] == []
    # The text of the links, and blocks of code, are left.
    assert "checkpoint of the same architecture" in readme
    assert "with DAG(" in readme
    assert (tmp_path / "pyproject.toml").read_text() == (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("environment", [{}, {"REPOSITORY": REPOSITORY, "REVISION": "v0.2.0"}])
def test_it_has_nothing_that_pypi_shows_as_source(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    assert run(tmp_path, **environment).returncode == 0
    readme = (tmp_path / "README.md").read_text("utf-8")
    assert "mermaid" not in readme
    assert "[^" not in readme
    assert "<!--" not in readme


def test_half_of_the_address_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, REPOSITORY=REPOSITORY)
    assert done.returncode == 2
    assert "REVISION" in done.stderr
    assert list(tmp_path.iterdir()) == []
