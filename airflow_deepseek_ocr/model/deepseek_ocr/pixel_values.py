"""Pixels of 8 bits to the model's input, on the model's device.

Pixels travel to the device in 8 bits, a quarter of float32. The device does the lookup, so that no CPU core
spends time on each pixel.
"""

from __future__ import annotations

import torch

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PIXEL_VALUES


def pixel_table(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Return :data:`~airflow_deepseek_ocr.model.deepseek_ocr.image_processing.PIXEL_VALUES` on a device.

    :param device: device of the pixels.
    :param dtype: dtype of the model's input.
    """
    return torch.from_numpy(PIXEL_VALUES).to(device, dtype, copy=True)


def to_pixel_values(pixels: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Return the model's input, of shape (n, 3, height, width); its strides are those of the pixels.

    :param pixels: uint8 of shape (n, height, width, 3).
    :param table: from :func:`pixel_table`, on the pixels' device. Computed there, the values could differ in
        the last bit.
    """
    return table[pixels.int()].permute(0, 3, 1, 2)
