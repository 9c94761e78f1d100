"""What a batch read and wrote, for OpenLineage; imported only where its provider is installed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
)
from sqlalchemy import Engine

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.sources.s3_uri import split_uri
from airflow_deepseek_ocr.store.names import (
    DOCUMENTS,
    EXPORTS,
    PAGES,
    REGIONS,
    TABLE_CELLS,
    TABLES,
    Names,
)

log = logging.getLogger(__name__)

#: Documents that an event names, at most: a task may have many thousands, and servers of lineage limit the
#: size of an event.
MAX_INPUTS = 100
#: Key of the run facet: a prefix of this package and the name, as OpenLineage has it for custom facets.
FACET = "deepseekOcr_batch"
#: Scheme of the namespace and default port of databases, by SQLAlchemy's name: OpenLineage's naming of
#: datasets.
_DATABASES = {
    "postgresql": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
}


@attr.define(kw_only=True)
class BatchFacet(RunFacet):
    """The settings and counts of a batch, as facet of a run.

    The counts are those of :class:`~airflow_deepseek_ocr.pipeline.summary.Summary`.

    :ivar version: version of this package.
    :ivar model: the configured model.
    :ivar revision: its revision; empty for none.
    :ivar configuration_key: the processing configuration, as in the tables (``config_key``).
    :ivar inputs: documents of the batch.
    :ivar inputs_left_out: those that the event does not name.
    """

    version: str
    model: str
    revision: str
    prompt: str
    resolution: str
    configuration_key: str
    inputs: int
    inputs_left_out: int
    documents: dict[str, int]
    failed_codes: dict[str, int]
    pages: int
    pages_by_status: dict[str, int]
    failed_pages: int
    retried_attempts: int
    text_tokens: int
    vision_tokens: int

    #: Airflow masks values whose name contains ``token`` or ``key``.
    _additional_skip_redact: ClassVar[list[str]] = [
        "configuration_key",
        "text_tokens",
        "vision_tokens",
    ]


def batch_lineage(documents: Iterable[DocumentRef], pipeline: Pipeline | None) -> OperatorLineage:
    """Return the lineage of a batch.

    :param documents: the documents of the batch.
    :param pipeline: the pipeline that processed them; None if the task failed before there was one.
    """
    refs = {ref.uri: ref for ref in documents}
    inputs = [_input(ref) for ref in list(refs.values())[:MAX_INPUTS]]
    if pipeline is None:
        return OperatorLineage(inputs=inputs)
    return OperatorLineage(
        inputs=inputs,
        outputs=list(_outputs(pipeline)),
        run_facets={FACET: _facet(pipeline, len(refs))},
    )


def _input(ref: DocumentRef) -> Dataset:
    facets: dict[str, DatasetFacet] = {}
    if ref.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(ref.version)
    namespace, name = dataset_name(ref.uri)
    return InputDataset(namespace=namespace, name=name, facets=facets)


def dataset_name(uri: str) -> tuple[str, str]:
    """Return namespace and name of a file or directory.

    :param uri: its address.
    """
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    if scheme == "file":
        return "file", unquote(rest).rstrip("/") or "/"
    authority, _, name = rest.partition("/")
    if scheme == "s3":
        try:
            # The bucket may be the ARN of an access point, which has slashes.
            authority, name = split_uri(uri)
        except DeepSeekOCRError:
            log.debug("%s is no address in S3; it is an input under its own name.", uri)
    return f"{scheme}://{authority}", name.rstrip("/") or "/"


def _outputs(pipeline: Pipeline) -> Iterator[Dataset]:
    """Yield the tables, whether this batch had rows for them or not, and the place of exports."""
    summary, names = pipeline.summary, pipeline.database.names
    tables = [DOCUMENTS, PAGES, REGIONS, TABLES, TABLE_CELLS]
    if pipeline.exports is not None:
        tables.append(EXPORTS)
    for table in tables:
        namespace, name = table_name(pipeline.database.engine, names, table)
        yield _output(namespace, name, rowCount=summary.pages if table == PAGES else None)
    if pipeline.exports is not None:
        namespace, name = dataset_name(pipeline.exports.target.uri(""))
        written = summary.exports
        yield _output(namespace, name, fileCount=written["files"], size=written["bytes"])


def _output(namespace: str, name: str, **statistics: Any) -> Dataset:
    facets: dict[str, OutputDatasetFacet] = {}
    if any(count is not None for count in statistics.values()):
        facets["outputStatistics"] = (
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(**statistics)
        )
    return OutputDataset(namespace=namespace, name=name, outputFacets=facets)


def table_name(engine: Engine, names: Names, table: str) -> tuple[str, str]:
    """Return namespace and name of a table, as OpenLineage names those of PostgreSQL and MySQL.

    :param engine: the database.
    :param names: prefix and schema.
    :param table: the table without its prefix.
    """
    url, schema = engine.url, names.schema
    database = url.database or ""
    if (known := _DATABASES.get(engine.dialect.name)) is None:
        # SQLite has no convention: the file, and the table in it.
        return "sqlite", f"{database}.{names.table(table)}"
    scheme, port = known
    namespace = f"{scheme}://{url.host or 'localhost'}:{url.port or port}"
    if scheme == "mysql":
        return namespace, f"{schema or database}.{names.table(table)}"
    # Known once the engine has connected: the first schema of its search path.
    schema = schema or engine.dialect.default_schema_name or "public"
    return namespace, f"{database}.{schema}.{names.table(table)}"


def _facet(pipeline: Pipeline, inputs: int) -> BatchFacet:
    config, summary = pipeline.config, pipeline.summary
    return BatchFacet(
        version=__version__,
        model=config.model,
        revision=config.revision,
        prompt=config.prompt,
        resolution=config.resolution,
        configuration_key=config.key,
        inputs=inputs,
        inputs_left_out=max(0, inputs - MAX_INPUTS),
        **_counts(summary),
    )


def _counts(summary: Summary) -> Mapping[str, Any]:
    return {
        "documents": dict(summary.documents),
        "failed_codes": dict(summary.failed_codes),
        "pages": summary.pages,
        "pages_by_status": dict(summary.statuses),
        "failed_pages": summary.failed_pages,
        "retried_attempts": summary.retried_attempts,
        "text_tokens": summary.text_tokens,
        "vision_tokens": summary.vision_tokens,
    }
