"""The reference to one version of a document."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.undecodable import percent_encoded

#: Precedes the name of an attached file in its URI, and before its number in its version. A key of S3
#: may contain it; a version id, an ETag and a hash do not, so the version decides.
ATTACHMENT = "#attachment="
#: Documents that contain a file that is read, at most: a file attached to an attached PDF has two.
MAX_DEPTH = 2
#: Most bytes of a document that are a number everywhere: databases, and messages between Airflow's processes,
#: have integers of 64 bits. A longer one ends a triggerer that is to send it.
MAX_SIZE = 2**63 - 1
_NUL, _ENCODED = "\0", "encoded_uri"


@dataclass(frozen=True)
class DocumentRef:
    """A document, and which version of it.

    An attached file has the URI and the version of the document that contains it, each with a fragment.

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
        """Return plain JSON types, for an XCom or the payload of an event.

        PostgreSQL refuses NUL in an XCom. A URI that has it is as in ``ocr_documents``, and besides
        percent-encoded under ``encoded_uri``, so that :meth:`of` returns the same document.
        """
        values = asdict(self)
        if _NUL in self.uri:
            values |= {"uri": _without_nul(self.uri), _ENCODED: quote(self.uri)}
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
            encoded = unquote(str(value.get(_ENCODED, "")))
            if _without_nul(encoded) == value["uri"]:
                known["uri"] = encoded
            if isinstance(known.get("last_modified"), str):
                known["last_modified"] = _date(known["last_modified"])
            return cls(**known)
        raise ConfigurationError(
            ErrorCode.DOCUMENT_REFERENCE,
            f"{value!r} is no document. Give a URI such as s3://bucket/key, or a dictionary with a uri.",
        )

    def attachments(
        self, files: Sequence[AttachedFile], page: int | None = None
    ) -> list[DocumentRef]:
        """Return the references of files that are attached to this version of the document.

        :param files: the files.
        :param page: the page that they are attached to; None for files of the whole document.
        """
        seen: Counter[str] = Counter()
        refs = []
        for file in files:
            seen[file.name] += 1
            fragment = ATTACHMENT + quote(file.name, safe="", errors="replace")
            fragment += "" if page is None else f"&page={page}"
            # Files of equal names stay apart.
            fragment += "" if seen[file.name] == 1 else f"&number={seen[file.name]}"
            refs.append(self._attachment(fragment, f"{ATTACHMENT}{file.number}"))
        return refs

    def _attachment(self, fragment: str, number: str) -> DocumentRef:
        return DocumentRef(
            self.uri + fragment,
            self.version + number,
            self.version_id and self.version_id + number,
            self.etag and self.etag + number,
            last_modified=self.last_modified,
        )

    @property
    def container(self) -> DocumentRef | None:
        """The document that this file is attached to; None if it is attached to none."""
        version, in_version, number = self.version.rpartition(ATTACHMENT)
        uri, in_uri, _ = self.uri.rpartition(ATTACHMENT)
        if not (in_version and in_uri and number.isdecimal()):
            return None

        def original(text: str | None) -> str | None:
            return text and text.removesuffix(ATTACHMENT + number)

        return DocumentRef(
            uri,
            version,
            original(self.version_id),
            original(self.etag),
            last_modified=self.last_modified,
        )

    @property
    def attachment_number(self) -> int:
        """The place of an attached file in the document that it is attached to."""
        return int(self.version.rpartition(ATTACHMENT)[2])

    @property
    def depth(self) -> int:
        """How many documents contain this one: 1 for an attached file, 2 for one attached to that."""
        return 0 if self.container is None else self.container.depth + 1

    @property
    def root(self) -> DocumentRef:
        """The document in the storage that contains this one, or that it is."""
        return self if self.container is None else self.container.root

    def unversioned(self) -> DocumentRef:
        """Return the document in its current version; for an attached file, the one that contains it."""
        return DocumentRef(self.root.uri)

    @property
    def version_key(self) -> str:
        """Hash of URI and version: 64 hexadecimal digits."""
        return digest(self.uri, self.version)


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts as 64 hexadecimal digits."""
    # Versions and settings may have lone surrogates.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _without_nul(uri: str) -> str:
    return uri.replace(_NUL, "\ufffd")


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            ErrorCode.DOCUMENT_REFERENCE,
            f"last_modified {text!r} is no date such as 2026-01-02T03:04:05+00:00.",
        ) from error
