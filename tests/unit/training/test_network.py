"""The network that is trained computes what the exported checkpoint computes in the engine."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from airflow_deepseek_ocr.model.checkpoint_family import SMALLEST_PRINT
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import (
    SpecialTokens,
    load_checkpoint,
    load_tokenizer,
)
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import PIXEL_VALUES, prepare
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.conftest import ROOT, TINY_MODEL
from training.batches import Batch, SeenPage, assemble
from training.charset import CHARSET
from training.curriculum import PageSpec
from training.network import Network, export
from training.page import Page
from training.sequences import IGNORED, Encoder
from training.tokenizer import build_tokenizer
from training.views import global_view, tiles

MODES = {
    "small": [(500, 700)],
    "base": [(724, 1024), (1024, 700)],
    "gundam": [(1200, 1800), (1900, 1250)],  # 2 x 3 and 3 x 2 tiles
}


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)  # tables that start at zero would hide mistakes
            parameter.copy_(parameter.half())
    return network


@pytest.fixture(scope="module")
def checkpoint(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint")
    (directory / "model-00009-of-00009.safetensors").write_bytes(b"of an earlier export")
    export(dict(network.named_parameters()), directory)
    return directory


def noise(width: int, height: int) -> Image.Image:
    chance = np.random.default_rng(width)
    coarse = chance.integers(0, 256, (height // 20, width // 20), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)


def look(size: tuple[int, int], mode: str) -> SeenPage:
    page, resolution = Page(noise(*size), "card"), DEEPSEEK_OCR.resolution(mode)
    grid = resolution.grid(*size)
    return SeenPage(page, grid, global_view(page, resolution), tiles(page, grid))


@pytest.mark.parametrize("mode", MODES)
def test_views_are_those_of_the_engine(mode: str) -> None:
    for size in MODES[mode]:
        seen, views = look(size, mode), prepare(noise(*size), DEEPSEEK_OCR.resolution(mode))
        assert np.array_equal(seen.view.pixels, views.view[..., 0])
        assert len(seen.tiles) == len(views.tiles)
        for ours, theirs in zip(seen.tiles, views.tiles, strict=True):
            assert np.array_equal(ours.pixels, theirs[..., 0])
        x1, y1, x2, y2 = seen.view.inside
        padding = np.ones(seen.view.pixels.shape, bool)
        padding[y1:y2, x1:x2] = False
        assert (seen.view.pixels[padding] == 127).all()
        assert padding.any() == DEEPSEEK_OCR.resolution(mode).keep_aspect


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_logits_are_those_of_the_exported_checkpoint(
    network: Network, checkpoint: Path, mode: str
) -> None:
    encoder = Encoder(build_tokenizer())
    seen = [look(size, mode) for size in MODES[mode]]
    asked = [
        (number, encoder.question("free", f"page {number} says €{number}"))
        for number in range(len(seen))
    ]
    batch = assemble(encoder, seen, asked, mode, PageSpec(0, (1, 1), (40, 48, 64, 80, 96)))
    ours = _logits(network, batch)
    model, tokenizer = load_checkpoint(checkpoint, "cpu", torch.float32)
    image = tokenizer.convert_tokens_to_ids("<image>")
    compared = 0
    for group in batch.sequences:
        for ids, labels in zip(group.ids, group.labels, strict=True):
            answer = labels[labels != IGNORED]
            if not len(answer):
                continue
            number = next(
                number for number, question in asked if question.answer == answer.tolist()
            )
            views = prepare(noise(*MODES[mode][number]), DEEPSEEK_OCR.resolution(mode))
            assert int((ids == image).sum()) == views.vision_tokens
            ids = ids[: int((labels != IGNORED).nonzero().max()) + 1]
            theirs = model(
                input_ids=ids[None],
                attention_mask=torch.ones_like(ids)[None],
                pixel_values=_to_input(views.view[None]),
                pixel_values_local=_to_input(views.tiles) if len(views.tiles) else None,
                num_local_patches=[len(views.tiles)],
                patches_grid=[list(views.grid)],
                use_cache=False,
            ).logits[0, -len(answer) :]
            difference = (ours.pop(0) - theirs).abs().max()
            assert difference < 1e-3 * theirs.abs().max()
            compared += 1
    assert compared == len(seen)


def test_tables_of_relative_positions_hold_zeros(checkpoint: Path) -> None:
    for directory in (checkpoint, TINY_MODEL):
        tables = [
            weight
            for file in directory.glob("*.safetensors")
            for name, weight in load_file(file).items()
            if "rel_pos" in name
        ]
        assert len(tables) == 2 * 4  # rows and columns of SAM's four layers
        assert not any(table.any() for table in tables)


def _logits(network: Network, batch: Batch) -> list[torch.Tensor]:
    """Of each answer the logits at its labels."""
    vision = torch.cat(
        [
            network.see(((views.pixels[:, None] / 255 - 0.5) / 0.5).expand(-1, 3, -1, -1))[
                0
            ].flatten(0, 1)
            for views in batch.views
        ]
    )
    logits = []
    for group in batch.sequences:
        states = network.decode(network.embed(group.ids, vision, group.vision_rows))
        for row, labels in zip(network.model.lm_head(states), group.labels, strict=True):
            if (labels != IGNORED).any():
                logits.append(row[labels != IGNORED])
    return logits


def _to_input(pixels: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
    return torch.from_numpy(PIXEL_VALUES[pixels].transpose(0, 3, 1, 2).copy())


def test_the_auxiliary_head_has_a_class_for_each_cell(network: Network) -> None:
    with torch.no_grad():
        tokens, logits = network.see(torch.zeros(1, 3, 640, 640))
    assert tokens.shape == (1, 100, 256)
    assert logits.shape[:3] == (1, 40, 80)


def test_the_configuration_has_published_fields_and_the_smallest_print(checkpoint: Path) -> None:
    golden = json.loads((ROOT / "tests" / "corpus" / "golden" / "config.json").read_text())
    for directory in (checkpoint, TINY_MODEL):
        config = json.loads((directory / "config.json").read_text())
        assert config.pop(SMALLEST_PRINT) == 14
        assert config.keys() <= golden.keys()
        assert config["language_config"].keys() <= golden["language_config"].keys()
        assert config["vision_config"].keys() <= golden["vision_config"].keys()
        widths = config["vision_config"]["width"]
        assert widths["sam_vit_b"].keys() == {
            "downsample_channels",
            "global_attn_indexes",
            "heads",
            "layers",
            "width",
        }
        assert widths["clip-l-14-224"].keys() == {
            "heads",
            "image_size",
            "layers",
            "patch_size",
            "width",
        }


def test_files_are_small_and_nothing_old_stays(checkpoint: Path) -> None:
    assert not (checkpoint / "model-00009-of-00009.safetensors").exists()
    assert not (checkpoint / "generation_config.json").exists()
    for directory in (checkpoint, TINY_MODEL):
        sizes = [path.stat().st_size for path in directory.glob("*.safetensors")]
        assert 20e6 < sum(sizes) <= 24e6
        assert max(sizes) < 16e6


def test_experts_together_are_experts_one_by_one(network: Network) -> None:
    experts = network.model.model.language_model.layers[1].mlp.experts
    states = torch.randn(7, 256)
    weights, chosen = torch.rand(7, 8).topk(2)
    with torch.no_grad():
        together = experts(states, chosen, weights)
        experts.config._experts_implementation = "eager"
        try:
            one_by_one = experts(states, chosen, weights)
        finally:
            experts.config._experts_implementation = "dense"
    assert (together - one_by_one).abs().max() < 1e-4 * one_by_one.abs().max()


def test_weights_start_where_learning_is_possible() -> None:
    torch.manual_seed(0)
    stuck = [
        name
        for name, parameter in Network().named_parameters()
        if parameter.ndim >= 2 and "pos_embed" not in name and parameter.std() < 0.01
    ]
    assert stuck == []


def test_tokenizer_round_trip() -> None:
    tokenizer = build_tokenizer()
    text = (
        "<|ref|>text<|/ref|><|det|>[[1, 20, 300, 999]]<|/det|>\n<table><tr><td>a</td></tr></table> "
        + "".join(random.Random(0).sample(CHARSET, len(CHARSET)))
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    for character in CHARSET:
        assert len(tokenizer.encode(character, add_special_tokens=False)) == 1
    committed = load_tokenizer(TINY_MODEL)
    assert committed.encode(text, add_special_tokens=False) == ids
    special = SpecialTokens.of(committed)
    assert (special.bos, special.eos, special.pad, special.image) == (0, 1, 2, 3)
