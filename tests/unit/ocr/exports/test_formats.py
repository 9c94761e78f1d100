"""Names of formats."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.exports.formats import Format, parse_formats


def test_formats_come_once_in_their_order_with_those_that_they_refer_to() -> None:
    assert parse_formats(["pdf", "markdown", "pdf"]) == (
        Format.MARKDOWN,
        Format.PDF,
        Format.FIGURES,
    )
    assert parse_formats(["all"]) == tuple(Format)
    assert parse_formats([]) == ()


def test_an_unknown_format_is_refused_with_all_names() -> None:
    with pytest.raises(ConfigurationError, match=r"'docx' is no format.*alto") as refused:
        parse_formats(["docx"])
    assert refused.value.code == "export_format"
