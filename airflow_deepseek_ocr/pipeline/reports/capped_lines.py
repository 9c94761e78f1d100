"""Lines of a log of which the first of each kind are written, and the others counted."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from airflow_deepseek_ocr.printable import printable

#: Lines of one kind, such as one error code. A person has seen the cause by then.
_MOST = 20
#: Lines about documents that are done: more than a mapped task of the default size has.
_MOST_DONE = 1000


class CappedLines:
    """Writes lines to a log; several threads may use it.

    :param log: the log.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def write(self, kind: str, line: str, level: int = logging.INFO) -> None:
        """Write a line, unless there were many of its kind.

        :param kind: in words that follow "Further lines about", such as ``documents that failed``.
        :param line: names in it may have any character.
        :param level: of the log; lines without a fault have a higher limit.
        """
        most = _MOST if level > logging.INFO else _MOST_DONE
        with self._lock:
            self._counts[kind] += 1
            count = self._counts[kind]
        if count <= most:
            self._log.log(level, "%s", printable(line))
        if count == most:
            self._log.log(
                level,
                "Further lines about %s are left out; the summary at the end has their number.",
                kind,
            )
