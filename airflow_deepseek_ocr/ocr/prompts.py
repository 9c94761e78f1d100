"""The prompts with which DeepSeek-OCR was trained, and the form of their output.

Source: the README and ``config.py`` of the published DeepSeek-OCR scripts. The model has no chat
roles; its input is the image followed by one of these lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

REF_OPEN, REF_CLOSE = "<|ref|>", "<|/ref|>"
DET_OPEN, DET_CLOSE = "<|det|>", "<|/det|>"
GROUNDING = "<|grounding|>"


@dataclass(frozen=True)
class Prompt:
    """A prompt that the model was trained with.

    :param name: the short name used in connections, operators and tables.
    :param template: the line after the image; ``{text}`` is replaced in prompts that take a text.
    :param text_in_ref: whether the page's text is *inside* the reference spans, not after them.
    :param whole_page: whether the output is the whole text of the page and nothing else.
    """

    name: str
    template: str
    text_in_ref: bool = False
    whole_page: bool = True

    @property
    def takes_text(self) -> bool:
        """Whether the prompt takes a text to find."""
        return "{text}" in self.template

    @property
    def grounded(self) -> bool:
        """Whether the output has references with boxes."""
        return self.text_in_ref or GROUNDING in self.template


PROMPTS: dict[str, Prompt] = {
    prompt.name: prompt
    for prompt in (
        Prompt("markdown", f"{GROUNDING}Convert the document to markdown."),
        Prompt("ocr", f"{GROUNDING}OCR this image.", text_in_ref=True),
        Prompt("free", "Free OCR."),
        Prompt("figure", "Parse the figure.", whole_page=False),
        Prompt("describe", "Describe this image in detail.", whole_page=False),
        Prompt(
            "locate",
            f"Locate {REF_OPEN}{{text}}{REF_CLOSE} in the image.",
            text_in_ref=True,
            whole_page=False,
        ),
    )
}

DEFAULT_PROMPT = "markdown"


def get_prompt(name: str) -> Prompt:
    """Return the prompt of that name.

    :param name: a key of :data:`PROMPTS`; ``locate:TEXT`` is accepted for the one that takes a text.
    :raises ConfigurationError: ``unknown_prompt``, with the valid names.
    """
    key = name.partition(":")[0] if isinstance(name, str) else name
    try:
        return PROMPTS[key]
    except (KeyError, TypeError):
        raise ConfigurationError(
            ErrorCode.UNKNOWN_PROMPT,
            f"There is no prompt {name!r}. Use one of: {', '.join(PROMPTS)} (locate:TEXT to find TEXT).",
        ) from None


def prompt_line(name: str) -> str:
    """Return the line after the image.

    :param name: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :raises ConfigurationError: ``unknown_prompt``; ``prompt_text`` for ``locate`` without a
        text, for another prompt with one, or for a text with the model's markup.
    """
    prompt = get_prompt(name)
    text = name.partition(":")[2].strip()
    if prompt.takes_text != bool(text):
        hint = (
            "write locate:TEXT, with the text to find" if prompt.takes_text else "it takes no text"
        )
        raise ConfigurationError(ErrorCode.PROMPT_TEXT, f"Prompt {name!r}: {hint}.")
    if "<|" in text or "<image>" in text:
        raise ConfigurationError(
            ErrorCode.PROMPT_TEXT,
            f"Prompt {name!r}: the text must not have the model's markup (<|, <image>).",
        )
    return prompt.template.format(text=text)
