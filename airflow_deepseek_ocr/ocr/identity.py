"""What makes a reading the same reading: which version of which document, and by which recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

#: Raised when this package's own steps (rendering, parsing, Markdown) change what ends up in a row.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class DocumentRef:
    """A document, and which version of it.

    :param uri: where it is, such as ``s3://bucket/key`` or ``file:///data/letter.pdf``.
    :param version: what tells its versions apart: an S3 version id, else the ETag, else a hash of
        its content. Empty while it is unknown; reading fills it in.
    :param version_id: the S3 version id, if the bucket keeps versions.
    :param etag: the ETag without quotes, if there is one.
    :param size: bytes, if known.
    :param last_modified: when this version was stored, if known, with time zone.
    """

    uri: str
    version: str = ""
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, for an XCom or an event's payload."""
        values = asdict(self)
        if self.last_modified is not None:
            values["last_modified"] = self.last_modified.isoformat()
        return values

    @classmethod
    def of(cls, value: DocumentRef | dict[str, Any] | str) -> DocumentRef:
        """A reference from :meth:`as_dict`'s form, or from a URI alone.

        :raises ValueError: if it is neither.
        """
        if isinstance(value, DocumentRef):
            return value
        if isinstance(value, str) and "://" in value:
            return cls(value)
        if isinstance(value, dict) and isinstance(value.get("uri"), str):
            known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
            if isinstance(known.get("last_modified"), str):
                known["last_modified"] = datetime.fromisoformat(known["last_modified"])
            return cls(**known)
        raise ValueError(f"Not a document: {value!r}. Give a URI such as s3://bucket/key.")

    def unversioned(self) -> DocumentRef:
        """The document as it is now, whatever its version."""
        return DocumentRef(self.uri)

    def at(self, version: str) -> DocumentRef:
        """The same document at another version."""
        return replace(self, version=version)

    @property
    def version_key(self) -> str:
        """Hash of URI and version: 64 hexadecimal digits."""
        return _digest(self.uri, self.version)


@dataclass(frozen=True)
class Recipe:
    """Everything that is chosen and changes the text; device, type and batch size do not.

    :param model: the model as configured: a folder, a hub id or an ``s3://`` prefix.
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
    reread: str = ""
    text_layer: str = "compare"
    min_score: float = 0.5

    def to_json(self) -> str:
        """All of it as JSON with sorted keys."""
        return json.dumps(asdict(self) | {"recipe_version": RECIPE_VERSION}, sort_keys=True)

    @property
    def key(self) -> str:
        """Hash of the recipe: 64 hexadecimal digits."""
        return _digest(self.to_json())


def document_key(ref: DocumentRef, recipe: Recipe) -> str:
    """Idempotency key of reading that version of a document by that recipe: 64 hexadecimal digits."""
    return _digest(ref.uri, ref.version, recipe.key)


def _digest(*parts: str) -> str:
    # Lone surrogates occur in file names that are not UTF-8.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
