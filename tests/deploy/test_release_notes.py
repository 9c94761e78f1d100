"""tools/release-notes takes a version's section out of the changelog, and finds versions that disagree."""

from __future__ import annotations

import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

import pytest

from airflow_deepseek_ocr import __version__
from tests.support.house.paths import ROOT

SCRIPT = ROOT / "tools" / "release-notes"
MODULE = '"""Package."""\n\n__version__ = "0.2.0"\n'
CHANGELOG = """\
# Changelog

## [Unreleased]

- Later.

## [0.2.0] - 2027-01-31

### Added

- A thing.

## [0.1.0] - 2026-12-01

- First.

[0.1.0]: https://example.org
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("release_notes", str(SCRIPT))
    specification = spec_from_loader(loader.name, loader)
    assert specification is not None
    module = module_from_spec(specification)
    loader.exec_module(module)
    return module


def test_the_section_ends_at_the_next_version(script: ModuleType) -> None:
    assert script.release_notes("v0.2.0", CHANGELOG, MODULE) == "### Added\n\n- A thing.\n"


def test_the_last_section_ends_before_the_links(script: ModuleType) -> None:
    older = MODULE.replace("0.2.0", "0.1.0")
    assert script.release_notes("v0.1.0", CHANGELOG, older) == "- First.\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "module", "message"),
    [
        ("v0.2.1", CHANGELOG, MODULE, "version '0.2.0'"),
        ("0.2.0", CHANGELOG, MODULE, "tag v0.2.0"),
        ("v0.2.0", CHANGELOG, "", "version ''"),
        ("v0.2.0", CHANGELOG.replace("[0.2.0]", "[0x2.0]"), MODULE, "no entries"),
        ("v0.2.0", CHANGELOG.replace(" - 2027-01-31", ""), MODULE, "YYYY-MM-DD"),
        ("v0.2.0", CHANGELOG.replace("### Added\n\n- A thing.\n", ""), MODULE, "no entries"),
    ],
)
def test_versions_that_disagree(
    tag: str, changelog: str, module: str, message: str, script: ModuleType
) -> None:
    with pytest.raises(script.ReleaseError, match=message):
        script.release_notes(tag, changelog, module)


def test_the_script_reads_this_checkouts_version() -> None:
    done = subprocess.run([SCRIPT, "v0"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"tag v{__version__}" in done.stderr
    assert subprocess.run([SCRIPT], capture_output=True, timeout=60, check=False).returncode == 2
