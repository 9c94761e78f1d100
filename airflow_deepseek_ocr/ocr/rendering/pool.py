"""Several rendering processes that work on pages of one document, or of many, at the same time.

Each process has a thread here, and starts when a page waits for it. A process prefers pages of the document
that it has open; a document is open in several processes if it has enough pages.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.conversions.picture_maker import PictureMaker
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.renderer import Deaths, Renderer
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox

if TYPE_CHECKING:
    from PIL import Image


#: Pages in memory that were rendered when no other work waited, for each process: one is rendered, the other
#: encoded.
_LATER_PER_PROCESS = 2


@dataclass(eq=False)
class SharedDocument:
    """A document file that any process may open.

    :param path: a local file, which exists as long as pages may be rendered.
    :param request: the pages to read, and the measures to take of them.
    :ivar deaths: processes that died of the document.
    :ivar over: whether no page of it is rendered any more.
    """

    path: Path
    request: OpenRequest

    def __post_init__(self) -> None:
        self.deaths, self.over = Deaths(), False


@dataclass(eq=False)
class _Job:
    """Work on a document in some process.

    :param document: None for work without one.
    :param work: receives the open document, or the renderer without one.
    """

    document: SharedDocument | None
    work: Callable[[Any], Any]
    result: Future[Any]


class _Worker:
    """A thread and its process.

    :ivar document: the document that the process has open.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox) -> None:
        self.renderer = Renderer(limits, sandbox)
        self.document: SharedDocument | None = None
        self._opened: Document | None = None

    def run(self, job: _Job) -> None:
        if not job.result.set_running_or_notify_cancel():
            return
        try:
            subject = self.renderer if job.document is None else self._open(job.document)
            result = job.work(subject)
        except BaseException as error:
            job.result.set_exception(error)
        else:
            job.result.set_result(result)

    def _open(self, document: SharedDocument) -> Document:
        if self._opened is None or self.document is not document:
            self.document = self._opened = None
            # Opening a document closes the one before in the process.
            self._opened = self.renderer.open_request(
                document.path, document.request, document.deaths
            )
            self.document = document
        return self._opened

    @property
    def keeps_old_document(self) -> bool:
        return self.document is not None and self.document.over

    def forget(self) -> None:
        """Close the document that the process has open: it may be large, and its file deleted."""
        opened, self.document, self._opened = self._opened, None, None
        if opened is not None:
            opened.close()


class RenderPool:
    """Rendering processes; several threads may use the pool.

    :param limits: limits of each document. ``max_page_memory`` limits each process.
    :param sandbox: restrictions of each process.
    :param processes: number of processes, at most.
    :ivar pictures: makes pictures of rendered pages, in half as many processes.
    :ivar later_room: held by threads that work with a page of :meth:`submit_later`, so that only so many
        wait in memory whichever documents they belong to.
    """

    def __init__(self, limits: Limits, sandbox: Sandbox = Sandbox.AUTO, processes: int = 1) -> None:
        self._limits, self._sandbox, self.processes = limits, sandbox, max(1, processes)
        self.pictures = PictureMaker(limits, sandbox, self.processes // 2)
        self.later_room = threading.BoundedSemaphore(_LATER_PER_PROCESS * self.processes)
        self._changed = threading.Condition()
        self._urgent: deque[_Job] = deque()
        self._jobs: deque[_Job] = deque()
        self._later: deque[_Job] = deque()
        self._queues = (self._urgent, self._jobs, self._later)
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._idle, self._closed = 0, False

    def require_sandbox(self) -> None:
        """See :meth:`Renderer.require_sandbox`."""
        if self._sandbox is Sandbox.REQUIRED:
            self._submit(None, Renderer.require_sandbox).result()

    def submit(
        self, document: SharedDocument, work: Callable[[Document], Any], done: Callable[[], None]
    ) -> Future[Any]:
        """Let some process work on a document.

        :param document: opened before the work, if it is not open in that process.
        :param work: called in another thread; its errors and those of opening are the future's.
        :param done: called in another thread when the future has its result.
        """
        future = self._submit(document, work)
        future.add_done_callback(lambda _: done())
        return future

    def submit_later(
        self, document: SharedDocument, work: Callable[[Document], Any]
    ) -> Future[Any]:
        """Let some process work on a document when no other work waits.

        :param work: as for :meth:`submit`.
        """
        return self._submit(document, work, self._later)

    def render_again(self, document: SharedDocument, number: int) -> Image.Image:
        """Return the image of a page, before pages that are rendered for the first time.

        :raises DocumentError, UnavailableError: see :meth:`Document.page`.
        """
        page: Page = self._submit(
            document, lambda opened: opened.page(number), self._urgent
        ).result()
        return page.image

    def finish(self, document: SharedDocument) -> None:
        """Let the processes close a document of which no page is rendered any more."""
        with self._changed:
            document.over = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the processes; work that has not begun is cancelled."""
        with self._changed:
            self._closed = True
            waiting = [job for jobs in self._queues for job in jobs]
            for jobs in self._queues:
                jobs.clear()
            self._changed.notify_all()
            workers, threads = list(self._workers), list(self._threads)
        for job in waiting:
            job.result.cancel()
        for worker in workers:
            worker.renderer.kill()
        self.pictures.close()
        for thread in threads:
            thread.join()

    def _submit(
        self,
        document: SharedDocument | None,
        work: Callable[[Any], Any],
        jobs: deque[_Job] | None = None,
    ) -> Future[Any]:
        job = _Job(document, work, Future())
        with self._changed:
            if self._closed:
                job.result.cancel()
                return job.result
            (self._jobs if jobs is None else jobs).append(job)
            waiting = sum(map(len, self._queues))
            if self._idle < waiting and len(self._workers) < self.processes:
                self._start_worker()
            self._changed.notify()
        return job.result

    def _start_worker(self) -> None:
        worker = _Worker(self._limits, self._sandbox)
        thread = threading.Thread(target=self._serve, args=(worker,), name="render", daemon=True)
        self._workers.append(worker)
        self._threads.append(thread)
        thread.start()

    def _serve(self, worker: _Worker) -> None:
        try:
            while self._wait(worker):
                job = self._next(worker)
                if job is None:
                    worker.forget()
                else:
                    worker.run(job)
                # The future has the result; nothing here keeps the image.
                del job
        finally:
            worker.renderer.close()

    def _wait(self, worker: _Worker) -> bool:
        """Wait until the worker has something to do; return False when the pool is closed."""
        with self._changed:
            self._idle += 1
            try:
                self._changed.wait_for(
                    lambda: self._closed or any(self._queues) or worker.keeps_old_document
                )
            finally:
                self._idle -= 1
            return not self._closed

    def _next(self, worker: _Worker) -> _Job | None:
        """Return the worker's next job; None if there is none."""
        with self._changed:
            if self._urgent:
                return self._urgent.popleft()
            jobs = self._jobs or self._later
            for job in jobs:
                if job.document is worker.document is not None:
                    jobs.remove(job)
                    return job
            return jobs.popleft() if jobs else None
