"""Requests' modes and the images as vLLM's model takes them; without vLLM."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PIXEL_VALUES, prepare
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS, Resolution
from airflow_deepseek_ocr.vllm_plugin.request import model_inputs, requested_resolution


@pytest.mark.parametrize("mode", RESOLUTIONS)
def test_a_request_names_its_mode(mode: str) -> None:
    assert requested_resolution({"resolution": mode, "truncation": False}) is RESOLUTIONS[mode]


def test_without_a_mode_it_is_gundam() -> None:
    assert requested_resolution({}) is RESOLUTIONS["gundam"]


@pytest.mark.parametrize("mode", ["huge", "", None, 640, ["tiny"], {"tiny": 1}])
def test_a_mode_that_there_is_not_is_refused(mode: object) -> None:
    with pytest.raises(ValueError, match="tiny, small, base, large, gundam"):
        requested_resolution({"resolution": mode})


@pytest.mark.parametrize("name", ["crop_mode", "base_size", "images_kwargs"])
def test_other_options_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'resolution' alone, not {name}"):
        requested_resolution({"resolution": "tiny", name: False})


@pytest.mark.parametrize("mode", RESOLUTIONS.values(), ids=lambda mode: mode.name)
def test_images_are_what_the_model_takes_in_process(mode: Resolution) -> None:
    """One after the other, tiled and not."""
    noise = np.random.default_rng(1).integers(0, 256, (900, 1300, 3), np.uint8)
    images = [Image.fromarray(noise), Image.fromarray(noise[:300, :200])]
    inputs = model_inputs(images, mode)
    views = [prepare(image, mode) for image in images]
    tiles = 6 if mode.tiles else 0
    assert inputs["pixel_values"].shape == (2, 3, mode.size, mode.size)
    assert inputs["images_crop"].shape == (tiles, 3, 640, 640)
    assert inputs["images_spatial_crop"].tolist() == [list(each.grid) for each in views]
    assert inputs["view_size"].tolist() == [mode.size]
    for pixels, each in zip(inputs["pixel_values"], views, strict=True):
        assert np.array_equal(pixels, PIXEL_VALUES[each.view].transpose(2, 0, 1))
    expected = PIXEL_VALUES[views[0].tiles].transpose(0, 3, 1, 2)
    assert np.array_equal(inputs["images_crop"], expected)
