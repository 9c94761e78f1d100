"""The number of rendering processes: the connection's, or what the host can spare."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.connection.render_processes import render_processes
from airflow_deepseek_ocr.connection.settings import Settings


@pytest.mark.parametrize(
    ("settings", "gpu", "cores", "expected"),
    [
        (Settings(host="http://gpu:8000"), False, 16, 8),
        (Settings(host="http://gpu:8000"), False, 4, 3),
        (Settings(host="http://gpu:8000"), False, 1, 1),
        (Settings(), True, 16, 8),
        (Settings(), True, 8, 5),
        (Settings(), True, 2, 1),
        (Settings(), False, 16, 1),
        (Settings(device="cpu"), True, 16, 1),
        (Settings(device="cpu", render_processes=5), True, 2, 5),
        (Settings(host="http://gpu:8000", render_processes=12), False, 4, 12),
    ],
)
def test_cores_that_are_not_needed_otherwise_render(
    settings: Settings, gpu: bool, cores: int, expected: int
) -> None:
    assert render_processes(settings, cores=cores, gpu_present=lambda: gpu) == expected


def test_the_field_of_the_connection() -> None:
    assert Settings.of({"render_processes": "3"}).render_processes == 3
    assert Settings.of({}).render_processes is None
