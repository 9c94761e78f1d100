"""Which version of which document."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any


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
        return digest(self.uri, self.version)


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts as 64 hexadecimal digits."""
    # Lone surrogates occur in file names that are not UTF-8.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
