"""The plugin for vLLM as far as it needs no vLLM; ``make test-vllm`` has the rest."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PIXEL_VALUES, prepare
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS, Resolution
from airflow_deepseek_ocr.vllm_plugin.request import model_inputs, requested_resolution
from tests.conftest import ROOT

DISTRIBUTION = ROOT / "packages" / "airflow-deepseek-ocr-vllm"
NAME = "airflow_deepseek_ocr"


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


def test_the_distribution_has_what_the_plugin_imports_and_no_more(tmp_path: Path) -> None:
    shared = tomllib.loads((DISTRIBUTION / "pyproject.toml").read_text())
    included = shared["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    plugin = f"{NAME}/vllm_plugin"
    assert {target for target in included.values() if target != plugin} == _imported()
    for source, target in included.items():
        assert (DISTRIBUTION / source).resolve() == ROOT / target
        files = (ROOT / target).glob("*.py") if target == plugin else [ROOT / target]
        for file in files:
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"import {NAME}.vllm_plugin, {NAME}.vllm_plugin.request as request\n"
        f"assert request.__file__.startswith({str(tmp_path)!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"airflow", "torch", "httpx", "sqlalchemy"} & set(done.stdout.split())


def test_both_distributions_name_the_same_entry_point() -> None:
    here, there = (
        tomllib.loads((directory / "pyproject.toml").read_text())["project"]["entry-points"]
        for directory in (ROOT, DISTRIBUTION)
    )
    assert here["vllm.general_plugins"] == there["vllm.general_plugins"]
    assert there["vllm.general_plugins"]


def _imported() -> set[str]:
    """Files of this package, besides the plugin's, that it imports, as paths from the root."""
    waiting = list((ROOT / NAME / "vllm_plugin").glob("*.py"))
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(NAME):
                path = ROOT / (node.module or "").replace(".", "/")
                waiting.append(path.with_suffix(".py"))
                packages = [each for each in path.parents if each.is_relative_to(ROOT / NAME)]
                waiting += [each / "__init__.py" for each in packages]
    names = {str(file.relative_to(ROOT)) for file in found}
    return {name for name in names if "vllm_plugin" not in name}
