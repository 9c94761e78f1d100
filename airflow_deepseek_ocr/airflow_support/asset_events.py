"""The documents of the asset events that started a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_deepseek_ocr.airflow_support.connections import DEFAULT_DB_CONN_ID
from airflow_deepseek_ocr.airflow_support.documents import references
from airflow_deepseek_ocr.airflow_support.results_database import document_lists, open_store
from airflow_deepseek_ocr.airflow_support.table_names import configured_names
from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import first_batches
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice, joined
from airflow_deepseek_ocr.store.names import Names

log = logging.getLogger(__name__)

_ORIGIN = "events of a run"


def documents_of_events(
    events: Iterable[Any],
    batch_size: int = DiscoveryOptions.batch_size,
    *,
    db_conn_id: str = DEFAULT_DB_CONN_ID,
    db_schema: str | None = None,
    db_table_prefix: str | None = None,
) -> list[Any]:
    """Return the documents of all events in batches, each document version once.

    A run may have the events of days: those that came while the DAG was paused, or while its earlier run
    lasted. If their documents have more than 1 MiB as JSON, they are stored as a list in the results
    database, and the batches are parts of it, as those of the sensor. Batches that name parts of stored lists
    follow as they are, each once. Batches are larger than ``batch_size``, and parts are cut anew, if there
    would be more of them than ``[core] max_map_length``, over which no task can be mapped.

    :param events: ``triggering_asset_events[asset]`` of the run. Events without documents, such as those
        that a person made in the UI, are left out.
    :param batch_size: documents per batch, and so per mapped task.
    :param db_conn_id: the operator's connection to the results database, used only for a long list.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :raises ConfigurationError: ``document_reference`` if an event has something else in place of documents;
        ``argument`` if ``batch_size`` is no whole number of at least 1.
    :raises DatabaseError: ``database_unavailable``, ``database_full``.
    """
    size = values.count("batch_size", batch_size)
    documents, parts = _found(events)
    if not _are_short(documents):
        names = configured_names(db_schema, db_table_prefix)
        if (whole := _stored(documents, db_conn_id, names)) is not None:
            documents, parts = [], [*whole.parts(size), *parts]
    most = conf.getint("core", "max_map_length", fallback=1024)
    if math.ceil(len(documents) / size) + len(parts) > most:
        size, parts = _larger(size, len(documents), joined(parts), most)
    batches = chunks((ref.as_dict() for ref in documents), size)
    return [*batches, *(part.as_dict() for part in parts)]


def _found(events: Iterable[Any]) -> tuple[list[DocumentRef], list[ListSlice]]:
    """Return the documents in events, and the parts of lists that they name, each once."""
    documents = dict[str, DocumentRef]()
    parts = dict[ListSlice, None]()
    for event in events:
        payload = (event.extra or {}).get("payload")
        if isinstance(payload, Mapping):
            for ref in references(payload.get("documents") or []):
                if isinstance(ref, ListSlice):
                    parts[ref] = None
                else:
                    documents[ref.version_key] = ref
    return list(documents.values()), list(parts)


def _are_short(documents: Sequence[DocumentRef]) -> bool:
    """Return whether an XCom can hold all of them."""
    (first,) = first_batches(documents, len(documents), len(documents)) if documents else ([],)
    return len(first) == len(documents)


def _larger(
    size: int, documents: int, parts: Sequence[ListSlice], most: int
) -> tuple[int, list[ListSlice]]:
    """Return the size of batches of which there are no more than ``most``, and parts of that size.

    :param size: the least size.
    :param documents: number of documents beside the parts.
    :param parts: parts of lists, none of which shares a batch with another one.
    """
    counts = [documents, *(each.count for each in parts if each.count is not None)]
    unknown = sum(each.count is None for each in parts)
    # A sum of quotients that are rounded up is below the quotient of the sum, plus the number of terms.
    size = max(size, math.ceil(sum(counts) / max(1, most - unknown - sum(map(bool, counts)) + 1)))
    return size, [
        part for each in parts for part in ([each] if each.count is None else each.parts(size))
    ]


def _stored(documents: Sequence[DocumentRef], db_conn_id: str, names: Names) -> ListSlice | None:
    """Store a list; return None if the database's user may not."""
    try:
        with closing(open_store(db_conn_id, names=names)) as store:
            whole = document_lists(store).write(documents, _ORIGIN)
    except DatabaseError as error:
        if error.code is not ErrorCode.DATABASE_RIGHTS:
            raise
        log.warning(
            "The events name more documents than an XCom should hold, and they cannot be stored as a list: "
            "Airflow stores all of them. %s",
            error,
        )
        return None
    log.info(
        "The list of the %s documents of the events is stored in the results database, as %s.",
        f"{whole.count:,}",
        whole.key,
    )
    return whole
