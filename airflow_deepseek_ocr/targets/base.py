"""The protocol of a place for exports."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ExportTarget(Protocol):
    """Writes files under a prefix or in a directory.

    A reader sees a whole file, or the one before, or none.
    """

    def uri(self, name: str) -> str:
        """Return the address of a file.

        :param name: its name under the prefix, with ``/``.
        """
        ...

    def put(self, name: str, content: bytes | Path, media_type: str) -> None:
        """Write a file in place of one with the same name.

        :param name: its name under the prefix, with ``/``.
        :param content: its bytes, or a local file that has them.
        :param media_type: its media type.
        :raises UnavailableError: the place does not answer, refuses access, or is full.
        """
        ...

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None if there is none.

        :raises UnavailableError: the place does not answer, or refuses access.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if there is one.

        :raises UnavailableError: the place does not answer, or refuses access.
        """
        ...
