"""Conversions of text that a template rendered."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode


@pytest.mark.parametrize("value", [True, "True", " true ", "1", 1, "YES", "on"])
def test_true_in_every_form(value: Any) -> None:
    assert values.boolean("overwrite", value) is True


@pytest.mark.parametrize("value", [False, "False", "false", "0", 0, "no", "off\n"])
def test_false_in_every_form(value: Any) -> None:
    assert values.boolean("overwrite", value) is False


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (values.integer, "144", 144),
        (values.integer, " -3\n", -3),
        (values.number, "0.5", 0.5),
        (values.number, 1, 1.0),
        (values.duration, "0:02:00", timedelta(minutes=2)),
        (values.duration, str(timedelta(days=2, seconds=3.5)), timedelta(days=2, seconds=3.5)),
        (values.duration, "90", timedelta(seconds=90)),
        (values.duration, timedelta(0), timedelta(0)),
        (values.text, "a b ", "a b "),
        (values.text, 2026, "2026"),
        (values.optional(values.integer), "None", None),
        (values.optional(values.text), " ", None),
        (values.optional(values.text), "null", None),
        (values.optional(values.text), "x", "x"),
        (values.texts, '["a", "b"]', ["a", "b"]),
        (values.texts, "['a']", ["a"]),
        (values.texts, "a, b", ["a", "b"]),
        (values.texts, {"b", "a"}, ["a", "b"]),
        (values.literal, "('a', {'b': None})", ("a", {"b": None})),
        (values.literal, " [true]", [True]),
        (values.literal, "plain", "plain"),
        (values.page_selection, 3, "3"),
        (values.page_selection, (1, 3), "1,3"),
        (values.page_selection, "1-3", "1-3"),
    ],
)
def test_text_becomes_the_value(convert: values.Convert, value: Any, expected: Any) -> None:
    assert convert("x", value) == expected


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (values.attachments, "all"),
        (values.attachments, None),
        (values.attachments, ["read"]),
        (values.boolean, "maybe"),
        (values.boolean, None),
        (values.boolean, 2),
        (values.boolean, ["False"]),
        (values.integer, True),
        (values.integer, "1.5"),
        (values.integer, 144.0),
        (values.integer, "9" * 5000),
        (values.integer, None),
        (values.number, "nan"),
        (values.number, "inf"),
        (values.number, "high"),
        (values.number, 10**400),
        (values.duration, "soon"),
        (values.duration, -1),
        (values.duration, "1e300"),
        (values.duration, None),
        (values.positive_duration, 0),
        (values.text, None),
        (values.text, "None"),
        (values.text, ""),
        (values.text, 1.5),
        (values.text, ["a"]),
        (values.texts, 3),
        (values.texts, [1]),
        (values.texts, {"a": 1}),
        (values.literal, "[a, b"),
        (values.literal, "[" * 100_000),
        (values.literal, "{" * 100_000),
    ],
)
def test_what_is_no_value_is_refused_with_its_name(convert: values.Convert, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^this_one is ") as caught:
        convert("this_one", value)
    assert caught.value.code is ErrorCode.ARGUMENT
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "convert",
    [
        values.boolean,
        values.integer,
        values.number,
        values.duration,
        values.text,
        values.texts,
        values.literal,
        values.page_selection,
        values.optional(values.text),
    ],
)
@pytest.mark.parametrize("template", ["{{ params.x }}", "{% if x %}1{% endif %}"])
def test_a_template_that_was_not_rendered_is_refused(
    convert: values.Convert, template: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"this_one is .* not rendered"):
        convert("this_one", template)


def test_attributes_are_converted_in_place() -> None:
    owner = SimpleNamespace(overwrite="false", other="1")
    values.convert_attributes(owner, {"overwrite": values.boolean})
    assert vars(owner) == {"overwrite": False, "other": "1"}
