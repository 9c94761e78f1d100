"""A small directory of assets, for tests that draw batches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fonts and texts in the form of ``training.assets.gather``, from one family and few words."""
    directory = tmp_path_factory.mktemp("assets")
    for split, face in (("train", "DejaVuSans"), ("heldout", "DejaVuSansMono")):
        fonts = directory / "fonts" / split
        fonts.mkdir(parents=True)
        shutil.copy(DEJAVU / f"{face}.ttf", fonts / f"{face}-Regular.ttf")
        shutil.copy(DEJAVU / f"{face}-Bold.ttf", fonts / f"{face}-Bold.ttf")
    texts = {
        "words": ["harbor", "garden", "paper", "Lantern", "window"],
        "accented": ["Straße", "café", "niño", "smörgås"],
        "sentences": ["The lamp was lit before they came.", "Please write to us by May."],
        "heldout_sentences": ["The boat left the harbor at noon."],
    }
    (directory / "texts.json").write_text(json.dumps(texts))
    return directory


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Where others keep the cores busy, threads that wait for each other take four times as long."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)
