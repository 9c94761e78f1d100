"""Error codes and messages of pages that failed."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.quality.failure_messages import failure_of
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, report_of


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_has_a_message_with_advice(flag: Flag) -> None:
    code, message = failure_of(report_of({flag}), None)
    assert code == flag.value
    assert "retry_with" in message
    assert "Also" not in message


def test_the_heaviest_flag_is_the_code_and_the_others_are_named() -> None:
    code, message = failure_of(report_of({Flag.RATIO_KNEE, Flag.LOOP, Flag.OPEN_MARKUP}), None)
    assert code == "loop"
    assert message.endswith("(Also: open_markup, ratio_knee.)")


def test_an_error_of_the_engine_comes_first() -> None:
    error = UnavailableError(ErrorCode.OUT_OF_MEMORY, "no memory")
    assert failure_of(QualityReport(), error) == ("out_of_memory", "no memory")


def test_output_without_flags_has_no_reason_to_fail() -> None:
    with pytest.raises(ValueError, match="without flags"):
        failure_of(QualityReport(), None)
