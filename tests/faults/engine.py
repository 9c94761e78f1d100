"""An engine with a script instead of a model: quick, the same every time, and it keeps a diary."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from airflow_deepseek_ocr.engines.ahead import Ahead
from airflow_deepseek_ocr.ocr.engine import FinishReason, PageReading, PageRequest, Progress
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS
from tests.faults.documents import PageId, page_id

#: Pages in the engine's hands at once, which end in any order, and pages drawn ahead of it.
AT_ONCE, AHEAD = 3, 2


class Diary:
    """Lines that survive their writer's death: what was read and stored, when and by whom."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, what: str, page: PageId) -> None:
        """Add a line."""
        line = (
            f"{time.time():.6f} {what} {os.getpid()} {page.document} {page.version} {page.page}\n"
        )
        os.write(self._file, line.encode())


class ScriptedEngine:
    """Reads pages of :mod:`tests.faults.documents`.

    :param seconds: time a page takes.
    """

    def __init__(self, diary: Diary, seconds: float) -> None:
        self._diary, self._seconds = diary, seconds

    def modes(self) -> tuple[str, ...]:
        return tuple(RESOLUTIONS)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageReading, None, None]:
        order, in_hand = random.Random(os.getpid()), []
        with Ahead(requests, lambda request: request, AHEAD) as ahead:
            while True:
                while len(in_hand) < AT_ONCE and not ahead.over:
                    request = ahead.take(wait=not in_hand)
                    if request is None:
                        break
                    page = page_id(request.image)
                    self._diary.write("read", page)
                    in_hand.append((request, page))
                if not in_hand:
                    return
                time.sleep(self._seconds)
                request, page = in_hand.pop(order.randrange(len(in_hand)))
                yield PageReading(request.key, page.text(), FinishReason.STOP, 73, 60, 0.1)

    def close(self) -> None: ...
