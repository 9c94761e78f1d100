"""What the HTTP engine and a server say to each other: OpenAI's chat completions, and the few fields
that the format lacks.

Where a field of vLLM's says it already, it is used: ``mm_processor_kwargs.resolution`` names the
resolution mode, ``vllm_xargs`` the no-repeat-n-gram constraint (as vLLM's own logits processor for
DeepSeek-OCR takes it), ``skip_special_tokens`` must be false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line
from airflow_deepseek_ocr.ocr.resolution import MAX_TILES, RESOLUTIONS

#: Key of this package's own fields, in a model's card and in an answer.
OWN = "deepseek_ocr"
#: Names who sends a page, such as a task: a server of ours serves all callers alike.
CLIENT_HEADER = "X-DeepSeek-OCR-Caller"
#: Code of the answer to a page whose file is not there.
NO_PAGE_FILE = "page_file"
#: Tiles that vLLM cuts a page into at most (``MAX_CROPS`` in its processor for DeepSeek-OCR).
VLLM_MAX_TILES = 6
#: The distribution with our plugin for vLLM, and the option without which vLLM (0.32) takes no
#: ``mm_processor_kwargs`` from a request.
VLLM_PLUGIN, TRUST_REQUESTS = "airflow-deepseek-ocr-vllm", "--trust-request-mm-kwargs"
#: The model's end token; some servers leave it in the text where special tokens are kept.
END_OF_TEXT = "<｜end▁of▁sentence｜>"
#: Ids of ``<td>`` and ``</td>`` in the published tokenizer, which may repeat.
PUBLISHED_TABLE_CELLS = (128821, 128822)


@dataclass(frozen=True)
class Capabilities:
    """What a server can do.

    :param model: the name it serves the model by.
    :param modes: resolution modes a request may name.
    :param prompts: prompts it knows; empty if it takes any line.
    :param revision: the model's; None if the server does not say.
    :param guard: (n, window) of the no-repeat-n-gram constraint that it is known to apply; None if a
        request has to ask for it and the server may ignore that.
    :param max_tiles: tiles that gundam cuts a page into at most.
    :param context_length: tokens a page may take, its prompt included; None if it does not say.
    :param pages: pages it reads at once; None if it does not say.
    :param max_body_bytes: largest request, and largest file of a page; None if it does not say.
    :param version: of this package, on a server of ours; None on others.
    :param device: where a server of ours reads, such as ``cuda:0``; None on others.
    :param dtype: its number format, likewise.
    :param ignores_end: it was started so that its texts have their greatest length; see
        :class:`~airflow_deepseek_ocr.ocr.decoding.Decoding`.
    :param page_directory: URL of the directory where a server of ours on this host takes pages as
        files; None on others.
    """

    model: str
    modes: tuple[str, ...] = ("gundam",)
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

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Capabilities:
        """What a model's card in ``/v1/models`` says; a server that does not say can do gundam only.

        :raises ValueError, TypeError, KeyError: if the card is not one.
        """
        length = card.get("max_model_len")
        own = card.get(OWN) or {}
        return cls(
            model=str(card["id"]),
            modes=tuple(map(str, own.get("modes", ("gundam",)))),
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
        )

    def card(self) -> dict[str, Any]:
        """The model's card for ``/v1/models``."""
        own = asdict(self)
        return {
            "id": own.pop("model"),
            "object": "model",
            "owned_by": "airflow-deepseek-ocr",
            "max_model_len": own.pop("context_length"),
            OWN: own,
        }

    def require(self, prompt: str, resolution: str) -> None:
        """Raise if the server cannot read so.

        :raises ConfigurationError: ``server_mode`` or ``server_prompt``, naming the alternative;
            ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
        """
        prompt_line(prompt)
        if resolution not in self.modes:
            plugin = (
                ""
                if self.version
                else f" vLLM reads in all modes with the plugin {VLLM_PLUGIN} in its environment, "
                f"started with {TRUST_REQUESTS}."
            )
            raise ConfigurationError(
                ErrorCode.SERVER_MODE,
                f"The server reads in {', '.join(self.modes)} only, not in {resolution!r}. Choose one "
                f"of these, or engine resident or in_process, which read in all modes.{plugin}",
            )
        if self.prompts and prompt.partition(":")[0] not in self.prompts:
            raise ConfigurationError(
                ErrorCode.SERVER_PROMPT,
                f"The server knows the prompts {', '.join(self.prompts)}, not {prompt!r}. Choose one of "
                "these, or engine resident or in_process.",
            )

    def vision_tokens(self, resolution: str, width: int, height: int) -> int:
        """Tokens that stand for an image of ``width`` x ``height`` pixels."""
        mode = RESOLUTIONS[resolution]
        return mode.vision_tokens(mode.grid(width, height, self.max_tiles))


def own_capabilities(model: str, revision: str, decoding: Decoding, **others: Any) -> Capabilities:
    """What the in-process engine can do, for a server in front of it."""
    return Capabilities(
        model=model,
        modes=tuple(RESOLUTIONS),
        prompts=tuple(PROMPTS),
        revision=revision,
        no_repeat_ngram=(decoding.ngram_size, decoding.ngram_window),
        max_tiles=MAX_TILES,
        ignores_end=decoding.forced,
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
    """The body of a request for one page.

    :param model: the name the server serves the model by.
    :param image_url: the page as a data URL, or of its file.
    :param line: the line behind the image.
    :param resolution: resolution mode; None for servers that know one only.
    :param max_tokens: most tokens to write.
    :param guard: n-grams that must not repeat, and the window; n of 0 for no guard.
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
    """The prompt's name for a line such as a client of vLLM sends, or for the name itself.

    :return: such as ``markdown`` or ``locate:Total``; None if the model was not trained with it.
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


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
