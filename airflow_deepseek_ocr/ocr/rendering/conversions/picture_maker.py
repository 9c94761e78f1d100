"""Pictures of pages, made in child processes: the task's own needs its interpreter lock to read pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox

#: The program of the children.
PICTURE_WORKER = "airflow_deepseek_ocr.ocr.rendering.conversions.picture_worker"


class PictureMaker:
    """Makes pictures in children that start when they are needed; several threads may use it.

    :param limits: ``max_page_seconds`` limits each picture, ``max_page_memory`` each child.
    :param sandbox: restrictions of the children.
    :param processes: number of children, at most. Further pictures wait.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox, processes: int) -> None:
        self._limits, self._sandbox = limits, sandbox
        self._changed = threading.Condition()
        self._free, self._closed = max(1, processes), False
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()

    def webp(self, pixels: PagePixels, size: tuple[int, int]) -> bytes:
        """Return the picture of a page as WebP.

        :param pixels: the page.
        :param size: width and height of the picture.
        :raises DocumentError: ``crashed``, ``too_slow``, ``too_much_memory``.
        :raises UnavailableError: ``renderer_unavailable``, ``renderer_killed``.
        """
        with self._child() as child:
            return child.picture(pixels, size)

    def close(self) -> None:
        """End the children; pictures in the making fail, and those that wait are not begun."""
        with self._changed:
            self._closed = True
            idle, busy = self._idle, list(self._busy)
            self._idle = []
            self._changed.notify_all()
        for child in busy:
            child.kill()
        for child in idle:
            child.end()

    @contextmanager
    def _child(self) -> Iterator[ChildProcess]:
        """Yield a living child that no other thread uses; wait for one if all are busy.

        Each child answers within the limits of time, so that the wait ends.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed)
            if self._closed:
                raise UnavailableError(
                    ErrorCode.RENDERER_KILLED,
                    "No picture was made, because the task is ending. Try again.",
                )
            self._free -= 1
            child = self._idle.pop() if self._idle else None
        try:
            if child is None:
                child = ChildProcess(self._limits, self._sandbox, module=PICTURE_WORKER)
            with self._changed:
                self._busy.add(child)
                if self._closed:
                    child.kill()
            yield child
        finally:
            self._give_back(child)

    def _give_back(self, child: ChildProcess | None) -> None:
        with self._changed:
            self._free += 1
            if child is not None:
                self._busy.discard(child)
                if not (child.dead or self._closed):
                    self._idle.append(child)
                    child = None
            self._changed.notify()
        if child is not None:
            child.end()
