"""Parser, quality checks and exporters raise for no text, whether a model writes it or not."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.corpus.fuzz import SMALL, check, outputs


@given(outputs())
@settings(max_examples=SMALL, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_raises(output: dict[str, object]) -> None:
    check(output)
