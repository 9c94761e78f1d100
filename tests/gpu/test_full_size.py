"""The published size on a GPU: random weights in the published layout, in bfloat16."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import torch
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageRequest
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from airflow_deepseek_ocr.ocr.resolution import Resolution
from benchmarks.full_size import build

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(540)]

#: Parameters of the published models; of the first without the idle patch embedding of its 2,710 tensors.
PUBLISHED_PARAMETERS = {"deepseek_ocr": 3.33e9, "deepseek_ocr_2": 3.389e9}
OUTPUT_LENGTH = 24


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InProcessEngine]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    family: ModelFamily = request.param
    directory = build(tmp_path_factory.mktemp("full-size") / family.name, family=family)
    torch.cuda.reset_peak_memory_stats()
    running = InProcessEngine(directory, batch_size=8, decoding=Decoding(OUTPUT_LENGTH))
    yield running
    running.close()
    shutil.rmtree(directory)


def page(width: int, height: int, text: str) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((50, 50), text, fill="black", font_size=40)
    return image


def test_loads_in_bfloat16_at_its_published_size(engine: InProcessEngine) -> None:
    assert engine.dtype == torch.bfloat16
    parameters = sum(each.numel() for each in engine.model.parameters())
    assert parameters == pytest.approx(PUBLISHED_PARAMETERS[engine.family().name], rel=0.01)
    # In float32 on the way to the GPU it would have taken twice as much.
    assert torch.cuda.max_memory_allocated() < 2 * 4 * parameters


def test_reads_pages_in_every_mode(engine: InProcessEngine) -> None:
    for mode in engine.family().resolutions.values():
        _read_pages(engine, mode)


def _read_pages(engine: InProcessEngine, mode: Resolution) -> None:
    pages = [page(1240, 1754, "A4"), page(600, 500, "small"), page(2000, 1000, "wide")]
    requests = [
        PageRequest(key=number, image=image, prompt="markdown", resolution=mode.name)
        for number, image in enumerate(pages)
    ]
    outputs = {output.key: output for output in engine.read(requests)}
    assert sorted(outputs) == [0, 1, 2]
    for key, output in outputs.items():
        grid = mode.grid(*pages[int(str(key))].size)
        assert output.error is None
        assert output.vision_tokens == mode.vision_tokens(grid)
        assert output.finish_reason in set(FinishReason)
        assert 0 < output.text_tokens <= OUTPUT_LENGTH
