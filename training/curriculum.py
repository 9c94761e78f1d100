"""What is read when: first single characters, then a few words, at last full pages in all modes.

A decoder that meets dense pages first does not learn to copy at all; lengths grow with the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Pages of a batch, by mode: about the same time a step.
PAGES_PER_BATCH = {"tiny": 80, "small": 56, "base": 22, "large": 14, "gundam": 8}
#: Most tiles of a page in training; the published vLLM scripts have the same limit.
TILES_PER_PAGE = 6
#: Prompts asked about each page; the vision tower sees it once for all.
PROMPTS_PER_PAGE = 3
#: Longest answer in tokens, by mode; a longer one is not asked for.
LONGEST_ANSWER = {"tiny": 600, "small": 1000, "base": 1800, "large": 2000, "gundam": 2600}
#: A batch's texts are decoded in three groups: the shortest, the middle ones and the longest, with
#: these shares of its sequences. Stages say how long the texts of each group may be.
GROUP_SHARES = (0.40, 0.35, 0.25)


@dataclass(frozen=True)
class PageSpec:
    """Sizes of the print on the pages of a mode.

    :param characters: most characters on a page.
    :param text_size: smallest and largest font size of body text, in pixels of the view that
        shows it best (of gundam: of the tiles).
    :param lengths: longest prompt with answer in each group, in tokens: about the 40th, 75th and
        99th percentile. Fixed, because a captured step has fixed shapes.
    """

    characters: int
    text_size: tuple[float, float]
    lengths: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    :param until: share of all steps at which it ends, 0 to 1.
    :param modes: share of the batches, by mode.
    :param pages: what their pages are like.
    :param prompts: which prompts are asked; none trains the vision tower alone.
    """

    until: float
    modes: dict[str, float]
    pages: dict[str, PageSpec]
    prompts: tuple[str, ...] = field(default=())


#: What the finished model reads, and what it is measured on.
FULL_PAGES = {
    "tiny": PageSpec(220, (18, 40), (112, 224, 480)),
    "small": PageSpec(450, (17, 38), (176, 416, 864)),
    "base": PageSpec(1000, (15, 36), (320, 704, 1536)),
    "large": PageSpec(1300, (15, 36), (288, 736, 1536)),
    "gundam": PageSpec(1700, (17, 40), (320, 896, 1920)),
}
ALL_PROMPTS = ("free", "markdown", "ocr", "locate", "describe", "figure")

STAGES = (
    Stage(0.05, {"small": 1}, {"small": PageSpec(320, (20, 44))}),
    Stage(0.12, {"small": 1}, {"small": PageSpec(150, (20, 42), (80, 128, 192))}, ("free",)),
    Stage(
        0.32,
        {"small": 0.8, "base": 0.2},
        {
            "small": PageSpec(320, (18, 40), (208, 352, 608)),
            "base": PageSpec(450, (17, 40), (288, 480, 800)),
        },
        ("free", "markdown", "ocr"),
    ),
    Stage(
        0.55,
        {"small": 0.5, "base": 0.45, "tiny": 0.05},
        {**FULL_PAGES, "base": PageSpec(750, (15, 38), (352, 608, 1184))},
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
