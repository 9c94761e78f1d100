"""Transfers on a CPU, where they are plain tensors."""

from __future__ import annotations

import numpy as np
import torch

from airflow_deepseek_ocr.engines.in_process.device_transfer import SideStream, to_device

CPU = torch.device("cpu")


def test_lists_and_arrays_become_tensors() -> None:
    assert to_device([(1, 2), (3, 4)], CPU).tolist() == [[1, 2], [3, 4]]
    pixels = np.array([[0, 255]], np.uint8)
    assert to_device(pixels, CPU).dtype == torch.uint8


def test_on_a_cpu_there_is_nothing_to_wait_for() -> None:
    stream = SideStream(CPU)
    event = stream.record()
    assert event is None
    with stream.after(event):
        assert torch.ones(2).tolist() == [1, 1]
