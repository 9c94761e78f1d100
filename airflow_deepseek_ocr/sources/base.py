"""The protocol of a source, the choice of a source by the scheme of a URI, and the copying of content."""

from __future__ import annotations

import os
import threading
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

#: Whether a version should be fetched; called as soon as the version is known.
Wanted = Callable[[DocumentRef], bool]


class Source(Protocol):
    """Fetches documents of one URI scheme."""

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """Copy a document to a local file.

        :param ref: the document; if it has a version, exactly that version is fetched.
        :param target: the file to write.
        :param wanted: called before the content is fetched if the version is known then, else afterwards.
        :return: the document with its version; None if ``wanted`` returned False.
        :raises DocumentError: the document is missing, empty or too large.
        :raises OverwrittenError: ``overwritten`` if the requested version no longer exists.
        :raises UnavailableError: the storage does not answer or refuses access; ``local_disk`` if ``target``
            cannot be written.
        :raises OSError: any other error of the storage.
        """
        ...


class Sources:
    """The sources of all schemes; several threads may use it.

    :param by_scheme: creates the source of a scheme when it is first needed.
    :param fallback: creates the source of any other scheme; None refuses other schemes.
    """

    def __init__(
        self,
        by_scheme: Mapping[str, Callable[[], Source]],
        fallback: Callable[[], Source] | None = None,
    ) -> None:
        self._factories, self._fallback = dict(by_scheme), fallback
        self._created: dict[str, Source] = {}
        # Several threads fetch documents; the source of a scheme is created once.
        self._lock = threading.Lock()

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """See :meth:`Source.fetch`.

        :raises DocumentError: ``unsupported_scheme``, besides the errors of the source.
        """
        return self._source(ref.uri.partition("://")[0].lower()).fetch(ref, target, wanted)

    def _source(self, scheme: str) -> Source:
        with self._lock:
            if scheme not in self._created:
                factory = self._factories.get(scheme, self._fallback)
                if factory is None:
                    raise DocumentError(
                        ErrorCode.UNSUPPORTED_SCHEME,
                        f"There is no source for {scheme}:// documents. Use "
                        f"one of: {', '.join(self._factories)}.",
                    )
                self._created[scheme] = factory()
            return self._created[scheme]


def overwritten(uri: str) -> OverwrittenError:
    """Return the error for a document whose requested version was replaced by a newer one."""
    return OverwrittenError(
        f"{uri} was overwritten before this version was read. The new version is found as another document."
    )


def write_copy(
    uri: str,
    chunks: Iterable[bytes],
    target: Path,
    *,
    lasting: bool = False,
    append: bool = False,
) -> None:
    """Write the content of a document to a local file.

    :param uri: address of the document, for error messages.
    :param chunks: its content. Errors of this iterable are errors of the storage, and are not changed.
    :param target: the file to write.
    :param lasting: flush to disk, so that the file survives a crash of the host.
    :param append: keep what the file has already.
    :raises UnavailableError: ``local_disk`` if ``target`` cannot be written.
    """
    with _local_errors(uri, target):
        file = target.open("ab" if append else "wb")
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
