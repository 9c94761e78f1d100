"""Names of exports."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.targets.names import directory_of

KEYS = ("a" * 64, "b" * 64)
END = "/aaaaaaaaaaaa-bbbbbbbbbbbb.ocr"


@pytest.mark.parametrize(
    ("uri", "directory"),
    [
        ("s3://inbox/2026/letter 1.pdf", "inbox/2026/letter 1.pdf"),
        ("file:///data/in/a.pdf", "file/data/in/a.pdf"),
        ("gs://b/k.pdf", "gs/b/k.pdf"),
        ("s3://b/発注書?.pdf", "b/発注書%3F.pdf"),
        ("s3://b/../../etc/passwd", "b/%2E%2E/%2E%2E/etc/passwd"),
        ("s3://b//a\n*.pdf", "b/a%0A%2A.pdf"),
        ("s3://b/a.pdf#attachment=x&page=2", "b/a.pdf%23attachment=x%26page=2"),
    ],
)
def test_a_directory_is_named_by_source_version_and_configuration(uri: str, directory: str) -> None:
    assert directory_of(uri, *KEYS) == directory + END


def test_long_names_are_shortened_and_stay_apart() -> None:
    first, second = (directory_of(f"s3://b/{'ä' * 400}{end}", *KEYS) for end in "xy")
    assert first != second
    assert all(len(part.encode()) <= 255 for part in first.split("/"))
    deep = directory_of("s3://b/" + "/".join(["d" * 50] * 20), *KEYS)
    assert len(deep.encode()) < 700
    assert deep.startswith("b/")
