"""Identity of stored results: a version of a document, and the settings that processed it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef, digest

#: Increased when this package's steps (rendering, parsing, Markdown) change the content of rows.
CONFIG_VERSION = 1

#: What happens to pictures of pages: nothing, or each is recognised once more, alone.
FIGURES_OFF, FIGURES_DESCRIBED = "off", "describe"


@dataclass(frozen=True, kw_only=True)
class ProcessingConfig:
    """All settings that change the stored text. Device, dtype and batch size do not.

    :param model: the configured model: a directory, a hub id or an ``s3://`` prefix.
    :param revision: its configured revision; empty for none.
    :param prompt: a prompt's name.
    :param resolution: a resolution mode's name, or ``auto``.
    :param pages: the selected pages, such as ``1-3,5``; empty for all.
    :param dpi: resolution of rendered PDF pages in dpi.
    :param max_output_length: largest number of tokens of a page.
    :param ngram_size: n of the no-repeat-n-gram constraint, in tokens; 0 for none.
    :param ngram_window: window of the constraint, in tokens.
    :param retry_with: names of the retry steps, separated by commas; empty for none.
    :param text_layer: use of embedded text: ``off``, ``compare`` or ``first``.
    :param min_score: lowest accepted score, 0 to 1.
    :param figures: :data:`FIGURES_OFF` or :data:`FIGURES_DESCRIBED`.
    """

    model: str
    revision: str
    prompt: str
    resolution: str
    pages: str
    dpi: int
    max_output_length: int
    ngram_size: int
    ngram_window: int
    retry_with: str
    text_layer: str
    min_score: float
    figures: str = FIGURES_OFF

    def to_json(self) -> str:
        """Return all settings as JSON with sorted keys, and :data:`CONFIG_VERSION`."""
        return _json_of(self)

    @property
    def key(self) -> str:
        """SHA-256 of the settings: 64 hexadecimal digits."""
        return _key_of(self)


# A task asks four times for each document, always with the same settings.
@lru_cache(maxsize=8)
def _json_of(config: ProcessingConfig) -> str:
    settings = asdict(config) | {"config_version": CONFIG_VERSION}
    if config.figures == FIGURES_OFF:
        # Documents that were stored before the setting existed keep their keys.
        del settings["figures"]
    return json.dumps(settings, sort_keys=True)


@lru_cache(maxsize=8)
def _key_of(config: ProcessingConfig) -> str:
    return digest(_json_of(config))


def document_key(ref: DocumentRef, config: ProcessingConfig) -> str:
    """Return the idempotency key of a document version processed with these settings: 64 hexadecimal digits.

    :param ref: the document and its version.
    :param config: the settings.
    """
    return digest(ref.uri, ref.version, config.key)
