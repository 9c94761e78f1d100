"""Probabilities of tokens, as servers return them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_deepseek_ocr.engines.protocol.chat_completions import OWN, Capabilities
from airflow_deepseek_ocr.engines.protocol.token_logprobs import (
    COMPACT,
    MALFORMED,
    of_compact,
    of_openai,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

log = logging.getLogger(__name__)


class ProbabilityReader:
    """Reads the probabilities in responses. A page whose probabilities are malformed keeps its text."""

    def __init__(self) -> None:
        self._warned = False

    def read(
        self, answer: Mapping[str, Any], text: str, capabilities: Capabilities
    ) -> TokenProbabilities | None:
        """Return the probabilities of a page's tokens; None if the server returns none that fit.

        :param answer: the chat completion.
        :param text: the page's text, without the end token.
        :param capabilities: the server's.
        """
        if not capabilities.token_probabilities:
            return None
        try:
            if capabilities.version is None:
                return of_openai(answer["choices"][0]["logprobs"], text)
            return of_compact(answer[OWN][COMPACT], text)
        except MALFORMED as error:
            # Nothing of the response is quoted: it may be anything, of any size.
            if not self._warned:
                log.warning(
                    "The server's probabilities of tokens are missing, malformed, or belong to another text "
                    "(%s): such pages have no confidence. This is logged once.",
                    type(error).__name__,
                )
            self._warned = True
            return None
