"""No requirement brings a licence that users of this package do not expect."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.support.house import licences

PAGE = ROOT / "docs" / "reference" / "licences.md"


@pytest.mark.parametrize("group", ["base", *licences.EXTRAS])
def test_licences_are_permissive_but_for_the_known_exceptions(group: str) -> None:
    unknown = {
        name: text
        for name, text in licences.others(group).items()
        if licences.EXCEPTIONS.get(name) not in ("base", group)
    }
    assert not unknown, (
        f"{group} installs {unknown}. Choose another package; or, if its conditions are acceptable to users, "
        f"add it to EXCEPTIONS in {licences.__file__} and to {PAGE}."
    )


def test_the_exceptions_are_true_and_documented() -> None:
    page = PAGE.read_text()
    found = {name for group in licences.requirements() for name in licences.others(group)}
    assert found <= licences.EXCEPTIONS.keys()
    assert {"pi-heif", "mysqlclient"} <= found, "the test environment has all extras"
    for name in licences.EXCEPTIONS:
        assert f"| {name} |" in page


def test_the_whole_tree_is_looked_at() -> None:
    base = licences.installed(licences.requirements()["base"])
    assert {"apache-airflow", "botocore", "pillow", "urllib3"} <= base.keys()
    assert "torch" not in base
    assert "pillow-heif" not in licences.installed(
        [each for group in licences.requirements().values() for each in group]
    )


@pytest.mark.parametrize(
    ("text", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("Apache Software License", True),
        ("BSD-3-Clause, Apache-2.0, dependency licenses", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GPL-2.0-or-later", False),
        ("MIT AND LGPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
        ("", False),
        ("UNKNOWN", False),
        ("Limited", False),
    ],
)
def test_what_counts_as_permissive(text: str, permissive: bool) -> None:
    assert licences.is_permissive(text) is permissive
