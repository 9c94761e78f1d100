"""The directories of exports: their names, by which listings know that they are no documents."""

from __future__ import annotations

import re

#: Digits of a hash in the name of a directory: 48 bits tell the versions of one document apart.
_DIGITS = 12
_DIRECTORY = re.compile(rf"(?:^|/)[0-9a-f]{{{_DIGITS}}}-[0-9a-f]{{{_DIGITS}}}\.ocr/")


def export_directory(version_key: str, config_key: str) -> str:
    """Return the name of the directory with the exports of a document.

    :param version_key: hash of its address and version.
    :param config_key: hash of the processing configuration.
    """
    return f"{version_key[:_DIGITS]}-{config_key[:_DIGITS]}.ocr"


def is_export(key: str) -> bool:
    """Return whether a key or path is that of an export, wherever its prefix is."""
    return _DIRECTORY.search(key) is not None
