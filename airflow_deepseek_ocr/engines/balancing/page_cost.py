"""The expected work of a page in tokens, by which pages are spread over replicas."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

#: Text tokens of a page before any page was read: about a full page of print. Only the first pages use it.
_FIRST_TEXT_TOKENS = 700.0
#: Share of the newest page in the running mean of text tokens: the mean follows some twenty pages.
_WEIGHT = 0.05


class PageCost:
    """Estimates pages by their vision tokens and by the mean length of the texts read so far.

    :param family: the model family of the replicas.
    """

    def __init__(self, family: ModelFamily) -> None:
        self._family = family
        self._text_tokens = _FIRST_TEXT_TOKENS

    def of(self, request: PageRequest) -> float:
        """Return the expected tokens of a page: vision tokens and text tokens.

        :param request: the page; a mode that this package does not know counts as the largest.
        """
        mode = self._family.resolutions.get(request.resolution)
        vision = (
            mode.vision_tokens(mode.grid(*request.image.size))
            if mode
            else self._family.most_vision_tokens
        )
        return vision + min(self._text_tokens, request.max_output_length or self._text_tokens)

    def learn(self, output: PageOutput) -> None:
        """Let the mean follow a page that was read.

        :param output: the page's output; a failed page tells nothing.
        """
        if output.error is None:
            self._text_tokens += _WEIGHT * (output.text_tokens - self._text_tokens)
