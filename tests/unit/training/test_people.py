"""Pages as people's programs set them: all of the print is recorded, on paper with margins."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import numpy as np
import pytest

from tests.unit.training.conftest import DEJAVU
from tests.unit.training.test_layouts import assert_inside, printed
from tests.unit.training.test_layouts import assets as assets
from training.canvas import LIGATURES, Canvas, Face
from training.charset import CHARSET
from training.curriculum import STAGES
from training.degrade import grain, scan
from training.layouts import PageAssets, draw_page
from training.layouts.people import KINDS
from training.page import Page
from training.text import MARKUP
from training.wording import PeopleWriter

WIDTH, HEIGHT, MOST = 620, 877, 1200


def draw(assets: PageAssets, kind: str | None, seed: int) -> Page:
    return draw_page(
        Random(seed),
        assets,
        width=WIDTH,
        height=HEIGHT,
        text_size=(10.0, 16.0),
        max_characters=MOST,
        kind=kind,
        as_people=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pages_record_what_they_print(assets: PageAssets, kind: str) -> None:
    for seed in range(6):
        page = draw(assets, kind, seed)
        text = printed(page)
        assert page.kind == kind
        assert 0 < len(text) <= MOST
        assert Counter(glyph.character for glyph in page.glyphs) == Counter(text.replace(" ", ""))
        assert set(text) <= {*CHARSET, " "}
        assert not any(MARKUP.search(block.text) for block in page.blocks)
        assert_inside(page)
    again = draw(assets, kind, 5)
    assert (again.image.tobytes(), again.blocks) == (page.image.tobytes(), page.blocks)


def test_justified_lines_reach_the_right_edge(assets: PageAssets) -> None:
    edges: list[set[int]] = []
    for seed in range(30):
        for block in draw(assets, "report", seed).blocks:
            if block.label == "text" and len(block.lines) > 5:
                edges.append({round(line.box[2] / 3) for line in block.lines[:-1]})
    justified = [each for each in edges if len(each) <= 2]
    assert 0 < len(justified) < len(edges)


def test_joined_letters_are_two_characters_for_the_reader(assets: PageAssets) -> None:
    face = Face(DEJAVU / "DejaVuSans.ttf", 24)
    assert face.ligatures == LIGATURES
    plain, joined = (Canvas(200, 60, 255, 99) for _ in range(2))
    joined.joins_letters = True
    lines = [canvas.print("office flag", face, 10, 40, 0) for canvas in (plain, joined)]
    assert [line.text for line in lines] == ["office flag"] * 2
    assert plain.image.tobytes() != joined.image.tobytes()
    for one, other in zip(plain.glyphs, joined.glyphs, strict=True):
        assert one.character == other.character
        assert abs(one.x - other.x) < 6


def test_some_pages_have_words_that_are_none(assets: PageAssets) -> None:
    known = {"the", "bridge", "was", "closed", "in", "winter"}
    shares = []
    for seed in range(40):
        writer = PeopleWriter(Random(seed), assets.words, assets.accented, assets.sentences)
        words = writer.strange("the bridge was closed in winter").split()
        assert len(words) == 6
        shares.append(sum(word not in known for word in words) / 5)
    assert shares.count(0) > 10
    assert shares.count(1) > 2


def test_addresses_have_codes_that_cannot_be_guessed(assets: PageAssets) -> None:
    writer = PeopleWriter(Random(4), assets.words, assets.accented, assets.sentences)
    addresses = [writer.address() for _ in range(60)]
    assert all(len(lines) in (3, 4) for lines in addresses)
    codes = {
        line
        for lines in addresses
        for line in lines
        if re.search(r"[A-Z]{1,2}\d+ \d[A-Z]{2}", line)
    }
    assert len(codes) > 5


def test_scans_are_grey_and_turned_at_most_two_degrees(assets: PageAssets) -> None:
    page = draw(assets, "letter", 3)
    scans = [scan(Random(seed), page) for seed in range(30)]
    assert sum(each is page for each in scans) > 5
    turned = [each for each in scans if each.blocks != page.blocks]
    assert turned
    for each in scans:
        assert_inside(each)
        moved = abs(each.glyphs[0].y - page.glyphs[0].y)
        assert moved <= np.hypot(WIDTH, HEIGHT) / 2 * np.sin(np.radians(2.01))
    noisy = np.asarray(grain(Random(1), page.image.point(lambda _: 128), 5.0), float)
    assert 4.5 < noisy.std() < 5.5


def test_half_of_the_practice_is_in_the_modes_that_show_small_print() -> None:
    """Tokens of answers, from the median length and the pages of a batch."""
    from training.curriculum import PAGES_PER_BATCH

    last = STAGES[-1]
    tokens = {
        mode: share * PAGES_PER_BATCH[mode] * last.pages[mode].lengths[1]
        for mode, share in last.modes.items()
    }
    assert tokens["gundam"] + tokens["base"] >= 0.5 * sum(tokens.values())
    assert last.people >= 0.5
