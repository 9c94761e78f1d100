"""Options of a pipeline, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from airflow_deepseek_ocr.hardware.cpu_limits import default_render_processes
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget
from airflow_deepseek_ocr.store.leases import DEFAULT_LEASE


@dataclass(frozen=True, kw_only=True)
class PipelineOptions:
    """How documents are processed, apart from the processing configuration; none changes the text.

    :param limits: limits on a document's size and on the time and memory of rendering.
    :param sandbox: restrictions of the process that decodes documents.
    :param overwrite: process documents again that are stored already.
    :param read_attachments: read attached PDFs and images as separate documents.
    :param budget: how many pages of a document may fail.
    :param lease: time after which other tasks may reclaim the documents of a task that died.
    :param render_processes: processes that render pages at the same time, at most; at least one.
    :param wait_for_others: longest wait, at the end, for documents that other tasks have leased; they are
        processed if those tasks die. None does not wait. The default is five leases: long enough for a
        dead task's documents, short enough for a slot of Airflow's.
    """

    limits: Limits = field(default_factory=Limits)
    sandbox: Sandbox = Sandbox.AUTO
    render_processes: int = field(default_factory=default_render_processes)
    overwrite: bool = False
    read_attachments: bool = False
    budget: ErrorBudget = field(default_factory=ErrorBudget)
    lease: timedelta = DEFAULT_LEASE
    wait_for_others: timedelta | None = timedelta(minutes=10)
