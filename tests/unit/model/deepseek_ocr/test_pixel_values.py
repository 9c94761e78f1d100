"""Pixels of 8 bits as the model's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PIXEL_VALUES
from airflow_deepseek_ocr.model.deepseek_ocr.pixel_values import pixel_table, to_pixel_values

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_value_is_that_of_the_published_preparation(dtype: torch.dtype) -> None:
    """Divided, shifted and divided as torchvision's ToTensor and Normalize do."""
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    values = to_pixel_values(pixels, pixel_table(CPU, dtype))
    expected = pixels.permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.5).to(dtype)
    assert values.dtype == dtype
    assert torch.equal(values, expected)


def test_axes_are_those_of_the_model() -> None:
    pixels = torch.zeros((2, 4, 5, 3), dtype=torch.uint8)
    pixels[1, 2, 3, 0] = 255
    values = to_pixel_values(pixels, pixel_table(CPU, torch.float32))
    assert values.shape == (2, 3, 4, 5)
    assert values[1, 0, 2, 3] == 1
    assert (values == 1).sum() == 1


def test_no_tiles_are_no_values() -> None:
    empty = torch.zeros((0, 640, 640, 3), dtype=torch.uint8)
    assert to_pixel_values(empty, pixel_table(CPU, torch.float32)).shape == (0, 3, 640, 640)


def test_a_table_is_no_view_of_the_constant() -> None:
    pixel_table(CPU, torch.float32).zero_()
    assert np.abs(PIXEL_VALUES).max() == 1
