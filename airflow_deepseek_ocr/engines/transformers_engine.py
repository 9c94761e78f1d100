"""The model in this process: batches of pages through transformers' generate()."""

from __future__ import annotations

import gc
import logging
import time
import traceback
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from airflow_deepseek_ocr.errors import ConfigurationError, DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.model.checkpoint import SpecialTokens, load_checkpoint
from airflow_deepseek_ocr.model.image_processing import PIXEL_VALUES, ImageViews, prepare
from airflow_deepseek_ocr.model.ngram_guard import NGramGuard
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine import FinishReason, PageReading, PageRequest, Progress
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.resolution import get_resolution

log = logging.getLogger(__name__)

#: Pages in a batch where the setting leaves it open.
_BATCH_SIZE_GPU, _BATCH_SIZE_CPU = 16, 4
#: Pages whose views go through the vision tower at once: SAM's attention builds its relative
#: position bias in full, which at gundam costs gigabytes for each page.
_VISION_CHUNK = 4
_PROGRESS_EVERY_S = 5.0


@dataclass(frozen=True)
class _PreparedPage:
    key: Hashable
    views: ImageViews
    prompt_ids: list[int]


class TransformersEngine:
    """DeepSeek-OCR loaded into this process.

    :param folder: a complete model folder in the published layout.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto`` (bfloat16 on a GPU, float32 on a CPU), ``bfloat16``, ``float16``,
        ``float32``.
    :param batch_size: pages read at once; None chooses by device.
    :param decoding: how text is generated.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    :raises ConfigurationError: ``device``, ``dtype``, ``model_config``, ``model_tokenizer``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        self.device = resolve_device(device)
        on_gpu = self.device.startswith("cuda")
        self.dtype = resolve_dtype(dtype, on_gpu)
        self.batch_size = batch_size or (_BATCH_SIZE_GPU if on_gpu else _BATCH_SIZE_CPU)
        self.decoding = decoding or Decoding()
        started = time.monotonic()
        self._model, self._tokenizer = load_checkpoint(folder, self.device, self.dtype)
        self._tokens = SpecialTokens.of(self._tokenizer)
        self._context = self._model.config.text_config.max_position_embeddings
        self._pixel_values = torch.from_numpy(PIXEL_VALUES).to(self.device, self.dtype)
        seconds = time.monotonic() - started
        log.info("Loaded %s on %s in %.1f s", folder.name, self.device, seconds)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Iterator[PageReading]:
        """See :meth:`airflow_deepseek_ocr.ocr.engine.Engine.read`."""
        done = 0
        for batch in batches_by_mode(requests, self.batch_size):
            for reading in self._read_batch(batch, _Reporter(progress, done, len(batch))):
                done += 1
                yield reading

    def close(self) -> None:
        """See :meth:`airflow_deepseek_ocr.ocr.engine.Engine.close`."""
        del self._model
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _read_batch(self, batch: Sequence[PageRequest], report: _Reporter) -> Iterator[PageReading]:
        """Readings of a batch; where it fails as a whole, of its halves, so that one bad page or
        too little memory does not cost the others."""
        try:
            readings = self._generate([self._prepare(request) for request in batch], report)
        except Exception as error:
            self._free_after(error)
            if len(batch) == 1:
                yield PageReading(batch[0].key, error=_page_error(error))
                return
            log.warning("A batch of %d pages failed (%s); reading its halves.", len(batch), error)
        else:
            yield from readings
            return
        middle = len(batch) // 2
        yield from self._read_batch(batch[:middle], report)
        yield from self._read_batch(batch[middle:], report)

    def _free_after(self, error: Exception) -> None:
        # The traceback's frames hold the tensors of the failed attempt.
        traceback.clear_frames(error.__traceback__)
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()

    def _prepare(self, request: PageRequest) -> _PreparedPage:
        views = prepare(request.image, get_resolution(request.resolution))
        line = self._tokenizer.encode("\n" + prompt_line(request.prompt), add_special_tokens=False)
        image = [self._tokens.image] * views.vision_tokens
        return _PreparedPage(request.key, views, [self._tokens.bos, *image, *line])

    @torch.inference_mode()
    def _generate(self, pages: Sequence[_PreparedPage], report: _Reporter) -> list[PageReading]:
        started = time.monotonic()
        embeddings, mask = self._embed(pages)
        room = self._context - embeddings.shape[1]
        output = self._model.generate(
            inputs_embeds=embeddings,
            attention_mask=mask,
            generation_config=GenerationConfig(
                max_new_tokens=min(self.decoding.max_output_length, room),
                do_sample=False,
                bos_token_id=self._tokens.bos,
                eos_token_id=self._tokens.eos,
                pad_token_id=self._tokens.pad,
            ),
            logits_processor=self._guard(),
            stopping_criteria=StoppingCriteriaList([report]),
        )
        share = (time.monotonic() - started) / len(pages)
        return [
            self._reading(page, ids, share)
            for page, ids in zip(pages, output.tolist(), strict=True)
        ]

    def _embed(self, pages: Sequence[_PreparedPage]) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (batch, length, hidden) of the left-padded prompts, and their mask."""
        length = max(len(page.prompt_ids) for page in pages)
        ids = torch.full((len(pages), length), self._tokens.pad)
        mask = torch.zeros((len(pages), length), dtype=torch.long)
        for row, page in enumerate(pages):
            start = length - len(page.prompt_ids)
            ids[row, start:] = torch.tensor(page.prompt_ids)
            mask[row, start:] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        embeddings = self._model.get_input_embeddings()(ids)
        features = torch.cat(
            [
                feature
                for start in range(0, len(pages), _VISION_CHUNK)
                for feature in self._vision_features(pages[start : start + _VISION_CHUNK])
            ]
        ).to(embeddings.dtype)
        is_image = (ids == self._tokens.image)[..., None]
        return embeddings.masked_scatter(is_image, features), mask

    def _vision_features(self, pages: Sequence[_PreparedPage]) -> list[torch.Tensor]:
        """Features (vision tokens, hidden) of each page."""
        tiles = np.concatenate([page.views.tiles for page in pages])
        output = self._model.get_image_features(
            pixel_values=self._to_input(np.stack([page.views.view for page in pages])),
            pixel_values_local=self._to_input(tiles) if len(tiles) else None,
            num_local_patches=[len(page.views.tiles) for page in pages],
            patches_grid=[list(page.views.grid) for page in pages],
        )
        return list(output.pooler_output)

    def _to_input(self, pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        """(n, height, width, 3) in 8 bits to (n, 3, height, width) in the model's type."""
        return self._pixel_values[torch.from_numpy(pixels).to(self.device).long()].permute(
            0, 3, 1, 2
        )

    def _guard(self) -> LogitsProcessorList:
        size = self.decoding.ngram_size
        if not size:
            return LogitsProcessorList()
        guard = NGramGuard(
            size, self.decoding.ngram_window, prompt_length=0, exempt=self._tokens.table_cells
        )
        return LogitsProcessorList([guard])

    def _reading(self, page: _PreparedPage, ids: list[int], seconds: float) -> PageReading:
        ended = self._tokens.eos in ids
        ids = ids[: ids.index(self._tokens.eos)] if ended else ids
        return PageReading(
            key=page.key,
            # Boxes and tables are special tokens: skipping those would delete them.
            text=self._tokenizer.decode(ids, skip_special_tokens=False),
            finish_reason=FinishReason.STOP if ended else FinishReason.LENGTH,
            vision_tokens=page.views.vision_tokens,
            text_tokens=len(ids),
            seconds=seconds,
        )


def batches_by_mode(
    requests: Iterable[PageRequest], batch_size: int
) -> Iterator[list[PageRequest]]:
    """Batches of at most ``batch_size`` requests of one resolution mode each.

    Views of different sizes cannot go through the vision tower together. Of mixed modes at most
    two batches of requests are held.
    """
    waiting: dict[str, list[PageRequest]] = {}
    for request in requests:
        same_mode = waiting.setdefault(request.resolution, [])
        same_mode.append(request)
        held = sum(map(len, waiting.values()))
        if len(same_mode) == batch_size or held == 2 * batch_size:
            yield waiting.pop(max(waiting, key=lambda mode: len(waiting[mode])))
    yield from waiting.values()


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
            "device", f"Device {name!r} is unknown; use auto, cpu, cuda or cuda:N."
        ) from error
    if device.type not in ("cpu", "cuda") or (
        device.type == "cuda" and (device.index or 0) >= gpus
    ):
        raise ConfigurationError(
            "device",
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
            "dtype", f"There is no dtype {name!r}. Use one of: {', '.join(types)}."
        ) from None


class _Reporter(StoppingCriteria):
    """Looks on while a batch is generated; never stops it."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, pages_done: int, pages: int
    ) -> None:
        self._progress, self._pages_done, self._pages = progress, pages_done, pages
        self._last = time.monotonic()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        if self._progress and time.monotonic() - self._last >= _PROGRESS_EVERY_S:
            self._last = time.monotonic()
            self._progress(Progress(self._pages_done, self._pages, input_ids.numel()))
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def _page_error(error: Exception) -> DeepSeekOCRError:
    if isinstance(error, DeepSeekOCRError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return UnavailableError(
            "out_of_memory",
            "The GPU's memory does not hold even one page; free it, or choose a smaller resolution.",
        )
    log.exception("A page could not be read.", exc_info=error)
    return UnavailableError(
        "engine_error", f"The model failed on this page: {type(error).__name__}: {error}"
    )
