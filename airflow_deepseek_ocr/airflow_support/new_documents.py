"""New documents in S3, found through Airflow connections; shared by the sensor and its triggers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.sources.s3 import Listing


@dataclass(frozen=True)
class NewDocuments:
    """A search for new documents, made of scalars and lists so that triggers can carry it.

    :param bucket: the bucket.
    :param prefix: keys start with this.
    :param suffixes: keys end with one of these, in any case; None takes all.
    :param glob: keys match this pattern; None takes all.
    :param minimum_age_s: seconds since the object was last modified.
    :param with_version_ids: identify versions by version ids, in a bucket that keeps versions.
    :param config_key: documents read by another recipe count as new; None counts any.
    :param batch_size: documents in a batch.
    :param max_documents: documents handed on at once.
    :param retry_failed_after_s: seconds after which a failure that was not the document's own
        makes it new again.
    :param aws_conn_id: the connection to S3.
    :param db_conn_id: the connection to the results database.
    """

    bucket: str
    prefix: str
    suffixes: list[str] | None
    glob: str | None
    minimum_age_s: float
    with_version_ids: bool
    config_key: str | None
    batch_size: int
    max_documents: int
    retry_failed_after_s: float
    aws_conn_id: str | None
    db_conn_id: str

    def as_kwargs(self) -> dict[str, Any]:
        """Arguments that make an equal one."""
        return asdict(self)

    def find(self, handed_on: Mapping[str, float] | None = None) -> list[list[dict[str, Any]]]:
        """Batches of new documents in plain JSON types; empty if there are none.

        :param handed_on: how many seconds ago documents were handed on, by version key.
        :raises ConfigurationError: a connection or a setting is wrong.
        :raises UnavailableError: bucket or database are out of reach.
        """
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        discovery = Discovery(
            listing=Listing(
                bucket=self.bucket,
                prefix=self.prefix,
                suffixes=None if self.suffixes is None else tuple(self.suffixes),
                glob=self.glob,
                minimum_age=timedelta(seconds=self.minimum_age_s),
                with_version_ids=self.with_version_ids,
            ),
            config_key=self.config_key,
            batch_size=self.batch_size,
            max_documents=self.max_documents,
            retry_failed_after=timedelta(seconds=self.retry_failed_after_s),
        )
        client = S3Hook(aws_conn_id=self.aws_conn_id).get_conn()
        with closing(open_store(self.db_conn_id)) as store:
            batches = discovery.find(client, store, handed_on)
        return [[ref.as_dict() for ref in batch] for batch in batches]
