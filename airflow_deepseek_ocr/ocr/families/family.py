"""What this package knows of a model family; its modules have one value each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.resolution import Resolution


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """A model with its own architecture, resolution modes and prompts; checkpoints of it may have any size.

    :param name: name in settings, model cards and this package's code.
    :param title: the publisher's name.
    :param hub_id: hub id of the published checkpoint.
    :param revision: commit of that checkpoint that is used unless the user names another.
    :param download_size: size of the files that are fetched of it, as text.
    :param architecture: entry of ``architectures`` in the published ``config.json``.
    :param model_type: value of ``model_type`` in ``config.json``.
    :param vision_widths: keys of ``vision_config.width`` in ``config.json``.
    :param resolutions: resolution modes by name.
    :param auto_modes: the modes that ``auto`` chooses from, cheapest first.
    :param smallest_print: height of the smallest print that the published checkpoint is expected to read, in
        pixels of a view or tile (:func:`~airflow_deepseek_ocr.ocr.print_height.print_height`); a
        checkpoint's ``config.json`` may name another.
    :param documented_prompts: names of the prompts that the publisher's README shows; the other prompts of
        :data:`~airflow_deepseek_ocr.ocr.prompts.PROMPTS` are accepted as well.
    :param labels: labels of regions that outputs of the published checkpoint were seen with.
    :param ngram_size: n of the no-repeat-n-gram constraint in the publisher's script for images, in tokens.
    :param ngram_window: window of the constraint in that script, in tokens.
    :param tokens_have_places: whether each vision token represents a square of the page, so that a box on
        the page has a number of tokens.
    """

    name: str
    title: str
    hub_id: str
    revision: str
    download_size: str
    architecture: str
    model_type: str
    vision_widths: frozenset[str]
    resolutions: Mapping[str, Resolution]
    auto_modes: tuple[str, ...]
    smallest_print: float
    documented_prompts: frozenset[str]
    labels: tuple[str, ...]
    ngram_size: int
    ngram_window: int
    tokens_have_places: bool

    def resolution(self, name: Any) -> Resolution:
        """Return the mode of that name.

        :param name: a mode's name; other values have no mode.
        :raises ConfigurationError: ``unknown_resolution``, with the names of this family's modes.
        """
        found = self.resolutions.get(name) if isinstance(name, str) else None
        if found is None:
            raise ConfigurationError(
                ErrorCode.UNKNOWN_RESOLUTION,
                f"{self.title} has no resolution mode {name!r}. Use one of: {', '.join(self.modes)}.",
            )
        return found

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the modes."""
        return tuple(self.resolutions)

    @property
    def most_vision_tokens(self) -> int:
        """Most vision tokens of a page in any mode."""
        return max(each.most_vision_tokens for each in self.resolutions.values())

    @property
    def max_tiles(self) -> int:
        """Most tiles of a page in any mode."""
        return max(each.tiling.most for each in self.resolutions.values() if each.tiling)

    @property
    def tile_size(self) -> int:
        """Side of a tile in pixels."""
        return next(each.tiling.size for each in self.resolutions.values() if each.tiling)

    def decoding(
        self, max_output_length: int = Decoding.max_output_length, *, forced: bool = False
    ) -> Decoding:
        """Return the decoding settings with this family's no-repeat-n-gram constraint.

        :param max_output_length: see :class:`~airflow_deepseek_ocr.ocr.decoding.Decoding`.
        :param forced: likewise.
        """
        return Decoding(max_output_length, self.ngram_size, self.ngram_window, forced)

    def has_config(self, published: Mapping[str, Any]) -> bool:
        """Return whether a ``config.json`` belongs to this family.

        :param published: the parsed file.
        """
        vision = published.get("vision_config")
        width = vision.get("width") if isinstance(vision, Mapping) else None
        return (
            _first(published.get("architectures")) == self.architecture
            and published.get("model_type") == self.model_type
            and isinstance(width, Mapping)
            and self.vision_widths <= width.keys()
        )


def by_name(modes: Iterable[Resolution]) -> dict[str, Resolution]:
    """Return the modes by their names.

    :param modes: in the order in which they are listed to users.
    """
    return {mode.name: mode for mode in modes}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None
