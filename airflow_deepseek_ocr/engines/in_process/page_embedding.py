"""Embeddings of pages' prompts, vision tokens included."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from airflow_deepseek_ocr.engines.in_process.device_transfer import to_device
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import ImageViews
from airflow_deepseek_ocr.model.deepseek_ocr.pixel_values import pixel_table, to_pixel_values
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest


@dataclass
class PreparedPage:
    """A page inside the engine.

    :param request: the request; only pages of one mode go through the vision tower together.
    :param views: pixels of the page.
    :param prompt_ids: token ids of the prompt, with one image token for each vision token.
    :param steps: steps since it entered: the number of its tokens, unless it has ended.
    :param seconds: its share of the working time so far.
    """

    request: PageRequest
    views: ImageViews
    prompt_ids: list[int]
    steps: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> Hashable:
        """The request's key."""
        return self.request.key


def takes_grids(model: PreTrainedModel) -> bool:
    """Return whether the model needs the grids of tiles, which its newline tokens depend on.

    DeepSeek-OCR-2 has none. It would pass the grids to each of its layers, which would then be compiled again
    for each grid.

    :param model: the loaded model.
    """
    return "patches_grid" in inspect.signature(model.forward).parameters


class PromptEmbedder:
    """Runs the vision tower and puts its tokens into the prompts.

    :param model: the loaded model.
    :param tokens: ids of the special tokens.
    """

    def __init__(self, model: PreTrainedModel, tokens: SpecialTokens) -> None:
        self._model, self._tokens = model, tokens
        self._grids = takes_grids(model)
        self._table = pixel_table(model.device, model.dtype)

    @torch.inference_mode()
    def __call__(self, pages: Sequence[PreparedPage]) -> torch.Tensor:
        """Return embeddings (pages, longest prompt, hidden) of the prompts, padded on the right."""
        length = max(len(page.prompt_ids) for page in pages)
        padded = np.full((len(pages), length), self._tokens.pad)
        for row, page in enumerate(pages):
            padded[row, : len(page.prompt_ids)] = page.prompt_ids
        ids = to_device(padded, self._model.device)
        embeddings: torch.Tensor = self._model.get_input_embeddings()(ids)
        features = torch.cat(self._vision_features(pages)).to(embeddings.dtype)
        return embeddings.masked_scatter((ids == self._tokens.image)[..., None], features)

    def _vision_features(self, pages: Sequence[PreparedPage]) -> list[torch.Tensor]:
        """Return features (vision tokens, hidden) of each page."""
        tiles = np.concatenate([page.views.tiles for page in pages])
        output = self._model.get_image_features(
            pixel_values=self.to_input(np.stack([page.views.view for page in pages])),
            pixel_values_local=self.to_input(tiles) if len(tiles) else None,
            num_local_patches=[len(page.views.tiles) for page in pages],
            **({"patches_grid": [list(page.views.grid) for page in pages]} if self._grids else {}),
        )
        return list(output.pooler_output)

    def to_input(self, pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Map uint8 pixels (n, height, width, 3) to (n, 3, height, width) in the model's dtype."""
        return to_pixel_values(to_device(pixels, self._model.device), self._table)
