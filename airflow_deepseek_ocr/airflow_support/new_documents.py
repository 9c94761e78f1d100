"""The search for new documents through Airflow connections, shared by the sensor and the triggers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_deepseek_ocr.airflow_support.connections import (
    DEFAULT_AWS_CONN_ID,
    DEFAULT_DB_CONN_ID,
    load_settings,
    s3_client,
)
from airflow_deepseek_ocr.airflow_support.results_database import document_lists, open_store
from airflow_deepseek_ocr.airflow_support.table_names import TABLE_NAMES, configured_names
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions, seconds
from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import State

#: Warning of sensors and event triggers without a model connection.
ANY_CONFIGURATION = (
    "deepseek_ocr_conn_id is not set: documents that any DAG has processed are not new here, whatever model, "
    "prompt or mode read them, so DAGs that share a bucket take each other's documents. Set it to the "
    "operator's connection, with the operator's options."
)
#: How the ids of the connections and the names of the tables are converted.
CONNECTIONS: dict[str, values.Convert] = {
    "deepseek_ocr_conn_id": values.optional(values.text),
    "aws_conn_id": values.optional(values.text),
    "db_conn_id": values.text,
    **TABLE_NAMES,
}


@dataclass(frozen=True, kw_only=True)
class NewDocuments:
    """A search for new documents.

    :param discovery: which objects count as new documents, and how many are emitted at once.
    :param ocr: how the operator reads them; used only with ``deepseek_ocr_conn_id``.
    :param deepseek_ocr_conn_id: the operator's model connection. With it, a document is new if it has
        no row with the processing configuration of that connection and of the OCR options, which must
        be the operator's; None counts rows of any configuration.
    :param aws_conn_id: connection to S3; None takes the worker's own credentials.
    :param db_conn_id: connection to the results database.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :raises ConfigurationError: ``argument`` if the id of a connection is no text, or a name of the tables is
        none.
    """

    discovery: DiscoveryOptions
    ocr: OcrOptions
    deepseek_ocr_conn_id: str | None = None
    aws_conn_id: str | None = DEFAULT_AWS_CONN_ID
    db_conn_id: str = DEFAULT_DB_CONN_ID
    db_schema: str | None = None
    db_table_prefix: str | None = None

    def __post_init__(self) -> None:
        for name, convert in CONNECTIONS.items():
            object.__setattr__(self, name, convert(name, getattr(self, name)))

    @classmethod
    def of(cls, owner: object) -> NewDocuments:
        """Return the search whose options and connections ``owner`` holds as attributes.

        :raises ConfigurationError: an option has an invalid value.
        """
        return cls(
            discovery=DiscoveryOptions.of(owner),
            ocr=OcrOptions.of(owner),
            **{name: getattr(owner, name) for name in CONNECTIONS},
        )

    @classmethod
    def from_kwargs(cls, **arguments: Any) -> NewDocuments:
        """Return the search that :meth:`as_kwargs` describes.

        :raises ConfigurationError: an option has an invalid value.
        :raises TypeError: an argument is missing or unknown.
        """
        ocr = {name: arguments.pop(name) for name in _names(OcrOptions) if name in arguments}
        connections = {name: arguments.pop(name) for name in CONNECTIONS if name in arguments}
        return cls(discovery=DiscoveryOptions(**arguments), ocr=OcrOptions(**ocr), **connections)

    def as_kwargs(self) -> dict[str, Any]:
        """Return the options and connections as scalars and lists, durations in seconds.

        Airflow 3.2 changes dictionaries, tuples and sets among a trigger's arguments.
        """
        arguments = asdict(self.discovery) | asdict(self.ocr)
        for name in ("minimum_age", "retry_failed_after"):
            arguments[name] = seconds(name, arguments[name])
        plain = {
            name: list(value) if isinstance(value, list | tuple | set | frozenset) else value
            for name, value in arguments.items()
        }
        return plain | {name: getattr(self, name) for name in CONNECTIONS}

    def config_key(self) -> str | None:
        """Return the key of the processing configuration that counts; None counts any.

        :raises ConfigurationError: ``connection`` if a field of the connection has an invalid value.
        """
        if self.deepseek_ocr_conn_id is None:
            return None
        return load_settings(self.deepseek_ocr_conn_id).processing_config(self.ocr).key

    def nothing_new(self, seen: Counter[State]) -> str:
        """Return why a search found nothing, for the log.

        :param seen: listed versions with rows, by state.
        """
        where = f"s3://{self.discovery.bucket}/{self.discovery.prefix}"
        running, known = seen[State.RUNNING], seen.total()
        if not known:
            return f"No new documents in {where}: it has no documents that match."
        others = f", {running:,} of them in work by other tasks" if running else ""
        return f"No new documents in {where}: {counted(known, 'document')} known{others}."

    def find(
        self,
        emitted: Mapping[str, float] | None = None,
        seen: Counter[State] | None = None,
        found: list[str] | None = None,
    ) -> list[Any]:
        """Return batches of new documents in plain JSON types; an empty list if there are none.

        A batch is a list of documents, or names a part of a list that is stored in the results database.

        :param emitted: seconds since documents were emitted, by version key.
        :param seen: receives the number of listed versions with rows, by state.
        :param found: receives the version keys of the documents.
        :raises ConfigurationError: a connection has an invalid value.
        :raises UnavailableError: bucket or database are unreachable.
        """
        discovery = Discovery(self.discovery, self.config_key())
        names = configured_names(self.db_schema, self.db_table_prefix)
        with (
            closing(
                s3_client(self.aws_conn_id, requester_pays=self.discovery.requester_pays)
            ) as client,
            closing(open_store(self.db_conn_id, names=names)) as store,
        ):
            lists = document_lists(store)
            batches = discovery.find(client, store, emitted, seen, lists=lists, found=found)
        return [_plain(batch) for batch in batches]


def count_documents(batches: Iterable[Any]) -> int:
    """Return the number of documents in batches of :meth:`NewDocuments.find`."""
    return sum(
        len(batch) if isinstance(batch, list) else ListSlice.of(batch).count or 0
        for batch in batches
    )


def _plain(batch: list[DocumentRef] | ListSlice) -> Any:
    return batch.as_dict() if isinstance(batch, ListSlice) else [ref.as_dict() for ref in batch]


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]
