"""Prompts of the model."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS, get_prompt, prompt_line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("markdown", "<|grounding|>Convert the document to markdown."),
        ("ocr", "<|grounding|>OCR this image."),
        ("free", "Free OCR."),
        ("figure", "Parse the figure."),
        ("describe", "Describe this image in detail."),
        ("locate: Total due ", "Locate <|ref|>Total due<|/ref|> in the image."),
        ("locate:a:b", "Locate <|ref|>a:b<|/ref|> in the image."),
    ],
)
def test_lines_after_the_image(name: str, line: str) -> None:
    assert prompt_line(name) == line


@pytest.mark.parametrize("name", ["poem", "", "Markdown", None, 3, ["free"]])
def test_prompts_that_do_not_exist(name: str) -> None:
    with pytest.raises(ConfigurationError, match="markdown, ocr, free") as caught:
        get_prompt(name)
    assert caught.value.code is ErrorCode.UNKNOWN_PROMPT


@pytest.mark.parametrize(
    "name", ["locate", "locate:", "free:Total", "locate:<|ref|>", "locate:an <image>"]
)
def test_texts_that_a_prompt_does_not_take(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prompt_line(name)
    assert caught.value.code is ErrorCode.PROMPT_TEXT


def test_the_form_of_the_output() -> None:
    assert get_prompt(DEFAULT_PROMPT) is PROMPTS["markdown"]
    assert [name for name, prompt in PROMPTS.items() if prompt.grounded] == [
        "markdown",
        "ocr",
        "locate",
    ]
    assert [name for name, prompt in PROMPTS.items() if prompt.text_in_ref] == ["ocr", "locate"]
    assert [name for name, prompt in PROMPTS.items() if prompt.whole_page] == [
        "markdown",
        "ocr",
        "free",
    ]
