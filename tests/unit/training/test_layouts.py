"""Synthetic pages: everything that is printed is recorded, within the page and the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.unit.training.conftest import DEJAVU
from training.assets import Typeface
from training.charset import CHARSET
from training.degrade import degrade, ink, skew, stretch
from training.layouts import KINDS, PageAssets, draw_page
from training.page import Page, PixelBox
from training.text import MARKUP, Writer

SIZE = 512
MOST = 350
SEEDS = range(8)


def draw(assets: PageAssets, kind: str | None, seed: int, scale: float = 1.0) -> Page:
    return draw_page(
        Random(seed),
        assets,
        width=SIZE,
        height=SIZE,
        text_size=(10.0, 24.0),
        max_characters=MOST,
        kind=kind,
        scale=scale,
    )


def printed(page: Page) -> str:
    lines = [line.text for block in page.blocks for line in block.lines]
    return "".join(lines)


def boxes(page: Page) -> Iterator[PixelBox]:
    for block in page.blocks:
        yield block.box
        yield from (line.box for line in block.lines)


def assert_inside(page: Page) -> None:
    width, height = page.image.size
    for x1, y1, x2, y2 in boxes(page):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


@pytest.fixture(scope="module")
def assets() -> PageAssets:
    paths = [DEJAVU / f"DejaVu{name}.ttf" for name in ("Sans", "Sans-Bold", "SansMono")]
    sans, bold, mono = paths
    return PageAssets(
        [Typeface("DejaVuSans", sans, bold, None, None), Typeface("Mono", mono, None, None, None)],
        ("apple", "bridge", "cloud", "daughter", "engine", "of", "the", "and"),
        ("café", "größer", "naïve"),
        ("The bridge was closed in winter.", "Nobody knew when it would open again!"),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pages_record_what_they_print(assets: PageAssets, kind: str) -> None:
    for seed in SEEDS:
        page = draw(assets, kind, seed, scale=1.0 if seed % 2 else 1.7)
        text = printed(page)
        assert page.kind == kind
        assert len(text) <= MOST
        assert Counter(glyph.character for glyph in page.glyphs) == Counter(text.replace(" ", ""))
        assert set(text) <= {*CHARSET, " "}
        assert not any(MARKUP.search(block.text) for block in page.blocks)
        assert_inside(page)
        if kind == "blank":
            assert not page.blocks
        elif kind == "picture":
            assert [block.label for block in page.blocks] == ["image"]
        else:
            assert text


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_page(assets: PageAssets, kind: str) -> None:
    first, second = draw(assets, kind, 5), draw(assets, kind, 5)
    assert first.image.tobytes() == second.image.tobytes()
    assert (first.blocks, first.glyphs, first.chart) == (
        second.blocks,
        second.glyphs,
        second.chart,
    )


def test_kinds_differ_by_seed(assets: PageAssets) -> None:
    assert len({draw(assets, None, seed).kind for seed in range(60)}) > 5


def test_scale_enlarges_the_page(assets: PageAssets) -> None:
    assert draw(assets, "report", 1, scale=1.5).image.size == (SIZE * 3 // 2, SIZE * 3 // 2)


def test_lines_do_not_overlap(assets: PageAssets) -> None:
    for seed in range(40):
        page = draw(assets, None, seed)
        lines = [line for block in page.blocks for line in block.lines]
        for number, line in enumerate(lines):
            for other in lines[number + 1 :]:
                wide = min(line.box[2], other.box[2]) - max(line.box[0], other.box[0])
                high = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
                # Descenders may reach an accent below by a pixel or two.
                assert wide <= 0 or high <= 2, (seed, line, other)


def test_boxes_are_tight(assets: PageAssets) -> None:
    checked = 0
    for seed in range(20):
        page = draw(assets, "card", seed)
        paper = Counter(np.asarray(page.image).ravel().tolist()).most_common(1)[0][0]
        for line in (line for block in page.blocks for line in block.lines):
            edge_density = np.abs(
                np.asarray(page.image.crop(tuple(map(int, line.box)))) - float(paper)
            )
            for edge in (
                edge_density[:2],
                edge_density[-2:],
                edge_density[:, :2],
                edge_density[:, -2:],
            ):
                assert edge.max() > 0
                checked += 1
    assert checked


def test_tables_are_whole(assets: PageAssets) -> None:
    tables = [
        block.cells
        for kind in ("table", "invoice", "report")
        for seed in range(20)
        for block in draw(assets, kind, seed).blocks
        if block.label == "table"
    ]
    assert tables
    for cells in tables:
        assert len({len(row) for row in cells}) == 1
        assert all(map(any, cells))
        assert all(map(any, zip(*cells, strict=True)))


def test_charts_have_rows(assets: PageAssets) -> None:
    charts = [draw(assets, "chart", seed) for seed in range(20)]
    drawn = [page for page in charts if page.chart]
    assert drawn
    for page in drawn:
        text = {line.text for block in page.blocks for line in block.lines}
        assert len(page.chart) >= 3
        assert {cell for row in page.chart for cell in row} <= text


def test_block_text_is_its_lines(assets: PageAssets) -> None:
    for seed in range(60):
        for block in draw(assets, None, seed).blocks:
            lines = " ".join(line.text for line in block.lines)
            if block.label not in ("table", "image") and not block.text.startswith("- "):
                assert block.text.replace("\n", " ") == lines


def test_skew_moves_everything(assets: PageAssets) -> None:
    page = draw(assets, "card", 3)
    turned = skew(page, 0.02)
    assert turned is not page
    assert_inside(turned)
    assert [glyph.character for glyph in turned.glyphs] == [g.character for g in page.glyphs]
    back = skew(turned, -0.02)
    for before, after in zip(page.glyphs, back.glyphs, strict=True):
        assert (after.x, after.y) == pytest.approx((before.x, before.y))


def test_stretching_moves_everything_sideways(assets: PageAssets) -> None:
    page = draw(assets, "card", 3)
    wide = stretch(page, 2 * page.image.width)
    assert wide.image.size == (2 * page.image.width, page.image.height)
    assert_inside(wide)
    for before, after in zip(page.glyphs, wide.glyphs, strict=True):
        assert (after.x, after.y) == pytest.approx((2 * before.x, before.y))
    back = stretch(wide, page.image.width)
    for block, other in zip(page.blocks, back.blocks, strict=True):
        assert other.box == pytest.approx(block.box)
        assert [line.text for line in other.lines] == [line.text for line in block.lines]


@pytest.mark.parametrize(
    ("amount", "like"), [(1.0, ImageFilter.MinFilter(3)), (-1.0, ImageFilter.MaxFilter(3))]
)
def test_bleeding_print_equals_pillows_filters(amount: float, like: ImageFilter.RankFilter) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    image = Image.fromarray(levels)
    assert np.array_equal(np.asarray(ink(image, amount)), np.asarray(image.filter(like)))


def test_print_bleeds_and_fades(assets: PageAssets) -> None:
    image = draw(assets, "card", 3).image
    light, usual, heavy = (
        np.asarray(each).mean() for each in (ink(image, -0.4), image, ink(image, 0.4))
    )
    assert light > usual > heavy


def test_degrade_keeps_the_page(assets: PageAssets) -> None:
    for seed in range(20):
        page = draw(assets, None, seed)
        worn = degrade(Random(seed), page, 1.0)
        assert worn.image.size == page.image.size
        assert worn.image.mode == "L"
        assert printed(worn) == printed(page)
        assert_inside(worn)
        assert degrade(Random(seed), page, 1.0).image.tobytes() == worn.image.tobytes()
        assert degrade(Random(seed), page, 0.0) is page


def test_writer_uses_the_whole_character_set() -> None:
    writer = Writer(Random(1), ("word",), ("café",), ())
    assert set("".join(writer.symbols() for _ in range(400))) == set(CHARSET)
    facts = "".join(writer.fact() for _ in range(2000))
    assert set(facts) <= {*CHARSET, " "}
