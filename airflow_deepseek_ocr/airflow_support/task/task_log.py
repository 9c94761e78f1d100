"""The lines of a task's log about the batch as a whole: its documents, its progress, its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf

from airflow_deepseek_ocr.airflow_support.results_page import TITLE, ResultsLink
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.printable import printable
from airflow_deepseek_ocr.quiet_loggers import quiet_loggers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow_deepseek_ocr.ocr.engine_protocol import Progress
    from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
    from airflow_deepseek_ocr.store.row_values import TaskInfo

#: Seconds between two lines about progress.
_PROGRESS_EVERY_S = 30.0
#: Airflow's UI folds the lines between these, and shows the first one's text.
_GROUP, _END_OF_GROUP = "::group::", "::endgroup::"
#: Loggers that write a line for each client or request of a task, at the level of its results. Airflow's own
#: providers log beside the standard library, so their levels are those of ``[logging] namespace_levels``.
_CHATTY = ("botocore.credentials", "httpx")
_MB = 1e6
#: Longest URI in the line about the documents of the batch, in characters.
_MAX_NAME = 300


class TaskLog:
    """Writes the lines about a batch.

    :param log: the task's log.
    :param operator: the operator, with its templates rendered.
    """

    def __init__(self, log: Any, operator: Any) -> None:
        self._log, self._operator = log, operator
        self._last_progress = time.monotonic()

    def found(self, documents: Sequence[DocumentRef]) -> None:
        """Write how many documents there are, and which.

        :param documents: the batch.
        """
        if not documents:
            return
        sizes = [ref.size for ref in documents if ref.size is not None]
        size = f" of {sum(sizes) / _MB:,.1f} MB" if len(sizes) == len(documents) else ""
        names = first_and_last([[{"uri": ref.uri} for ref in (documents[0], documents[-1])]])
        self._log.info("%s%s%s.", counted(len(documents), "document"), size, names)

    def progress(self, pipeline: Pipeline) -> Callable[[Progress], None]:
        """Return a function that writes how far the batch is, now and then.

        :param pipeline: processes the batch.
        """

        def write(progress: Progress) -> None:
            if time.monotonic() - self._last_progress >= _PROGRESS_EVERY_S:
                self._last_progress = time.monotonic()
                self._log.info("%s", pipeline.progress_line(progress))

        return write

    def group(self, title: str, text: str) -> None:
        """Write lines that Airflow's UI shows folded.

        :param title: what they are.
        :param text: the lines.
        """
        self._log.info("%s%s", _GROUP, title)
        self._log.info("%s", text)
        self._log.info("%s", _END_OF_GROUP)

    def ended(self, pipeline: Pipeline, seconds: float, task: TaskInfo) -> None:
        """Write the table of the batch, also of one that ended early.

        :param pipeline: processed the batch.
        :param seconds: since the start of the task.
        :param task: the task instance, for the link to its results.
        """
        names, engine = pipeline.database.names, pipeline.database.engine
        schema = f"{names.schema}." if names.schema else ""
        database = f"{engine.dialect.name}, connection {self._operator.db_conn_id}"
        places = [("rows", f"{schema}{names.table('ocr_documents')} and others ({database})")]
        if pipeline.exports is not None:
            places.append(("files", pipeline.exports.target.uri("")))
        if link := results_url(self._operator, task):
            places.append((TITLE.lower(), link))
        self._log.info("%s", pipeline.table(seconds, places))


def results_url(operator: Any, task: TaskInfo) -> str:
    """Return the whole address of the page with a task's documents; empty if Airflow's own is unknown.

    :param operator: the task, with its templates rendered.
    :param task: the task instance.
    """
    try:
        base = urlsplit(conf.get("api", "base_url", fallback="") or "")
        if not (base.scheme and base.netloc) or task.run_id is None:
            return ""
        link = ResultsLink().get_link(operator, ti_key=task)
    # An option of the API server without a valid value must not fail a task that has read its documents.
    # Airflow's error of configuration has another class in each release.
    except Exception:
        return ""
    return f"{base.scheme}://{base.netloc}{link}" if link else ""


def less_noise() -> AbstractContextManager[None]:
    """Return a context in which other programs write no lines about each client and request."""
    return quiet_loggers(*_CHATTY, level=logging.WARNING)


def first_and_last(batches: Sequence[Any]) -> str:
    """Return the names of the first and the last document, after a colon.

    :param batches: of :meth:`NewDocuments.find`; those of a stored list have no names.
    """
    if not batches or not all(isinstance(each, list) and each for each in batches):
        return ""
    uris = (batches[0][0]["uri"], batches[-1][-1]["uri"])
    return ": " + " to ".join(dict.fromkeys(printable(uri[:_MAX_NAME]) for uri in uris))
