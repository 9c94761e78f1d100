"""What makes a reading the same reading: which version of which document, and by which recipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef, digest

#: Raised when this package's own steps (rendering, parsing, Markdown) change what ends up in a row.
CONFIG_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ProcessingConfig:
    """Everything that is chosen and changes the text; device, type and batch size do not.

    :param model: the model as configured: a directory, a hub id or an ``s3://`` prefix.
    :param revision: its revision as configured; empty if it has none.
    :param prompt: a prompt's name.
    :param resolution: a resolution mode's name, or ``auto``.
    :param pages: the pages selected, as text; empty for all.
    :param dpi: resolution at which PDF pages are rendered, in dots per inch.
    :param max_output_length: tokens a page may take.
    :param ngram_size: the n-gram guard's n, in tokens; 0 for none.
    :param ngram_window: the n-gram guard's window, in tokens.
    :param reread: how a page is read again whose reading is refused: steps with commas between them.
    :param text_layer: what a page's own text is used for: ``off``, ``compare`` or ``first``.
    :param min_score: the score from which on a reading is accepted, 0 to 1.
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

    def to_json(self) -> str:
        """All of it as JSON with sorted keys."""
        return json.dumps(asdict(self) | {"config_version": CONFIG_VERSION}, sort_keys=True)

    @property
    def key(self) -> str:
        """Hash of the recipe: 64 hexadecimal digits."""
        return digest(self.to_json())


def document_key(ref: DocumentRef, config: ProcessingConfig) -> str:
    """Idempotency key of reading that version of a document by that recipe: 64 hexadecimal digits."""
    return digest(ref.uri, ref.version, config.key)
