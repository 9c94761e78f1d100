"""The reference to one version of a document."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.undecodable import percent_encoded


@dataclass(frozen=True)
class DocumentRef:
    """A document, and which version of it.

    :param uri: its address, such as ``s3://bucket/key`` or ``file:///data/letter.pdf``. Bytes that are not
        UTF-8 are percent-encoded.
    :param version: tells its versions apart: the S3 version id, else the ETag, else a hash of its content.
        Empty while it is unknown; a source fills it in.
    :param version_id: the S3 version id, if the bucket keeps versions.
    :param etag: the ETag without quotes, if there is one.
    :param size: bytes, if known.
    :param last_modified: when this version was stored, with time zone, if known.
    """

    uri: str
    version: str = ""
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None

    def __post_init__(self) -> None:
        # The URI becomes a row, an XCom and lines of logs, which have no lone surrogates.
        object.__setattr__(self, "uri", percent_encoded(self.uri))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types, for an XCom or the payload of an event."""
        values = asdict(self)
        if self.last_modified is not None:
            values["last_modified"] = self.last_modified.isoformat()
        return values

    @classmethod
    def of(cls, value: DocumentRef | dict[str, Any] | str) -> DocumentRef:
        """Return the reference for a URI, or for a dictionary of :meth:`as_dict`.

        :raises ConfigurationError: ``document_reference`` if it is neither, or a date in it is no ISO date.
        """
        if isinstance(value, DocumentRef):
            return value
        if isinstance(value, str) and "://" in value:
            return cls(value)
        if isinstance(value, dict) and isinstance(value.get("uri"), str):
            known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
            if isinstance(known.get("last_modified"), str):
                known["last_modified"] = _date(known["last_modified"])
            return cls(**known)
        raise ConfigurationError(
            ErrorCode.DOCUMENT_REFERENCE,
            f"{value!r} is no document. Give a URI such as s3://bucket/key, or a dictionary with a uri.",
        )

    def unversioned(self) -> DocumentRef:
        """Return the document in its current version."""
        return DocumentRef(self.uri)

    @property
    def version_key(self) -> str:
        """Hash of URI and version: 64 hexadecimal digits."""
        return digest(self.uri, self.version)


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts as 64 hexadecimal digits."""
    # Versions and settings may have lone surrogates.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            ErrorCode.DOCUMENT_REFERENCE,
            f"last_modified {text!r} is no date such as 2026-01-02T03:04:05+00:00.",
        ) from error
