"""Requests' modes and the images as vLLM's model takes them; without vLLM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import prepare
from airflow_deepseek_ocr.model.deepseek_ocr.pixel_values import pixel_table, to_pixel_values
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES
from airflow_deepseek_ocr.ocr.resolution import Resolution
from airflow_deepseek_ocr.vllm_plugin.request import model_inputs, requested_resolution
from tests.conftest import GOLDEN
from tests.corpus.test_golden import TILE_STRIDES, VIEW_STRIDES
from tests.support.golden import golden_image

MODES = [
    pytest.param(family, mode, id=f"{family.name}-{mode.name}")
    for family in FAMILIES.values()
    for mode in family.resolutions.values()
]
CASES = [
    pytest.param(family, case, id=f"{family.name}-{case.stem}")
    for family, vectors in zip(FAMILIES.values(), GOLDEN, strict=True)
    for case in sorted((vectors / "cases").glob("*.json"))
]


@pytest.mark.parametrize(("family", "mode"), MODES)
def test_a_request_names_its_mode(family: ModelFamily, mode: Resolution) -> None:
    assert requested_resolution({"resolution": mode.name, "truncation": False}, family) is mode


def test_without_a_mode_it_is_gundam() -> None:
    assert requested_resolution({}, DEEPSEEK_OCR) is DEEPSEEK_OCR.resolutions["gundam"]


@pytest.mark.parametrize("mode", ["huge", "", None, 640, ["tiny"], {"tiny": 1}])
def test_a_mode_that_there_is_not_is_refused(mode: object) -> None:
    with pytest.raises(ValueError, match="tiny, small, base, large, gundam"):
        requested_resolution({"resolution": mode}, DEEPSEEK_OCR)


def test_a_mode_of_the_other_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"DeepSeek-OCR-2 has no .*'tiny'.*small, base, gundam"):
        requested_resolution({"resolution": "tiny"}, DEEPSEEK_OCR_2)


@pytest.mark.parametrize("name", ["crop_mode", "base_size", "images_kwargs"])
def test_other_options_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'resolution' alone, not {name}"):
        requested_resolution({"resolution": "tiny", name: False}, DEEPSEEK_OCR)


@pytest.mark.parametrize(("family", "mode"), MODES)
def test_images_are_what_the_model_takes_in_process(family: ModelFamily, mode: Resolution) -> None:
    """One after the other, tiled and not."""
    noise = np.random.default_rng(1).integers(0, 256, (900, 1300, 3), np.uint8)
    images = [Image.fromarray(noise), Image.fromarray(noise[:300, :200])]
    side = family.tile_size
    inputs = model_inputs(images, mode, side)
    views = [prepare(image, mode) for image in images]
    tiles = 6 if mode.tiles else 0
    assert inputs["pixel_values"].shape == (2, mode.size, mode.size, 3)
    assert inputs["images_crop"].shape == (tiles, side, side, 3)
    assert inputs["images_spatial_crop"].tolist() == [list(each.grid) for each in views]
    assert inputs["view_size"].tolist() == [mode.size]
    for pixels, each in zip(inputs["pixel_values"], views, strict=True):
        assert np.array_equal(pixels, each.view)
    assert inputs["images_crop"].tobytes() == views[0].tiles.tobytes()


@pytest.mark.parametrize(("family", "case"), CASES)
def test_the_model_sees_the_pixels_of_the_published_code(family: ModelFamily, case: Path) -> None:
    """Of every recorded case, as the plugin's model maps them, in float32 and in vLLM's usual dtype."""
    recorded, arrays = json.loads(case.read_text()), np.load(case.with_suffix(".npz"))
    mode = family.resolution(recorded["resolution"])
    with Image.open(golden_image(case.parents[1], recorded["image"])) as image:
        inputs = model_inputs([image], mode, family.tile_size)
    assert inputs["images_spatial_crop"].tolist() == [recorded["grid"]]
    for name, expected, (rows, columns) in (
        ("pixel_values", arrays["pixels_global"][None], VIEW_STRIDES),
        ("images_crop", arrays.get("pixels_tiles"), TILE_STRIDES),
    ):
        # vLLM changes the dtype of floating-point numbers on the way to the model.
        assert inputs[name].dtype == np.uint8
        if expected is None:
            assert len(inputs[name]) == recorded["tiles"] == 0
            continue
        pixels = torch.from_numpy(inputs[name])
        for dtype in (torch.float32, torch.bfloat16):
            values = to_pixel_values(pixels, pixel_table(torch.device("cpu"), dtype))
            seen = values[:, :, ::rows, ::columns]
            assert torch.equal(seen, torch.from_numpy(expected).to(dtype))


def test_inputs_take_a_quarter_of_the_bytes_of_float32() -> None:
    inputs = model_inputs([Image.new("RGB", (1240, 1754))], DEEPSEEK_OCR.resolutions["gundam"], 640)
    pixels = 3 * (1024 * 1024 + 6 * 640 * 640)
    assert inputs["pixel_values"].nbytes + inputs["images_crop"].nbytes == pixels
