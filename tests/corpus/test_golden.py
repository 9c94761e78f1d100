"""Fidelity to the original code: pixels, features, logits and greedy tokens recorded from it.

The vectors were made with the published modeling code of each family (transformers 4.46.3, float32) on a
checkpoint of toy width whose weights a script generates. ``--golden DIR`` checks another directory of that
form. Newer versions of transformers run the second family's published code with another attention mask.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.decode_slots import DecodeSlots
from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock
from airflow_deepseek_ocr.engines.in_process.page_embedding import (
    PreparedPage,
    PromptEmbedder,
    takes_grids,
)
from airflow_deepseek_ocr.engines.in_process.scheduler import Scheduler
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import SpecialTokens, load_model
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import (
    PIXEL_VALUES,
    ImageViews,
    prepare,
)
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import family_of_config
from tests.conftest import GOLDEN
from tests.support.golden import golden_image, make_checkpoint

#: Ten times a quiet run.
pytestmark = pytest.mark.timeout(1800)

IMAGE_TOKEN = 128815
TABLE_CELLS = (128821, 128822)
TOLERANCE = 1e-4

#: Strides with which the vectors were thinned out when they were recorded: (rows, columns) of views
#: and tiles, positions of features, vocabulary of the first step's logits, (steps, vocabulary).
VIEW_STRIDES, TILE_STRIDES = (31, 29), (61, 59)
FEATURE_STRIDE, FIRST_LOGITS_STRIDE, STEP_LOGITS_STRIDES = 17, 101, (8, 1009)


#: Cases of the second family in the fast suite; the others take minutes and show the same paths.
FAST_CASES = {"gundam_wide", "small_odd"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" not in metafunc.fixturenames:
        return
    directories: list[Path] = metafunc.config.getoption("--golden") or GOLDEN
    if "case_name" not in metafunc.fixturenames:
        each_directory = [
            pytest.param(
                directory,
                id=directory.name,
                marks=[pytest.mark.slow] if directory == GOLDEN[1] else [],
            )
            for directory in directories
        ]
        metafunc.parametrize("golden", each_directory, indirect=True, scope="module")
        return
    cases = [
        pytest.param(
            directory,
            path.stem,
            id=f"{directory.name}-{path.stem}",
            marks=[pytest.mark.slow] if _is_slow(directory, path.stem) else [],
        )
        for directory in directories
        for path in sorted((directory / "cases").glob("*.json"))
    ]
    assert cases, f"no cases in {directories}"
    metafunc.parametrize(("golden", "case_name"), cases, indirect=["golden"], scope="module")


def _is_slow(directory: Path, case: str) -> bool:
    return directory == GOLDEN[1] and case not in FAST_CASES


@pytest.fixture(scope="module")
def golden(request: pytest.FixtureRequest) -> Path:
    directory: Path = request.param
    return directory


@pytest.fixture(scope="module")
def family(golden: Path) -> ModelFamily:
    return family_of_config(json.loads((golden / "config.json").read_text()))


@pytest.fixture(scope="module")
def model(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    directory = make_checkpoint(golden, tmp_path_factory.mktemp("golden-model"))
    return load_model(directory, IMAGE_TOKEN, "cpu", torch.float32)


class Case:
    """One recorded case, and the inputs made by the code under test."""

    def __init__(self, directory: Path, name: str, family: ModelFamily) -> None:
        self.recorded = json.loads((directory / "cases" / f"{name}.json").read_text())
        self.arrays = dict(np.load(directory / "cases" / f"{name}.npz"))
        with Image.open(golden_image(directory, self.recorded["image"])) as image:
            self.views: ImageViews = prepare(image, family.resolution(self.recorded["resolution"]))
        self.prompt = (
            self.recorded["prompt_ids_before_image"]
            + [IMAGE_TOKEN] * self.views.vision_tokens
            + self.recorded["prompt_ids_after_image"]
        )


@pytest.fixture(scope="module")
def cases(golden: Path, family: ModelFamily) -> dict[str, Case]:
    names = sorted(path.stem for path in (golden / "cases").glob("*.json"))
    return {name: Case(golden, name, family) for name in names}


@pytest.fixture
def case(cases: dict[str, Case], case_name: str) -> Case:
    return cases[case_name]


def test_pixels_are_identical(case: Case) -> None:
    view = PIXEL_VALUES[case.views.view].transpose(2, 0, 1)
    rows, columns = VIEW_STRIDES
    assert np.array_equal(view[:, ::rows, ::columns], case.arrays["pixels_global"])
    assert tuple(case.recorded["grid"]) == case.views.grid
    assert case.recorded["tiles"] == len(case.views.tiles)
    assert case.recorded["vision_tokens"] == case.views.vision_tokens
    tiles = PIXEL_VALUES[case.views.tiles].transpose(0, 3, 1, 2)
    if len(tiles):
        rows, columns = TILE_STRIDES
        assert np.array_equal(tiles[:, :, ::rows, ::columns], case.arrays["pixels_tiles"])


def test_features_are_close(case: Case, model: PreTrainedModel) -> None:
    with torch.inference_mode():
        features = model.get_image_features(**_vision_inputs(case, model)).pooler_output[0].numpy()
    assert np.abs(features[::FEATURE_STRIDE] - case.arrays["features"]).max() < TOLERANCE


def test_logits_are_close_and_greedy_tokens_equal(case: Case, model: PreTrainedModel) -> None:
    tokens, logits = _greedy(case, model)
    assert tokens == case.recorded["tokens"]
    first = logits[0, ::FIRST_LOGITS_STRIDE]
    assert np.abs(first - case.arrays["logits_last"]).max() < TOLERANCE
    every, stride = STEP_LOGITS_STRIDES
    assert np.abs(logits[::every, ::stride] - case.arrays["logits_steps"]).max() < TOLERANCE


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed else []) for seed in range(5)]
)
def test_pages_that_enter_and_leave_a_running_batch_give_the_recorded_tokens(
    cases: dict[str, Case],
    model: PreTrainedModel,
    constrained: bool,
    seed: int,
) -> None:
    """Mixed modes in random order through three slots, each page of another length.

    The last seeds take the path of a GPU: layers traced for the compiler, attention by blocks, polls that
    are answered a round later. With the odd ones the cache is too small for the pages, so that some restart.

    """
    chance = random.Random(seed)
    recorded = {
        name: case.recorded["tokens_no_repeat_3gram" if constrained else "tokens"]
        for name, case in cases.items()
    }
    lengths = {name: chance.randrange(20, len(recorded[name]) + 1) for name in cases}
    # The recorded constraint covers all 64 tokens.
    decoding = Decoding(64, ngram_size=3 if constrained else 0, ngram_window=64)
    tokens = SpecialTokens(bos=0, eos=1, pad=2, image=IMAGE_TOKEN, table_cells=TABLE_CELLS)
    compiler = LayerCompiler("eager") if seed >= 3 else None
    slots = DecodeSlots(
        model=model,
        tokens=tokens,
        count=3,
        length=1400,
        blocks=11 if seed % 2 else None,
        decoding=decoding,
        compiler=compiler,
    )
    batch = Scheduler(
        slots,
        vision_pages=2,
        embed=PromptEmbedder(model, tokens),
        decode=lambda ids: " ".join(map(str, ids)),
        pieces=lambda ids: tuple(str(each).encode() for each in ids),
        max_tokens=64,
        steps_per_poll=chance.choice([1, 4]),
        pending_snapshots=seed % 2,
        clock=PhaseClock(torch.device("cpu")),
        on_preempted=lambda: None,
    )
    order = chance.sample(sorted(cases), len(cases))
    pages = [
        PreparedPage(
            PageRequest(
                key=name,
                # Its pixels are prepared already.
                image=Image.new("RGB", (1, 1)),
                prompt="free",
                resolution=cases[name].recorded["resolution"],
                max_output_length=lengths[name],
            ),
            cases[name].views,
            cases[name].prompt,
        )
        for name in order
    ]
    with Prefetcher(pages, lambda page: page, bound=2) as ahead:
        outputs = {str(output.key): output for output in batch.read(ahead)}
    assert slots.is_compiled == (compiler is not None)
    assert outputs.keys() == cases.keys()
    for name, output in outputs.items():
        assert output.error is None
        assert output.text == " ".join(map(str, recorded[name][: lengths[name]])), name
        assert output.token_probabilities is not None
        expected = _plain_log_probabilities(cases[name], model, recorded[name][: lengths[name]])
        assert output.token_probabilities.log_probabilities == pytest.approx(
            expected, abs=TOLERANCE
        )


def _vision_inputs(case: Case, model: PreTrainedModel) -> dict[str, Any]:
    tiles = PIXEL_VALUES[case.views.tiles].transpose(0, 3, 1, 2)
    inputs = {
        "pixel_values": torch.from_numpy(
            PIXEL_VALUES[case.views.view].transpose(2, 0, 1)[None].copy()
        ),
        "pixel_values_local": torch.from_numpy(tiles.copy()) if len(tiles) else None,
        "num_local_patches": [len(tiles)],
    }
    return inputs | ({"patches_grid": [list(case.views.grid)]} if takes_grids(model) else {})


@torch.inference_mode()
def _plain_log_probabilities(case: Case, model: PreTrainedModel, tokens: list[int]) -> list[float]:
    """Of one forward pass over prompt and text."""
    text = torch.tensor(tokens)
    inputs = torch.cat([torch.tensor(case.prompt), text])[None]
    logits = model(input_ids=inputs, use_cache=False, **_vision_inputs(case, model)).logits[0]
    found = torch.log_softmax(logits[len(case.prompt) - 1 : -1], -1)
    return found.gather(1, text[:, None])[:, 0].tolist()


def _greedy(
    case: Case, model: PreTrainedModel
) -> tuple[list[int], np.ndarray[Any, np.dtype[np.float32]]]:
    prompt = torch.tensor([case.prompt])
    out = model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        **_vision_inputs(case, model),
        max_new_tokens=len(case.recorded["tokens"]),
        do_sample=False,
        eos_token_id=1,
        pad_token_id=2,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return out.sequences[0, prompt.shape[1] :].tolist(), torch.stack(out.logits)[:, 0].numpy()
