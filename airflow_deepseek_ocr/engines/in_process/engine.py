"""The model in this process, with continuous batching of pages."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.engines.in_process.block_pool import count_blocks
from airflow_deepseek_ocr.engines.in_process.capacity import (
    Capacity,
    Occupancy,
    capacity,
    unified_budget,
)
from airflow_deepseek_ocr.engines.in_process.compilation import (
    LayerCompiler,
    compile_vision,
    use_compiler_cache,
)
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock, format_shares
from airflow_deepseek_ocr.engines.in_process.page_embedding import PreparedPage, PromptEmbedder
from airflow_deepseek_ocr.engines.in_process.scheduler import (
    Scheduler,
    clear_after,
    page_error,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family, smallest_print
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.registry import ARCHITECTURES
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens, load_checkpoint
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import prepare as prepare_views
from airflow_deepseek_ocr.model.deepseek_ocr.token_pieces import TokenPieces
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest, Progress
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import DEFAULT_RESOLUTION
from airflow_deepseek_ocr.ocr.page_pixels import decoded
from airflow_deepseek_ocr.ocr.prompts import prompt_line

log = logging.getLogger(__name__)

#: Steps between two polls for finished pages: reading a poll's result blocks on the GPU.
_STEPS_PER_POLL_GPU, _STEPS_PER_POLL_CPU = 8, 1
#: Threads that prepare pages beside a GPU; on a CPU the model needs the cores. One thread prepares about
#: 20 gundam pages per second, and Pillow releases the GIL.
_MAX_PREPARING = 4
#: Columns of a slot for the prompt besides its vision tokens, in tokens; a text to locate may be long.
_PROMPT_TOKENS = 256
#: An A4 page at 144 dpi, in pixels, and the tokens of a prompt's line.
_A4, _LINE_TOKENS = (1191, 1684), 27
_NO_IMAGE = Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class KeptSlots:
    """Slots that are kept for the next call with the same decoding.

    :param decoding: what the slots were made for.
    :param slots: the slots.
    :param vision_pages: most pages that go through the vision tower together.
    """

    decoding: Decoding
    slots: DecodeSlots
    vision_pages: int


class InProcessEngine:
    """DeepSeek-OCR loaded into this process.

    :param directory: a complete model directory in the published layout.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto`` (bfloat16 on a GPU, float32 on a CPU), ``bfloat16``, ``float16``,
        ``float32``.
    :param batch_size: most pages read at once; None derives it from the free memory.
    :param decoding: how text is generated; None for the model family's defaults.
    :param compiled: whether the layers are compiled; None compiles on a GPU only. The first process on a
        host takes about a minute; later ones load the result from the cache directory.
    :param compile_backend: backend of ``torch.compile``.
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
        compile_backend: Any = "inductor",
    ) -> None:
        self.device = resolve_device(device)
        self._on_gpu = self.device.startswith("cuda")
        self.dtype = resolve_dtype(dtype, self._on_gpu)
        self.batch_size = batch_size
        started = time.monotonic()
        self._family = checkpoint_family(directory)
        self._smallest_print = smallest_print(directory, self._family)
        self.decoding = decoding or self._family.decoding()
        self.model, self.tokenizer = load_checkpoint(directory, self.device, self.dtype)
        self.pieces = TokenPieces(self.tokenizer.convert_ids_to_tokens)
        self.tokens = SpecialTokens.of(self.tokenizer)
        #: Embeds the prompts of prepared pages, images included.
        self.embed = PromptEmbedder(self.model, self.tokens)
        self.clock = PhaseClock(self.model.device)
        #: Number of times a page was preempted and restarted for lack of cache blocks.
        self.preempted_pages = 0
        self._compiler: LayerCompiler | None = None
        if self._on_gpu if compiled is None else compiled:
            use_compiler_cache()
            self._compiler = LayerCompiler(compile_backend)
            compile_vision(self.model.model.vision_tower, self._compiler)
        self._kept: KeptSlots | None = None
        self._scheduler: Scheduler | None = None
        seconds = time.monotonic() - started
        log.info("Loaded %s on %s in %.1f s", directory.name, self.device, seconds)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.read`.

        :raises UnavailableError: ``out_of_memory`` if the GPU cannot hold even one slot.
        """
        before, preempted_before = self.clock.seconds(), self.preempted_pages
        workers = min(_MAX_PREPARING, os.cpu_count() or 1) if self._on_gpu else 1
        with (
            self.borrow_slots() as kept,
            Prefetcher(
                requests,
                self.prepare,
                bound=2 * kept.vision_pages,
                workers=workers,
                stop=stop_of(requests),
            ) as pages,
        ):
            scheduler = Scheduler(
                kept.slots,
                vision_pages=kept.vision_pages,
                embed=self.embed,
                decode=self.decode,
                pieces=self.pieces,
                max_tokens=self.decoding.max_output_length,
                steps_per_poll=_STEPS_PER_POLL_GPU if self._on_gpu else _STEPS_PER_POLL_CPU,
                pending_snapshots=1 if self._on_gpu else 0,
                clock=self.clock,
                on_preempted=self._count_preempted,
            )
            self._scheduler = scheduler
            try:
                yield from scheduler.read(pages, progress)
            finally:
                self._scheduler = None
                self.clock.pause()
        spent = {
            phase: seconds - before.get(phase, 0.0)
            for phase, seconds in self.clock.seconds().items()
        }
        log.info(
            "%s time: %s; %d pages preempted for lack of cache blocks",
            "GPU" if self._on_gpu else "CPU",
            format_shares(spent),
            self.preempted_pages - preempted_before,
        )

    def occupancy(self) -> Occupancy:
        """Return what the call of :meth:`read` that runs now uses; other threads may call it."""
        scheduler = self._scheduler
        return scheduler.occupancy() if scheduler else Occupancy()

    def _count_preempted(self) -> None:
        self.preempted_pages += 1

    def close(self) -> None:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.close`."""
        self._kept = None
        del self.model, self.embed
        self._collect()

    def _collect(self) -> None:
        gc.collect()
        if self._on_gpu:
            torch.cuda.empty_cache()

    def family(self) -> ModelFamily:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.family`: the checkpoint's."""
        return self._family

    def modes(self) -> tuple[str, ...]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.modes`: all."""
        return self._family.modes

    def smallest_print(self) -> float:
        """See :meth:`airflow_deepseek_ocr.ocr.engine_protocol.Engine.smallest_print`: the checkpoint's."""
        return self._smallest_print

    @property
    def page_length(self) -> int:
        """Most tokens of a page: image, prompt and text."""
        context: int = self.model.config.text_config.max_position_embeddings
        return min(
            context,
            self._family.most_vision_tokens + _PROMPT_TOKENS + self.decoding.max_output_length,
        )

    def plan(self) -> Capacity:
        """Return how many pages :meth:`read` would process at once with the memory that is free now."""
        text = self.model.config.text_config
        key_size = text.num_key_value_heads * text.head_dim
        column_bytes = 2 * text.num_hidden_layers * key_size * self.dtype.itemsize
        return capacity(
            free_bytes=free_memory(self.device) if self._on_gpu else None,
            column_bytes=column_bytes,
            key_size=key_size,
            row_blocks=count_blocks(self.page_length),
            page_prompt=self._usual_prompt,
            vision_bytes=ARCHITECTURES[self._family.name].vision_bytes(self.dtype.itemsize),
            limit=self.batch_size,
        )

    @property
    def _usual_prompt(self) -> int:
        """Tokens of a usual page's prompt: A4 at the default resolution in gundam, and a line of text."""
        mode = self._family.resolution(DEFAULT_RESOLUTION)
        return mode.vision_tokens(mode.grid(*_A4)) + _LINE_TOKENS

    def works(self) -> bool:
        """Return whether the device still computes; some faults disable a GPU for its process."""
        try:
            torch.zeros(1, device=self.device).add_(1).item()
        except RuntimeError:
            return False
        return True

    @property
    def kept_slots(self) -> DecodeSlots | None:
        """Slots of the last call, kept for the next; None if it failed or is still running."""
        return self._kept.slots if self._kept else None

    @contextmanager
    def borrow_slots(self) -> Iterator[KeptSlots]:
        """Lend the slots to one call; they are kept for the next call unless the body raises.

        :raises UnavailableError: ``out_of_memory`` if the GPU cannot hold even one slot.
        """
        kept, self._kept = self._kept, None
        if kept is None or kept.decoding != self.decoding:
            del kept  # its memory counts as free below
            kept = self._new_slots()
        yield kept
        # A call that failed or was closed early leaves slots in disorder; they are not kept.
        self._kept = kept

    def _new_slots(self) -> KeptSlots:
        """Make as many slots as the free memory holds; halve the number as long as they do not fit."""
        # Compiled steps may be part of reference cycles.
        self._collect()
        fits = self.plan()
        count, blocks = fits.slots, fits.blocks
        while True:
            try:
                slots = DecodeSlots(
                    model=self.model,
                    tokens=self.tokens,
                    count=count,
                    length=self.page_length,
                    blocks=blocks,
                    decoding=self.decoding,
                    compiler=self._compiler,
                )
                return KeptSlots(self.decoding, slots, min(fits.vision_pages, count))
            except torch.OutOfMemoryError as error:
                clear_after(error)
                if count == 1:
                    raise UnavailableError(
                        ErrorCode.OUT_OF_MEMORY,
                        f"A page of up to {self.page_length:,} tokens does not fit into the GPU's free "
                        "memory; free it, or lower the maximum output length.",
                    ) from None
                count, blocks = count // 2, blocks and blocks // 2

    def prepare(self, request: PageRequest) -> PreparedPage | PageOutput:
        """Return the page's views and prompt, or its failed output.

        :param request: the page.
        """
        try:
            views = prepare_views(
                decoded(request.image), self._family.resolution(request.resolution)
            )
            line = self.tokenizer.encode(
                "\n" + prompt_line(request.prompt), add_special_tokens=False
            )
        except Exception as error:
            return PageOutput(key=request.key, error=page_error(error))
        image = [self.tokens.image] * views.vision_tokens
        ids = [self.tokens.bos, *image, *line]
        if len(ids) >= self.page_length:
            return PageOutput(key=request.key, error=self._too_long(len(ids)))
        # Only the views are needed; the image may be ten times as large.
        request = replace(request, image=_NO_IMAGE)
        return PreparedPage(request, views, ids)

    def _too_long(self, tokens: int) -> ConfigurationError:
        return ConfigurationError(
            ErrorCode.PROMPT_TEXT,
            f"The prompt has {tokens:,} tokens with the image, but a page may have {self.page_length:,} in "
            "all. Shorten the prompt's text, or raise the maximum output length.",
        )

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids.

        :param ids: without the end token.
        """
        # Boxes and tables are special tokens; skipping special tokens would delete them.
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False)
        return text


def free_memory(device: str) -> int:
    """Return the bytes of a GPU that the engine may use; half of the available ones if it has no own memory.

    :param device: torch device of a GPU, such as ``cuda:0``.
    """
    # Older versions of torch lack the property; they do not support integrated GPUs either.
    if getattr(torch.cuda.get_device_properties(device), "is_integrated", False):
        return unified_budget(psutil.virtual_memory().available)
    return int(torch.cuda.mem_get_info(device)[0])


def resolve_device(name: str) -> str:
    """Return the torch device of that name; ``auto`` is the first GPU, or the CPU if there is none.

    :raises ConfigurationError: ``device`` if it is unknown or missing.
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
    """Return the torch dtype of that name; ``auto`` is bfloat16 on a GPU and float32 on a CPU.

    :raises ConfigurationError: ``dtype`` if it is not supported.
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
