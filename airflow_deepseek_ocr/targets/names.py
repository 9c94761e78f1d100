"""Names of exports: the source's address, and a directory for version and configuration."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from airflow_deepseek_ocr.sources.export_directories import export_directory

#: Punctuation that stays in names. Other characters than these and letters and digits of any script are
#: percent-encoded, since file systems, shells and consoles give them a meaning.
_PUNCTUATION = frozenset(" -_.()+,=@~")
#: Bytes of a part of a name, of 255 that file systems take, and of the source's parts together, of 1,024 that
#: S3 takes.
_LONGEST_PART, _LONGEST_SOURCE = 200, 600


def directory_of(uri: str, version_key: str, config_key: str) -> str:
    """Return the directory of a document's exports, relative to the prefix.

    :param uri: the document's address.
    :param version_key: hash of its address and version.
    :param config_key: hash of the processing configuration.
    """
    scheme, _, rest = uri.partition("://")
    # Two addresses never share a directory: the hash of the version has the address in it.
    source = rest if scheme == "s3" else f"{scheme}/{rest}"
    parts = [safe_part(part) for part in source.split("/") if part]
    directory = "/".join(parts)
    if len(directory.encode()) > _LONGEST_SOURCE:
        directory = f"{parts[0]}/{hashlib.sha256(uri.encode()).hexdigest()}"
    return f"{directory}/{export_directory(version_key, config_key)}"


def safe_part(part: str) -> str:
    """Return a part of an address as the name of a directory or file."""
    safe = "".join(
        each if each in _PUNCTUATION or each.isalnum() else quote(each, safe="", errors="replace")
        for each in part
    )
    if not safe.strip("."):
        return safe.replace(".", "%2E")  # no parent directory
    if len(safe.encode()) > _LONGEST_PART:
        digest = hashlib.sha256(part.encode("utf-8", "replace")).hexdigest()[:16]
        kept = safe.encode()[: _LONGEST_PART - len(digest) - 1].decode("utf-8", "ignore")
        return f"{kept}~{digest}"
    return safe
