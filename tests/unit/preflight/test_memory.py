"""Whether the model fits the free memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.model.weights.files import check_model_directory
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.memory import check_host_memory, check_memory
from tests.conftest import TINY_MODEL
from tests.unit.preflight.conftest import settings

WEIGHTS = check_model_directory(TINY_MODEL)


@pytest.mark.parametrize(
    ("free", "float32", "level"),
    [
        (WEIGHTS, False, Level.OK),
        (WEIGHTS - 1, False, Level.FAILURE),
        (2 * WEIGHTS, True, Level.OK),
        (2 * WEIGHTS - 1, True, Level.FAILURE),
    ],
)
def test_float32_needs_twice_the_stored_weights(free: int, float32: bool, level: Level) -> None:
    check = check_memory(settings(), free, "GPU memory", float32=float32)
    assert check.level is level
    assert "GPU memory" in check.message


@pytest.mark.parametrize(
    ("free", "level"), [(9_500_000_000, Level.OK), (9_400_000_000, Level.FAILURE)]
)
def test_large_weights_need_room_for_a_page(tmp_path: Path, free: int, level: Level) -> None:
    """7 GB of weights and 2.5 GB for a page."""
    for path in TINY_MODEL.iterdir():
        if path.suffix == ".json" and "index" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    header = b'{"w":{"dtype":"BF16","shape":[3500000000],"data_offsets":[0,7000000000]}}'
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 7_000_000_000)
    free += 8 + len(header)
    assert check_memory(settings(model=str(tmp_path)), free, "memory", float32=False).level is level


def test_unknown_weights_are_not_compared() -> None:
    missing = Settings.of({"model": "/nowhere/model"})
    check = check_memory(missing, 1_500_000_000, "memory", float32=False)
    assert check.level is Level.OK
    assert check.message == "1.5 GB of memory are free."


def test_this_host_has_room_for_the_small_checkpoint() -> None:
    assert check_host_memory(settings()).level is Level.OK
