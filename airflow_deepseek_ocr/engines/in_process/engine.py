"""The model in this process: pages enter and leave a running batch, each when it is ready."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.engines.in_process.block_pool import count_blocks
from airflow_deepseek_ocr.engines.in_process.capacity import Capacity, capacity
from airflow_deepseek_ocr.engines.in_process.compilation import (
    LayerCompiler,
    compile_vision,
    use_compiler_cache,
)
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock, as_shares
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage, PromptEmbedder
from airflow_deepseek_ocr.engines.in_process.scheduler import (
    Scheduler,
    clear_after,
    page_error,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens, load_checkpoint
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import prepare
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.resolution import (
    MOST_VISION_TOKENS,
    RESOLUTIONS,
    get_resolution,
)

log = logging.getLogger(__name__)

#: Tokens written between two looks at which pages have ended: a look waits for the GPU.
_STEPS_GPU, _STEPS_CPU = 8, 1
#: Threads that prepare pages beside a GPU; on a CPU the model needs the cores itself. One prepares about
#: 20 gundam pages a second, and Pillow works outside Python's lock.
_MOST_PREPARING = 4
#: Room in a slot for a prompt besides its vision tokens, in tokens; a text to locate may be long.
_PROMPT_TOKENS = 256
_NO_IMAGE = Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class _Kept:
    """Slots for the next call, if it decodes alike, and the pages that see the vision tower together."""

    decoding: Decoding
    slots: DecodeSlots
    vision_pages: int


class InProcessEngine:
    """DeepSeek-OCR loaded into this process.

    :param directory: a complete model directory in the published layout.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto`` (bfloat16 on a GPU, float32 on a CPU), ``bfloat16``, ``float16``,
        ``float32``.
    :param batch_size: most pages read at once; None lets the free memory decide.
    :param decoding: how text is generated.
    :param compiled: whether the layers are compiled; None for a GPU alone. The first process on a host
        takes a minute for it, later ones find it in the cache directory.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    :raises ConfigurationError: ``device``, ``dtype``, ``model_config``, ``model_tokenizer``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
        decoding: Decoding | None = None,
        compiled: bool | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self._on_gpu = self.device.startswith("cuda")
        self.dtype = resolve_dtype(dtype, self._on_gpu)
        self.batch_size = batch_size
        self.decoding = decoding or Decoding()
        started = time.monotonic()
        self._model, self._tokenizer = load_checkpoint(directory, self.device, self.dtype)
        self._tokens = SpecialTokens.of(self._tokenizer)
        self._embed = PromptEmbedder(self._model, self._tokens)
        self.clock = PhaseClock(self._model.device)
        #: Pages that made room in the key-value cache for others and were begun anew.
        self.begun_anew = 0
        self._compiler: LayerCompiler | None = None
        if self._on_gpu if compiled is None else compiled:
            use_compiler_cache()
            self._compiler = LayerCompiler()
            compile_vision(self._model.model.vision_tower, self._compiler)
        self._kept: _Kept | None = None
        seconds = time.monotonic() - started
        log.info("Loaded %s on %s in %.1f s", directory.name, self.device, seconds)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.

        :raises UnavailableError: ``out_of_memory`` if the GPU cannot hold even one slot.
        """
        kept = self._take_slots()
        batch = Scheduler(
            kept.slots,
            vision_pages=kept.vision_pages,
            embed=self._embed,
            decode=self._decode,
            most_tokens=self.decoding.max_output_length,
            steps=_STEPS_GPU if self._on_gpu else _STEPS_CPU,
            ahead=1 if self._on_gpu else 0,
            clock=self.clock,
            on_begun_anew=self._count_begun_anew,
        )
        before, anew = self.clock.seconds(), self.begun_anew
        workers = min(_MOST_PREPARING, os.cpu_count() or 1) if self._on_gpu else 1
        with Prefetcher(
            requests,
            self._prepare,
            bound=2 * kept.vision_pages,
            workers=workers,
            stop=stop_of(requests),
        ) as pages:
            try:
                yield from batch.read(pages, progress)
            finally:
                self.clock.rest()
        # Slots that a failure or the caller's haste left in disorder are not kept.
        self._kept = kept
        spent = {
            phase: seconds - before.get(phase, 0.0)
            for phase, seconds in self.clock.seconds().items()
        }
        log.info(
            "The %s's time: %s; %d pages were begun anew for want of memory",
            "GPU" if self._on_gpu else "CPU",
            as_shares(spent),
            self.begun_anew - anew,
        )

    def _count_begun_anew(self) -> None:
        self.begun_anew += 1

    def close(self) -> None:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.close`."""
        self._kept = None
        del self._model, self._embed
        self._collect()

    def _collect(self) -> None:
        gc.collect()
        if self._on_gpu:
            torch.cuda.empty_cache()

    def modes(self) -> tuple[str, ...]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.modes`: all."""
        return tuple(RESOLUTIONS)

    @property
    def page_length(self) -> int:
        """Tokens that a page may take, its prompt with the image included."""
        context: int = self._model.config.text_config.max_position_embeddings
        return min(
            context,
            MOST_VISION_TOKENS + _PROMPT_TOKENS + self.decoding.max_output_length,
        )

    def plan(self) -> Capacity:
        """How many pages :meth:`read` would work on at once, by the memory that is free now."""
        text = self._model.config.text_config
        key_size = text.num_key_value_heads * text.head_dim
        column_bytes = 2 * text.num_hidden_layers * key_size * self.dtype.itemsize
        free = torch.cuda.mem_get_info(self.device)[0] if self._on_gpu else None
        return capacity(
            free, column_bytes, key_size, count_blocks(self.page_length), self.batch_size
        )

    def works(self) -> bool:
        """Whether the device still computes; after some faults a GPU refuses its process for good."""
        try:
            torch.zeros(1, device=self.device).add_(1).item()
        except RuntimeError:
            return False
        return True

    def _take_slots(self) -> _Kept:
        """As many slots as the free memory holds, halved while it turns out not to; or the last call's."""
        kept, self._kept = self._kept, None
        if kept and kept.decoding == self.decoding:
            return kept
        # Its memory counts as free; compiled steps refer to each other in a circle.
        del kept
        self._collect()
        fits = self.plan()
        count, blocks = fits.slots, fits.blocks
        while True:
            try:
                slots = DecodeSlots(
                    self._model,
                    self._tokens,
                    count,
                    self.page_length,
                    blocks,
                    self.decoding,
                    self._compiler,
                )
                return _Kept(self.decoding, slots, min(fits.vision_pages, count))
            except torch.OutOfMemoryError as error:
                clear_after(error)
                if count == 1:
                    raise UnavailableError(
                        ErrorCode.OUT_OF_MEMORY,
                        f"A page of up to {self.page_length:,} tokens does not fit into the GPU's free "
                        "memory; free it, or lower the maximum output length.",
                    ) from None
                count, blocks = count // 2, blocks and blocks // 2

    def _prepare(self, request: PageRequest) -> PreparedPage | PageOutput:
        try:
            views = prepare(request.image, get_resolution(request.resolution))
            line = self._tokenizer.encode(
                "\n" + prompt_line(request.prompt), add_special_tokens=False
            )
        except Exception as error:
            return PageOutput(key=request.key, error=page_error(error))
        image = [self._tokens.image] * views.vision_tokens
        ids = [self._tokens.bos, *image, *line]
        if len(ids) >= self.page_length:
            return PageOutput(key=request.key, error=self._too_long(len(ids)))
        # The views are all that is needed of the image, which may be ten times as large.
        request = replace(request, image=_NO_IMAGE)
        return PreparedPage(request, views, ids)

    def _too_long(self, tokens: int) -> ConfigurationError:
        return ConfigurationError(
            ErrorCode.PROMPT_TEXT,
            f"The prompt takes {tokens:,} tokens with the image, and a page may take {self.page_length:,} in "
            "all; ask for a shorter text, or raise the maximum output length.",
        )

    def _decode(self, ids: list[int]) -> str:
        # Boxes and tables are special tokens: skipping those would delete them.
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


def resolve_device(name: str) -> str:
    """The torch device of that name; ``auto`` is the first GPU, or the CPU where there is none.

    :raises ConfigurationError: ``device`` if it is unknown or not there.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if gpus else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(
            ErrorCode.DEVICE, f"Device {name!r} is unknown; use auto, cpu, cuda or cuda:N."
        ) from error
    if device.type not in ("cpu", "cuda") or (
        device.type == "cuda" and (device.index or 0) >= gpus
    ):
        raise ConfigurationError(
            ErrorCode.DEVICE,
            f"Device {name!r} is not on this host, which has {gpus} usable GPUs; use auto.",
        )
    return name


def resolve_dtype(name: str, on_gpu: bool) -> torch.dtype:
    """The torch type of that name; ``auto`` is bfloat16 on a GPU and float32 on a CPU.

    :raises ConfigurationError: ``dtype`` if it is none of the supported ones.
    """
    types = {
        "auto": torch.bfloat16 if on_gpu else torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
        "float32": torch.float32,
    }
    try:
        return types[name]
    except KeyError:
        raise ConfigurationError(
            ErrorCode.DTYPE, f"There is no dtype {name!r}. Use one of: {', '.join(types)}."
        ) from None
