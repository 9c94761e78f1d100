"""The end of a task: what it returns, and which errors of its documents are a failure of the task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_deepseek_ocr.counted import counted, listed, shortened
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.printable import printable
from airflow_deepseek_ocr.store.lists.list_slice import LIST_KEY

if TYPE_CHECKING:
    from airflow_deepseek_ocr.pipeline.summary import Summary
    from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists

log = logging.getLogger(__name__)


def return_value(summary: Summary, lists: DocumentLists) -> dict[str, Any]:
    """Return what a task returns, in plain JSON types and of a bounded size.

    :param summary: the batch.
    :param lists: store the list of a batch whose ids are too many, named under ``document_list``, unless the
        database's user may not: the documents are stored, and a failed task would not change that.
    :raises DatabaseError: ``database_unavailable``, ``database_full``.
    """
    returned = summary.as_dict()
    if returned["not_listed"].get("document_ids"):
        ids = sorted(set(summary.document_ids))
        try:
            returned[LIST_KEY] = lists.write_stored(ids, "documents of a task").as_dict()
        except DatabaseError as error:
            if error.code is not ErrorCode.DATABASE_RIGHTS:
                raise
            log.warning(
                "%s cannot be stored as a list; the return value leaves out %s of them. %s",
                counted(len(ids), "document id"),
                f"{returned['not_listed']['document_ids']:,}",
                error,
            )
    return returned


def raise_for(
    summary: Summary,
    *,
    max_failed_pages: object,
    waits_for_others: bool,
    fail_on_document_errors: bool,
) -> None:
    """Raise if the documents' end is a failure of the task.

    :param summary: the batch, with ``over_budget`` by ``max_failed_pages``.
    :param max_failed_pages: the operator's argument, for the message.
    :param waits_for_others: whether documents that other tasks are still reading are a failure.
    :param fail_on_document_errors: whether documents that could not be read are one.
    :raises AirflowException: a retry may succeed.
    :raises AirflowFailException: it would not.
    """
    if summary.retryable:
        raise AirflowException(
            f"{counted(len(summary.retryable), 'document')} could not be read for reasons outside the "
            f"documents, such as {printable(shortened(summary.retryable[0]))}; the reasons are in "
            "ocr_documents. A retry reads only these."
        )
    if summary.failed_exports:
        raise AirflowException(
            f"The exports of {counted(len(summary.failed_exports), 'document')} are missing: "
            f"{listed(summary.failed_exports)}. Their rows are stored; a retry makes the missing exports."
        )
    if summary.leased_by_others and waits_for_others:
        raise AirflowException(
            f"Other tasks are still processing {counted(len(summary.leased_by_others), 'document')}: "
            f"{listed(summary.leased_by_others)}. "
            "A retry waits for them again; raise wait_for_others for longer documents."
        )
    if summary.over_budget:
        raise AirflowFailException(
            f"More pages failed than max_failed_pages={max_failed_pages} allows: "
            f"{listed(summary.over_budget)}. The reasons are in ocr_pages."
        )
    if summary.has_only_wrong_references:
        raise AirflowFailException(
            f"Nothing was read: {listed(summary.failed)}. Correct the argument documents."
        )
    if summary.failed and fail_on_document_errors:
        raise AirflowFailException(
            f"{counted(len(summary.failed), 'document')} could not be read: {listed(summary.failed)}. "
            "The reasons are in ocr_documents."
        )
