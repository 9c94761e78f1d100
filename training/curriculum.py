"""What is read when: from a few large words to full pages in all modes.

A decoder that meets dense pages first does not learn to copy at all; lengths grow with the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Views of a batch, by mode: what fits a GPU of 80 GB with about the same time a step. Gundam's
#: number counts tiles.
VIEWS_PER_BATCH = {"tiny": 140, "small": 96, "base": 40, "large": 24, "gundam": 84}
#: Prompts asked about each page; the vision tower sees it once.
PROMPTS_PER_PAGE = 3
#: Longest answer in tokens, by mode; a longer one is not asked for.
LONGEST_ANSWER = {"tiny": 600, "small": 1000, "base": 1800, "large": 2000, "gundam": 2600}


@dataclass(frozen=True)
class PageSpec:
    """Sizes of the print on the pages of a mode.

    :param characters: most characters on a page.
    :param text_size: smallest and largest font size of body text, in pixels of the view that
        shows it best (of gundam: of the tiles).
    """

    characters: int
    text_size: tuple[float, float]


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    :param until: share of all steps at which it ends, 0 to 1.
    :param modes: share of the batches, by mode.
    :param pages: what their pages are like.
    :param prompts: which prompts are asked.
    :param kinds: kinds of documents; None for all.
    """

    until: float
    modes: dict[str, float]
    pages: dict[str, PageSpec]
    prompts: tuple[str, ...]
    kinds: tuple[str, ...] | None = None


#: What the finished model reads, and what it is measured on.
FULL_PAGES = {
    "tiny": PageSpec(220, (18, 40)),
    "small": PageSpec(450, (17, 38)),
    "base": PageSpec(1000, (15, 36)),
    "large": PageSpec(1300, (15, 36)),
    "gundam": PageSpec(1700, (17, 40)),
}
ALL_PROMPTS = ("free", "markdown", "ocr", "locate", "describe", "figure")

STAGES = (
    Stage(0.05, {"small": 1}, {"small": PageSpec(60, (24, 44))}, ("free",), ("notes", "card")),
    Stage(0.12, {"small": 1}, {"small": PageSpec(150, (20, 42))}, ("free",), None),
    Stage(
        0.35,
        {"small": 0.8, "base": 0.2},
        {"small": PageSpec(320, (18, 40)), "base": PageSpec(450, (17, 40))},
        ("free", "markdown", "ocr"),
    ),
    Stage(
        0.55,
        {"small": 0.5, "base": 0.45, "tiny": 0.05},
        {**FULL_PAGES, "base": PageSpec(750, (15, 38))},
        ALL_PROMPTS,
    ),
    Stage(
        1.0,
        {"small": 0.37, "base": 0.40, "tiny": 0.04, "large": 0.05, "gundam": 0.14},
        FULL_PAGES,
        ALL_PROMPTS,
    ),
)


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
