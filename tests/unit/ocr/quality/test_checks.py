"""All quality checks together: rates over the recorded set, and flags of the end and of the length."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from tests.conftest import ROOT
from tests.corpus.model_outputs.measure import CheckedOutput, measure, rates, tables
from tests.support.fixtures.model_output import PROSE, flags_of, region


@pytest.fixture(scope="module")
def checked() -> list[CheckedOutput]:
    return measure()


def test_at_least_99_percent_of_degenerate_outputs_are_flagged(
    checked: list[CheckedOutput],
) -> None:
    found, bad, _, _ = rates(checked)
    assert bad >= 400
    assert found / bad >= 0.99
    found, bad, _, _ = rates(checked, "held_out")
    assert bad >= 200
    assert found / bad >= 0.99


def test_under_1_percent_of_good_outputs_are_rejected(checked: list[CheckedOutput]) -> None:
    _, _, alarms, good = rates(checked)
    assert good >= 600
    assert alarms / good < 0.01
    _, _, alarms, good = rates(checked, "held_out")
    assert good >= 300
    assert alarms / good < 0.01


def test_the_documented_table_is_the_measured_one(checked: list[CheckedOutput]) -> None:
    assert tables(checked) in (ROOT / "docs" / "measurements" / "quality.md").read_text("utf-8")


def test_a_good_page_has_no_flag() -> None:
    assert flags_of(PROSE) == set()
    assert flags_of(region(PROSE), "markdown", vision_tokens=273, text_tokens=300) == set()
    assert flags_of("") == set()


def test_no_end_token() -> None:
    assert flags_of(PROSE, finish_reason=FinishReason.LENGTH) == {Flag.NO_END_TOKEN}


@pytest.mark.parametrize(
    ("text_tokens", "expected"),
    [(730, set()), (731, {Flag.RATIO_KNEE}), (1460, {Flag.RATIO_KNEE}), (1461, {Flag.RATIO_CLIFF})],
)
def test_ratio_of_text_to_vision_tokens(text_tokens: int, expected: set[Flag]) -> None:
    assert flags_of(PROSE, vision_tokens=73, text_tokens=text_tokens) == expected


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["<td>", "<table><tr><td>", "ab", "a b ", "<|ref|>", "\\(", "\\begin{a}", "[[1,", "<"]
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    """Quadratic checks would take minutes."""
    assert check_quality(QualityInput(text=piece * 20_000, prompt="markdown")).score > 0


def test_regions_of_the_caller_give_the_same_report() -> None:
    text = region("one") + region("two", "[10, 70, 900, 90]")
    regions = parse(text, text_in_ref=False, width=640, height=480)
    found = check_quality(QualityInput(text=text, prompt="markdown", regions=regions))
    assert found == check_quality(QualityInput(text=text, prompt="markdown"))


def test_a_prompt_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_quality(QualityInput(text="", prompt="poem"))
    assert caught.value.code is ErrorCode.UNKNOWN_PROMPT
