"""Batches: of fixed shape, in a fixed order, the same for the same seed."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from training.batches import Batch, BatchMaker, _paper_size, carve, pages_of
from training.curriculum import FULL_PAGES, HELD_OUT, MIXED_PAGES, STAGES, learning_rate, stage_at
from training.network import AMBIGUOUS, CHARACTERS
from training.sequences import IGNORED, Encoder, Question, group, misspelt, vision_rows
from training.tokenizer import EOS, SPECIAL_TOKENS, build_tokenizer
from training.train import _MEASURED_SHARES
from training.views import View, stack

SHARE = 0.04


def assert_equal(one: Batch, other: Batch) -> None:
    assert one.mode == other.mode
    for ours, theirs in zip(one.tensors(), other.tensors(), strict=True):
        assert torch.equal(ours, theirs)


def test_same_seed_same_batch(assets: Path) -> None:
    batches = []
    for _ in range(2):
        maker = BatchMaker(assets, share=SHARE)
        seen = maker.see(5, "small", STAGES[-1])
        batches.append(maker.ask(6, seen, "small", STAGES[-1]))
    assert_equal(*batches)
    other = maker.ask(6, maker.see(7, "small", STAGES[-1]), "small", STAGES[-1])
    assert not torch.equal(other.views[0].pixels, batches[0].views[0].pixels)


def test_all_batches_of_a_mode_have_one_shape(assets: Path) -> None:
    maker = BatchMaker(assets, share=0.15)
    for mode in ("small", "gundam"):
        shapes = set()
        for seed in range(3):
            batch = maker.ask(seed, maker.see(seed, mode, STAGES[-1]), mode, STAGES[-1])
            shapes.add(tuple(tuple(tensor.shape) for tensor in batch.tensors()))
        assert len(shapes) == 1


def test_without_prompts_the_vision_tower_learns_alone(assets: Path) -> None:
    maker = BatchMaker(assets, share=SHARE)
    batch = maker.ask(1, maker.see(1, "small", STAGES[0]), "small", STAGES[0])
    assert batch.sequences == []
    printed = batch.views[0].cells
    assert ((printed > 0) & (printed != AMBIGUOUS)).sum() > 20


def test_characters_stand_in_their_cells(assets: Path) -> None:
    maker = BatchMaker(assets, share=SHARE)
    names = {number: character for character, number in CHARACTERS.items()}
    for seen in maker.see(3, "base", STAGES[-1]):
        x1, y1, x2, y2 = seen.view.inside
        expected = {
            (
                int((glyph.y * (y2 - y1) / seen.page.image.height + y1) // 16),
                int((glyph.x * (x2 - x1) / seen.page.image.width + x1) // 8),
            ): glyph.character
            for glyph in seen.page.glyphs
        }
        cells = seen.view.cells
        found = {
            (int(row), int(column)): names[int(cells[row, column])]
            for row, column in zip(*np.nonzero((cells > 0) & (cells != AMBIGUOUS)), strict=True)
        }
        assert found.items() <= expected.items()
        assert len(found) > 0.5 * len(expected)


@pytest.mark.parametrize("mode", ["tiny", "gundam"])
def test_a_batch_is_carved_from_a_buffer_as_it_is_assembled(assets: Path, mode: str) -> None:
    stage, pages = STAGES[-1], pages_of(mode, SHARE)
    maker = BatchMaker(assets, share=SHARE)
    batch = maker.ask(1, maker.see(1, mode, stage), mode, stage)
    buffer = torch.zeros(2**25, dtype=torch.uint8)
    carved, used = carve(buffer, mode, stage.pages[mode], pages)
    assert carved.pages == batch.pages == pages
    for own, drawn in zip(carved.tensors(), batch.tensors(), strict=True):
        assert (own.shape, own.dtype) == (drawn.shape, drawn.dtype)
        own.copy_(drawn)
    again, _ = carve(buffer.clone(), mode, stage.pages[mode], pages)
    assert_equal(again, batch)
    assert not buffer[used:].any()
    assert used < sum(each.nbytes for each in batch.tensors()) + 64 * len(batch.tensors())


def test_held_out_batches_need_no_compiling_of_their_own() -> None:
    """A dimension of one would be compiled anew."""
    buffer = torch.empty(2**30, dtype=torch.uint8, device="meta")
    for mode, share in _MEASURED_SHARES.items():
        batch, _ = carve(buffer, mode, STAGES[-1].pages[mode], pages_of(mode, share))
        assert all(len(group.ids) > 1 for group in batch.sequences), mode


def test_sequences_are_shared_out_by_length() -> None:
    asked = [(np.zeros(0, np.int64), Question([0], [1] * length)) for length in (9, 2, 5, 3, 30)]
    groups = group(asked, counts=(1, 2, 1), lengths=(4, 6, 12))
    assert [[len(question.answer) for _, question in each] for each in groups] == [[2], [3, 5], [9]]


def test_labels_are_the_next_tokens() -> None:
    encoder = Encoder(build_tokenizer())
    question = encoder.question("free", "May 5")
    image = np.array([7, 8, 9])
    padded = encoder.pad([(image, question)], count=2, length=40)
    ids, labels = padded.ids[0], padded.labels[0]
    places = (labels != IGNORED).nonzero().flatten()
    assert labels[places].tolist() == question.answer
    assert ids[places[1:]].tolist() == question.answer[:-1]
    assert labels[places[-1]] == encoder.tokenizer.convert_tokens_to_ids(EOS)
    assert padded.vision_rows[0, :5].tolist() == [-1, 7, 8, 9, -1]
    assert (padded.labels[1] == IGNORED).all()


def test_wrong_characters_stand_in_answers_alone() -> None:
    encoder = Encoder(build_tokenizer())
    question = encoder.question(
        "markdown", "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n" * 20
    )
    image = np.array([7, 8, 9])
    right = encoder.pad([(image, question)] * 40, count=41, length=len(question) + 10)
    wrong = misspelt(right, 0.5, seed=0)
    assert torch.equal(wrong.ids, misspelt(right, 0.5, seed=0).ids)
    assert not torch.equal(wrong.ids, misspelt(right, 0.5, seed=1).ids)
    for name in ("vision_rows", "labels", "weights"):
        assert torch.equal(getattr(wrong, name), getattr(right, name)), name
    changed = wrong.ids != right.ids
    start = 1 + len(image) + len(question.prompt)
    assert not changed[:, :start].any()
    assert not changed[right.ids < len(SPECIAL_TOKENS)].any()
    shares = changed[:40].float().mean(1)
    assert 8 < int((shares == 0).sum()) < 32, "about half stay as they are"
    assert 0.1 < shares.max() < 0.5
    assert torch.isin(wrong.ids[changed], torch.tensor(question.answer)).all()
    assert torch.equal(misspelt(right, 0.0, seed=0).ids, right.ids)


def test_rows_of_tiles_are_read_across() -> None:
    rows = vision_rows(DEEPSEEK_OCR.resolution("gundam"), (2, 1), view=0, tile=256, newline=1000)
    assert len(rows) == DEEPSEEK_OCR.resolution("gundam").vision_tokens((2, 1))
    assert rows[:21].tolist() == [*range(256, 266), *range(356, 366), 1000]
    assert rows[210:227].tolist() == [*range(16), 1000]
    assert rows[-1] == 1001


def test_views_that_are_missing_ask_nothing() -> None:
    view = View(np.zeros((64, 64), np.uint8), (0, 0, 64, 64), np.zeros((4, 8), np.uint8))
    views = stack([view], 3)
    assert views.pixels.shape == (3, 64, 64)
    assert (views.cells[1:] == AMBIGUOUS).all()
    assert (views.pixels[1:] == 127).all()


def test_curriculum_covers_the_whole_run() -> None:
    assert stage_at(0.0) is STAGES[0]
    assert stage_at(1.0) is STAGES[-1]
    assert [stage.until for stage in STAGES] == sorted(stage.until for stage in STAGES)
    for stage, following in pairwise(STAGES):
        assert stage_at(stage.until - 1e-9) is stage
        assert stage_at(stage.until) is following
    for stage in STAGES:
        assert stage.modes.keys() <= stage.pages.keys()
        assert sum(stage.modes.values()) == pytest.approx(1)
        for mode in stage.modes:
            # Texts are asked for exactly where there is room for them.
            assert bool(stage.prompts) == bool(stage.pages[mode].lengths)
    assert STAGES[-1].pages is MIXED_PAGES
    assert HELD_OUT.pages is FULL_PAGES
    assert learning_rate(0.0, 0.1) == 0
    assert learning_rate(0.1, 0.1) == 1
    assert learning_rate(0.39, 0.1) == 1
    assert learning_rate(0.7, 0.1) == pytest.approx(0.5)
    assert learning_rate(1.0, 0.1) == 0


def test_a_third_of_tiled_sheets_are_as_operators_render_them() -> None:
    rng, resolution = random.Random(1), DEEPSEEK_OCR.resolution("gundam")
    sizes = [_paper_size(rng, resolution) for _ in range(300)]
    rendered = {(round(width * scale), round(height * scale)) for width, height, scale in sizes}
    for size in ((1654, 2339), (1700, 2200), (2339, 1654)):
        assert any(math.dist(size, each) < 3 for each in rendered), size
    plain = [scale for _, _, scale in sizes if scale == 1.0]
    assert 70 < len(plain) < 130
