"""The documents of the asset events that started a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_deepseek_ocr.airflow_support.documents import references
from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice


def documents_of_events(
    events: Iterable[Any], batch_size: int = DiscoveryOptions.batch_size
) -> list[Any]:
    """Return the documents of all events in batches, each document version once.

    Batches that name parts of stored lists follow as they are, each once.

    A run may have the events of hours: those that came while the DAG was paused, or while its earlier run
    lasted. Their batches are filled, and larger than ``batch_size`` if there would be more of them than
    ``[core] max_map_length``, over which no task can be mapped.

    :param events: ``triggering_asset_events[asset]`` of the run. Events without documents, such as those
        that a person made in the UI, are left out.
    :param batch_size: documents per batch, and so per mapped task.
    :raises ConfigurationError: ``document_reference`` if an event has something else in place of documents;
        ``argument`` if ``batch_size`` is no whole number of at least 1.
    """
    size = values.count("batch_size", batch_size)
    found = {}
    parts = dict[ListSlice, Any]()
    for event in events:
        payload = (event.extra or {}).get("payload")
        if isinstance(payload, Mapping):
            for ref in references(payload.get("documents") or []):
                if isinstance(ref, ListSlice):
                    parts[ref] = ref.as_dict()
                else:
                    found[ref.version_key] = ref.as_dict()
    most = conf.getint("core", "max_map_length", fallback=1024) - len(parts)
    size = max(size, math.ceil(len(found) / max(1, most)))
    return [*chunks(found.values(), size), *parts.values()]
