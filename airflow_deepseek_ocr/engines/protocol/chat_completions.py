"""Requests and model cards of OpenAI's chat completions API, with the few fields that the API lacks.

Fields that vLLM defines are used as vLLM defines them: ``mm_processor_kwargs.resolution`` names the
resolution mode, ``vllm_xargs`` the no-repeat-n-gram constraint (read by vLLM's logits processor for
DeepSeek-OCR), and ``skip_special_tokens`` must be false.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import (
    DEFAULT_FAMILY,
    DEFAULT_RESOLUTION,
    get_family,
)
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line

#: Path of the route that pages are sent to.
CHAT_PATH = "/v1/chat/completions"
#: Key of this package's fields, in a model's card and in a response.
OWN = "deepseek_ocr"
#: Header that names the client, such as a task. The model server shares its capacity among clients.
CLIENT_HEADER = "X-DeepSeek-OCR-Client"
#: Most tiles that vLLM cuts a page into (``MAX_CROPS`` in its processors for both families).
VLLM_MAX_TILES = 6
#: The distribution with the plugin for vLLM, and the option without which vLLM (0.32) ignores
#: ``mm_processor_kwargs`` in a request.
VLLM_PLUGIN, TRUST_REQUESTS = "airflow-deepseek-ocr-vllm", "--trust-request-mm-kwargs"
#: The model's end token. Some servers leave it in the text if special tokens are kept.
END_OF_TEXT = "<｜end▁of▁sentence｜>"
#: Ids of ``<td>`` and ``</td>`` in the published tokenizer, which may repeat.
PUBLISHED_TABLE_CELLS = (128821, 128822)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Abilities and settings of a server, as its model card reports them.

    :param model: name that requests must use.
    :param family: the model's family. A server that does not report one has the expected one, until a probe
        says otherwise.
    :param modes: resolution modes that a request may name.
    :param prompts: names of accepted prompts; empty if the server accepts any line.
    :param revision: revision of the model; None if not reported.
    :param no_repeat_ngram: (n, window) of the no-repeat-n-gram constraint that is known to apply; None if
        each request has to ask for it and the server may ignore that.
    :param max_tiles: most tiles of a page in gundam mode.
    :param context_length: most tokens of a page, prompt included; None if not reported.
    :param pages: number of pages decoded at once; None if not reported.
    :param max_body_bytes: largest request, and largest page file; None if not reported.
    :param version: version of this package, on its model server; None on other servers.
    :param device: device of the model server, such as ``cuda:0``; None on other servers.
    :param dtype: dtype of the model server, such as ``bfloat16``; None on other servers.
    :param ignores_end: the server was started so that texts reach their greatest length; see
        :class:`~airflow_deepseek_ocr.ocr.decoding.Decoding`.
    :param page_directory: URL of the directory in which a model server on this host accepts page files;
        None on other servers.
    :param smallest_print: height of the smallest print that the model reads, in pixels of a view or tile;
        0 for any, None if not reported.
    :param token_probabilities: the server returns the log-probabilities of tokens, as the model has them.
    """

    model: str
    family: ModelFamily = DEFAULT_FAMILY
    modes: tuple[str, ...] = (DEFAULT_RESOLUTION,)
    prompts: tuple[str, ...] = ()
    revision: str | None = None
    no_repeat_ngram: tuple[int, int] | None = None
    max_tiles: int = VLLM_MAX_TILES
    context_length: int | None = None
    pages: int | None = None
    max_body_bytes: int | None = None
    version: str | None = None
    device: str | None = None
    dtype: str | None = None
    ignores_end: bool = False
    page_directory: str | None = None
    smallest_print: float | None = None
    token_probabilities: bool = False

    @classmethod
    def of_card(
        cls, card: Mapping[str, Any], expected: ModelFamily = DEFAULT_FAMILY
    ) -> Capabilities:
        """Read a model's card of ``/v1/models``. A card that names no modes means gundam only.

        :param card: the card.
        :param expected: family of a model whose card tells none.
        :raises ConfigurationError: ``model_family``: the card has a family that this version does not know.
        :raises ValueError, TypeError, KeyError, AttributeError, IndexError: the card is malformed.
        """
        length = card.get("max_model_len")
        own = card.get(OWN) or {}
        return cls(
            model=str(card["id"]),
            family=_family(own, expected),
            modes=tuple(map(str, own.get("modes") or (DEFAULT_RESOLUTION,))),
            prompts=tuple(map(str, own.get("prompts", ()))),
            revision=own.get("revision"),
            no_repeat_ngram=_pair(own.get("no_repeat_ngram")),
            max_tiles=int(own.get("max_tiles", VLLM_MAX_TILES)),
            context_length=None if length is None else int(length),
            pages=_number(own.get("pages")),
            max_body_bytes=_number(own.get("max_body_bytes")),
            version=own.get("version"),
            device=own.get("device"),
            dtype=own.get("dtype"),
            ignores_end=bool(own.get("ignores_end", False)),
            page_directory=own.get("page_directory"),
            smallest_print=_height(own.get("smallest_print")),
            token_probabilities=bool(own.get("token_probabilities", False)),
        )

    def card(self) -> dict[str, Any]:
        """Return the model's card for ``/v1/models``."""
        own = asdict(self) | {"family": self.family.name}
        return {
            "id": own.pop("model"),
            "object": "model",
            "owned_by": "airflow-deepseek-ocr",
            "max_model_len": own.pop("context_length"),
            OWN: own,
        }

    def require(self, prompt: str, resolution: str) -> None:
        """Raise unless the server supports the prompt and the resolution mode.

        :raises ConfigurationError: ``server_mode`` or ``server_prompt``, naming the alternative;
            ``unknown_prompt``, ``prompt_text``; ``unknown_resolution`` for a mode that the model lacks.
        """
        prompt_line(prompt)
        self.family.resolution(resolution)
        if resolution not in self.modes:
            plugin = (
                ""
                if self.version
                else f" vLLM supports all modes if {VLLM_PLUGIN} is installed in its environment and it is "
                f"started with {TRUST_REQUESTS}."
            )
            raise ConfigurationError(
                ErrorCode.SERVER_MODE,
                f"The server supports {', '.join(self.modes)} only, not {resolution!r}. Choose one of these, "
                f"or engine resident or in_process, which support all modes of the model.{plugin}",
            )
        if self.prompts and prompt.partition(":")[0] not in self.prompts:
            raise ConfigurationError(
                ErrorCode.SERVER_PROMPT,
                f"The server supports the prompts {', '.join(self.prompts)}, not {prompt!r}. Choose one of "
                "these, or engine resident or in_process.",
            )

    def vision_tokens(self, resolution: str, width: int, height: int) -> int:
        """Return the number of vision tokens of an image of ``width`` x ``height`` pixels."""
        mode = self.family.resolution(resolution)
        return mode.vision_tokens(mode.grid(width, height, self.max_tiles))


def own_capabilities(
    model: str,
    revision: str,
    decoding: Decoding,
    family: ModelFamily = DEFAULT_FAMILY,
    **others: Any,
) -> Capabilities:
    """Return the capabilities of a model server with the in-process engine.

    :param model: name that requests must use.
    :param revision: revision of the model.
    :param decoding: settings of the engine.
    :param family: the model's family.
    :param others: further fields of :class:`Capabilities`.
    """
    return Capabilities(
        model=model,
        family=family,
        modes=family.modes,
        prompts=tuple(PROMPTS),
        revision=revision,
        no_repeat_ngram=(decoding.ngram_size, decoding.ngram_window),
        max_tiles=family.max_tiles,
        ignores_end=decoding.forced,
        token_probabilities=decoding.token_probabilities,
        **others,
    )


def chat_request(
    *,
    model: str,
    image_url: str,
    line: str,
    resolution: str | None,
    max_tokens: int,
    no_repeat_ngram: tuple[int, int],
    table_cells: tuple[int, ...],
    ignore_eos: bool = False,
) -> dict[str, Any]:
    """Return the body of a request for one page.

    :param model: name by which the server serves the model.
    :param image_url: image as data URL, or URL of its file.
    :param line: text line after the image.
    :param resolution: resolution mode; None for servers that support one only.
    :param max_tokens: most tokens to generate.
    :param no_repeat_ngram: (n, window) of the no-repeat-n-gram constraint; n of 0 switches it off.
    :param table_cells: ids of tokens that may repeat.
    :param ignore_eos: the end token does not end the text.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": image_url}},
                    {"type": "text", "text": line},
                ],
            }
        ],
        "temperature": 0,
        "max_tokens": max_tokens,
        "skip_special_tokens": False,
    }
    if resolution is not None:
        body["mm_processor_kwargs"] = {"resolution": resolution}
    if ignore_eos:
        body["ignore_eos"] = True
    if no_repeat_ngram[0]:
        body["vllm_xargs"] = {
            "ngram_size": no_repeat_ngram[0],
            "window_size": no_repeat_ngram[1],
            "whitelist_token_ids": list(table_cells),
        }
    return body


def prompt_of_line(line: str) -> str | None:
    """Return the prompt's name for a text line as vLLM's clients send it, or for the name.

    :return: such as ``markdown`` or ``locate:Total``; None if the model was not trained with the line.
    """
    line = line.strip()
    for name, prompt in PROMPTS.items():
        before, _, after = prompt.template.partition("{text}")
        if prompt.takes_text:
            inside = line.removeprefix(before).removesuffix(after)
            if line == f"{before}{inside}{after}" and inside:
                return f"{name}:{inside}"
            if line.startswith(f"{name}:"):
                return line
        elif line in (name, prompt.template):
            return name
    return None


def _family(own: Mapping[str, Any], expected: ModelFamily) -> ModelFamily:
    """Return the family that a card tells; cards of older versions of this package tell none."""
    if "family" in own:
        return get_family(own["family"])
    return DEFAULT_FAMILY if own else expected


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _height(value: Any) -> float | None:
    height = None if value is None else float(value)
    if height is not None and not 0 <= height < math.inf:
        raise ValueError(f"a height of {height}")
    return height
