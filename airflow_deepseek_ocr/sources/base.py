"""The protocol of a source, the choice of one by a URI's scheme, and the copy they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from airflow_deepseek_ocr.exceptions import (
    DocumentError,
    ErrorCode,
    OverwrittenError,
    local_disk,
)
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef

#: Bytes that are copied at once.
COPY_CHUNK_BYTES = 1 << 20

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
        :raises UnavailableError: the storage does not answer, or not to us; ``local_disk`` if
            ``target`` cannot be written.
        :raises OSError: the storage fails in another way.
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
                    ErrorCode.UNSUPPORTED_SCHEME,
                    f"No source for {scheme}:// documents; use one of: {', '.join(self._factories)}.",
                )
            self._made[scheme] = factory()
        return self._made[scheme].fetch(ref, target, wanted)


def overwritten(uri: str) -> OverwrittenError:
    """Return the error for a document whose requested version was replaced by a newer one."""
    return OverwrittenError(
        f"{uri} was overwritten before this version was read. The new version is found as another document."
    )


def write_copy(uri: str, chunks: Iterable[bytes], target: Path, *, lasting: bool = False) -> None:
    """Write a document's content to a file of this host.

    :param uri: the document's.
    :param chunks: its content; what goes wrong with it is not this host's fault, and raised as it is.
    :param lasting: whether it must outlast a crash of the host.
    :raises UnavailableError: ``local_disk`` if ``target`` cannot be written.
    """
    with _local_errors(uri, target):
        file = target.open("wb")
    try:
        for chunk in chunks:
            with _local_errors(uri, target):
                file.write(chunk)
        if lasting:
            with _local_errors(uri, target):
                file.flush()
                os.fsync(file.fileno())
    finally:
        with _local_errors(uri, target):
            file.close()


@contextmanager
def _local_errors(uri: str, target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise local_disk(f"{uri} cannot be copied to {target.parent}", error) from error
