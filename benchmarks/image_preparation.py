"""CPU time of preparing a page's image for the model: python -m benchmarks.image_preparation

Ways, in one process and one thread, each round one after the other:

* ``published``: the published code's preparation, which vLLM's own processor uses too: Pillow, then each view
  and tile divided and normalised in float32.
* ``table``: three channels through Pillow, then a lookup in float32 with NumPy.
* ``plugin``: what the plugin for vLLM and the in-process engine do: one channel of pages without color, and
  pixels of 8 bits.

vLLM converts floating-point inputs to the model's dtype afterwards, which counts for the first two. Pixels of
all ways are compared, in each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PADDING, PIXEL_VALUES
from airflow_deepseek_ocr.model.deepseek_ocr.pixel_values import pixel_table, to_pixel_values
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR, TILE_SIZE
from airflow_deepseek_ocr.ocr.resolution import Resolution
from airflow_deepseek_ocr.vllm_plugin.request import model_inputs
from benchmarks.workload import draw_pages

Tensors = list[torch.Tensor]
#: dtype of the model on a GPU.
DTYPE = torch.bfloat16


def published(image: Image.Image, mode: Resolution) -> Tensors:
    views, tiles = _cut(image, mode)
    pixels = [torch.stack([_normalised(each) for each in views])]
    if tiles:
        pixels.append(torch.stack([_normalised(each) for each in tiles]))
    return [each.to(DTYPE) for each in pixels]


def table(image: Image.Image, mode: Resolution) -> Tensors:
    pixels = [
        np.stack([np.asarray(each) for each in views]) for views in _cut(image, mode) if views
    ]
    values = [np.ascontiguousarray(PIXEL_VALUES[each].transpose(0, 3, 1, 2)) for each in pixels]
    return [torch.from_numpy(each).to(DTYPE) for each in values]


def plugin(image: Image.Image, mode: Resolution) -> Tensors:
    inputs = model_inputs([image], mode, TILE_SIZE)
    pixels = [torch.from_numpy(inputs[name]) for name in ("pixel_values", "images_crop")]
    return [each for each in pixels if len(each)]


def _cut(image: Image.Image, mode: Resolution) -> tuple[list[Image.Image], list[Image.Image]]:
    """Return the view, and the tiles, as the published code does."""
    image = image.convert("RGB")
    side = (mode.size, mode.size)
    view = (
        ImageOps.pad(image, side, color=(PADDING,) * 3) if mode.keep_aspect else image.resize(side)
    )
    columns, rows = mode.grid(*image.size)
    if (columns, rows) == (1, 1):
        return [view], []
    whole = image.resize((columns * TILE_SIZE, rows * TILE_SIZE))
    corners = [(x * TILE_SIZE, y * TILE_SIZE) for y in range(rows) for x in range(columns)]
    return [view], [whole.crop((x, y, x + TILE_SIZE, y + TILE_SIZE)) for x, y in corners]


def _normalised(image: Image.Image) -> torch.Tensor:
    """torchvision's ToTensor and Normalize with mean and deviation 0.5."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    return pixels.float().div(255).sub(0.5).div(0.5)


WAYS: dict[str, Callable[[Image.Image, Resolution], Tensors]] = {
    "published": published,
    "table": table,
    "plugin": plugin,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--modes", nargs="+", default=["gundam", "base"], choices=DEEPSEEK_OCR.modes
    )
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind, page in (
        ("without color", draw_pages(1)[0]),
        ("scan", draw_pages(1, scanned=True)[0]),
    ):
        for name in options.modes:
            mode = DEEPSEEK_OCR.resolutions[name]
            require_equal(page, mode)
            print(json.dumps({"page": kind, "mode": name} | measure(page, mode, options.rounds)))


def require_equal(page: Image.Image, mode: Resolution) -> None:
    """Exit unless the model sees the same pixels by all ways."""
    values = pixel_table(torch.device("cpu"), DTYPE)
    expected = published(page, mode)
    seen: Sequence[Tensors] = (
        table(page, mode),
        [to_pixel_values(each, values) for each in plugin(page, mode)],
    )
    for tensors in seen:
        if not all(map(torch.equal, tensors, expected)):
            raise SystemExit("The ways differ in their pixels.")


def measure(page: Image.Image, mode: Resolution, rounds: int) -> dict[str, object]:
    """Return the median CPU ms of each way, and the megabytes that it hands on."""
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    sizes = {}
    for _ in range(rounds):
        for name, way in WAYS.items():
            started = time.process_time()
            tensors = way(page, mode)
            spent[name].append(1000 * (time.process_time() - started))
            sizes[name] = sum(each.nbytes for each in tensors)
    medians = {name: statistics.median(each) for name, each in spent.items()}
    return {
        "cpu_ms": {name: round(each, 1) for name, each in medians.items()},
        "mb": {name: round(each / 1e6, 1) for name, each in sizes.items()},
        "times_published": round(medians["published"] / medians["plugin"], 2),
        "times_table": round(medians["table"] / medians["plugin"], 2),
    }


if __name__ == "__main__":
    main()
