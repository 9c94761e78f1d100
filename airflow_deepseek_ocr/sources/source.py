"""The protocol of a source, and the choice of one by a URI's scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from airflow_deepseek_ocr.errors import DocumentError
from airflow_deepseek_ocr.ocr.identity import DocumentRef

#: Whether a version is to be read; asked as soon as the version is known.
Wanted = Callable[[DocumentRef], bool]


class Source(Protocol):
    """Fetches documents of one scheme."""

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """Copy a document to a local file.

        :param ref: the document; with a version, exactly that one is fetched.
        :param target: the file to write.
        :param wanted: asked before the content is fetched, where the version is known by then.
        :return: the document with its version, or None if it is not wanted.
        :raises DocumentError: the document is gone, was overwritten, is empty or too large.
        :raises UnavailableError: the storage does not answer, or not to us.
        :raises OSError: ``target`` cannot be written.
        """
        ...


class Sources:
    """Sources by scheme.

    :param by_scheme: makes the source of each scheme, on first use.
    :param fallback: makes the source of every other scheme.
    """

    def __init__(
        self,
        by_scheme: Mapping[str, Callable[[], Source]],
        fallback: Callable[[], Source] | None = None,
    ) -> None:
        self._factories, self._fallback = dict(by_scheme), fallback
        self._made: dict[str, Source] = {}

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """See :meth:`Source.fetch`.

        :raises DocumentError: ``unsupported_scheme`` too.
        """
        scheme = ref.uri.partition("://")[0].lower()
        if scheme not in self._made:
            factory = self._factories.get(scheme, self._fallback)
            if factory is None:
                raise DocumentError(
                    "unsupported_scheme",
                    f"No source for {scheme}:// documents; use one of: {', '.join(self._factories)}.",
                )
            self._made[scheme] = factory()
        return self._made[scheme].fetch(ref, target, wanted)
