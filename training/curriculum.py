"""What is read when: first single characters, then a few words, at last full pages in all modes.

A decoder that meets dense pages first does not learn to copy at all; lengths grow with the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Pages of a batch, by mode: about the same time a step.
PAGES_PER_BATCH = {"tiny": 80, "small": 56, "base": 22, "large": 14, "gundam": 8}
#: Most tiles of a page in training; the published vLLM scripts have the same limit.
TILES_PER_PAGE = 6
#: Prompts asked about each page; the vision tower sees it once for all. Reading glyphs takes more
#: practice than writing down what was read, so there are no more.
PROMPTS_PER_PAGE = 2
#: Longest answer in tokens, by mode; a longer one is not asked for.
LONGEST_ANSWER = {"tiny": 600, "small": 1200, "base": 2300, "large": 2800, "gundam": 4600}
#: A batch's texts are decoded in groups, from the shortest to the longest, with these shares of its
#: sequences. Stages say how long the texts of each group may be.
GROUP_SHARES = (0.25, 0.25, 0.20, 0.20, 0.10)


@dataclass(frozen=True)
class PageSpec:
    """Sizes of the print on the pages of a mode.

    :param characters: most characters on a page.
    :param text_size: smallest and largest font size of body text, in pixels of the view that
        shows it best (of gundam: of the tiles).
    :param people: the same two figures for pages as people's programs set them.
    :param lengths: longest prompt with answer in each group, in tokens: a little above the 25th,
        50th, 70th, 90th and 99th percentile. Fixed, because a captured step has fixed shapes.
    """

    characters: int
    text_size: tuple[float, float]
    lengths: tuple[int, ...] = ()
    people: tuple[int, tuple[float, float]] | None = None


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    :param until: share of all steps at which it ends, 0 to 1.
    :param modes: share of the batches, by mode.
    :param pages: what their pages are like.
    :param prompts: which prompts are asked; none trains the vision tower alone.
    :param people: share of the pages that are set as people's programs set them, 0 to 1.
    """

    until: float
    modes: dict[str, float]
    pages: dict[str, PageSpec]
    prompts: tuple[str, ...] = field(default=())
    people: float = 0.0


#: Pages that are drawn to be hard; held-out ones have the same sizes, and keep them, so that figures of
#: different years can be compared.
FULL_PAGES = {
    "tiny": PageSpec(220, (20, 42), (88, 144, 216, 328, 480)),
    "small": PageSpec(450, (20, 40), (120, 224, 328, 512, 736)),
    "base": PageSpec(1000, (19, 40), (160, 400, 608, 992, 1376)),
    "large": PageSpec(1300, (18, 38), (176, 528, 832, 1312, 1760)),
    "gundam": PageSpec(1700, (19, 40), (208, 608, 928, 1600, 2080)),
}
#: Half of the last stage: pages as people's programs set them, in the modes that show their print as large as
#: it is here. On A4, gundam's 19 to 32 pixels are 9 to 14 points, base's 18 to 34 are 15 to 28.
MIXED_PAGES = {
    "tiny": PageSpec(220, (20, 42), (88, 144, 216, 328, 480)),
    "small": PageSpec(450, (20, 40), (112, 272, 400, 584, 976), (650, (18, 34))),
    "base": PageSpec(1000, (19, 40), (128, 480, 656, 1056, 1760), (1500, (18, 34))),
    "large": PageSpec(1300, (18, 38), (240, 648, 1032, 1456, 2200), (2000, (17, 32))),
    "gundam": PageSpec(1700, (19, 40), (216, 960, 1800, 2800, 3680), (3600, (19, 32))),
}
ALL_PROMPTS = ("free", "markdown", "ocr", "locate", "describe", "figure")

STAGES = (
    Stage(0.05, {"small": 1}, {"small": PageSpec(320, (20, 44))}),
    Stage(
        0.12, {"small": 1}, {"small": PageSpec(150, (20, 42), (56, 88, 120, 160, 192))}, ("free",)
    ),
    Stage(
        0.32,
        {"small": 0.8, "base": 0.2},
        {
            "small": PageSpec(320, (20, 40), (160, 248, 336, 488, 736)),
            "base": PageSpec(450, (19, 40), (216, 344, 464, 680, 1104)),
        },
        ("free", "markdown", "ocr"),
    ),
    Stage(
        0.55,
        {"small": 0.5, "base": 0.45, "tiny": 0.05},
        {**FULL_PAGES, "base": PageSpec(750, (19, 40), (160, 384, 592, 928, 1312))},
        ALL_PROMPTS,
    ),
    Stage(
        1.0,
        {"small": 0.2, "base": 0.28, "tiny": 0.01, "large": 0.03, "gundam": 0.48},
        MIXED_PAGES,
        ALL_PROMPTS,
        people=0.6,
    ),
)
#: What held-out pages are like; it stays, whatever is trained on.
HELD_OUT = Stage(1.0, {}, FULL_PAGES)


def stage_at(progress: float) -> Stage:
    """The stage at that share of all steps."""
    return next((stage for stage in STAGES if progress < stage.until), STAGES[-1])


def learning_rate(progress: float, warm_up: float) -> float:
    """Share of the peak rate: a short rise, a plateau, and a straight way down to zero.

    :param progress: share of all steps done, 0 to 1.
    :param warm_up: share of all steps that the rise takes.
    """
    plateau = 0.4
    if progress < warm_up:
        return progress / warm_up
    return min(1.0, (1 - progress) / (1 - plateau))
