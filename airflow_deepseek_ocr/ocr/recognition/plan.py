"""The settings by which pages are recognised."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import DEFAULT_FAMILY, check_resolution_name
from airflow_deepseek_ocr.ocr.prompts import get_prompt, prompt_line
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    RetryStep,
    TextLayerUse,
)


@dataclass(frozen=True, kw_only=True)
class RecognitionPlan:
    """The settings by which pages are recognised.

    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name, or ``auto``.
    :param steps: retry steps for pages whose output is rejected, in order.
    :param text_layer_use: use of the pages' embedded text.
    :param modes: modes that the engine supports; retry steps with other modes are skipped. None for those of
        ``auto``.
    :param family: the engine's model family.
    :param smallest_print: height of the smallest print that the model reads, in pixels of a view or tile:
        ``auto`` starts with the cheapest mode in which the page's print is as high; 0: with the cheapest.
    :param min_score: lowest accepted score, 0 to 1.
    :param describes_figures: whether pictures of a page are recognised once more, each alone.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """

    prompt: str
    resolution: str
    steps: tuple[RetryStep, ...] = ()
    text_layer_use: TextLayerUse = TextLayerUse.COMPARE
    modes: Collection[str] | None = None
    family: ModelFamily = DEFAULT_FAMILY
    smallest_print: float = 0.0
    min_score: float = DEFAULT_MIN_SCORE
    describes_figures: bool = False

    def __post_init__(self) -> None:
        check_prompt_and_resolution(self.prompt, self.resolution)

    def accepts(self, score: float) -> bool:
        """Return whether output with that score is good enough; a page without output has score 0."""
        return score >= self.min_score and score > 0

    @property
    def auto_modes(self) -> tuple[str, ...]:
        """The modes that ``auto`` chooses from, cheapest first."""
        automatic = self.family.auto_modes
        modes = self.supported_modes
        return tuple(mode for mode in automatic if mode in modes) or modes[:1]

    @property
    def supported_modes(self) -> tuple[str, ...]:
        """The modes in which attempts can be made."""
        return self.family.auto_modes if self.modes is None else tuple(self.modes)

    @property
    def first_mode(self) -> str:
        """The mode of the first attempt."""
        return self.auto_modes[0] if self.resolution == AUTO else self.resolution

    def mode_for_print(self, page_size: tuple[int, int], print_height: float | None) -> str:
        """Return the mode of the first attempt at a page with print of that height.

        :param page_size: width and height of the page image in pixels.
        :param print_height: in pixels of that image; None if it is not known.
        """
        if self.resolution != AUTO or print_height is None:
            return self.first_mode
        for name in self.auto_modes:
            scale = self.family.resolution(name).print_scale(*page_size)
            if print_height * scale >= self.smallest_print:
                return name
        return self.auto_modes[-1]

    @property
    def measures_edges(self) -> bool:
        """Whether the edges of pages are needed: for checks of their text, or the height of print."""
        return get_prompt(self.prompt).whole_page or self.resolution == AUTO

    @property
    def may_turn(self) -> bool:
        """Whether uncertain pages are compared with their turns."""
        return get_prompt(self.prompt).whole_page and any(step.turn for step in self.steps)

    @property
    def may_retry(self) -> bool:
        """Whether a page may need its image a second time."""
        return bool(self.steps) or self.resolution == AUTO


def check_prompt_and_resolution(prompt: str, resolution: str) -> None:
    """Raise if the prompt does not exist, or no model family has the resolution mode.

    Settings can thus be checked before any page is read, without an engine or a
    :class:`~airflow_deepseek_ocr.ocr.recognition.reader.Reader`. The other options have checks of the same
    kind:
    :func:`~airflow_deepseek_ocr.ocr.recognition.retry_strategy.parse_retry_with`,
    :func:`~airflow_deepseek_ocr.ocr.recognition.retry_strategy.parse_text_layer_use` and
    :meth:`PageSelection.parse <airflow_deepseek_ocr.ocr.documents.page_selection.PageSelection.parse>`.

    :param prompt: a prompt's name, such as ``markdown`` or ``locate:Total``.
    :param resolution: a resolution mode's name, or ``auto``.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``.
    """
    prompt_line(prompt)
    if resolution != AUTO:
        check_resolution_name(resolution)
