"""Settings of the page that shows results in Airflow's UI, and the link to it from a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

from airflow_deepseek_ocr.airflow_support.connections import (
    DEFAULT_AWS_CONN_ID,
    DEFAULT_DB_CONN_ID,
)
from airflow_deepseek_ocr.airflow_support.table_names import CONFIG_SECTION, configured_names

#: Path below Airflow's own; Airflow reserves some others.
URL_PREFIX = "/deepseek-ocr"
#: Name in Airflow's menu and of the link.
TITLE = "OCR results"

#: Options of Airflow's configuration.
ENABLED, DB_CONN_ID, AWS_CONN_ID = (
    "results_page",
    "results_page_db_conn_id",
    "results_page_aws_conn_id",
)
EXPORTS = "results_page_exports"


@dataclass(frozen=True)
class PageSettings:
    """Settings of the page, from Airflow's configuration.

    :param enabled: whether the API server has the page.
    :param db_conn_id: connection of the results database.
    :param aws_conn_id: connection to S3, where exports are.
    :param exports: prefixes of S3, and directories of the API server's host, from which it sends exports.
    """

    enabled: bool = True
    db_conn_id: str = DEFAULT_DB_CONN_ID
    aws_conn_id: str = DEFAULT_AWS_CONN_ID
    exports: tuple[str, ...] = ()

    @classmethod
    def load(cls) -> PageSettings:
        """Return the settings as Airflow's configuration has them."""
        exports = conf.get(CONFIG_SECTION, EXPORTS, fallback="") or ""
        return cls(
            conf.getboolean(CONFIG_SECTION, ENABLED, fallback=True),
            conf.get(CONFIG_SECTION, DB_CONN_ID, fallback=None) or DEFAULT_DB_CONN_ID,
            conf.get(CONFIG_SECTION, AWS_CONN_ID, fallback=None) or DEFAULT_AWS_CONN_ID,
            tuple(each.strip() for each in exports.split(",") if each.strip()),
        )


def base_path() -> str:
    """Return the path of Airflow's own URL, without a slash at its end; mostly empty."""
    url: str = conf.get("api", "base_url", fallback="") or ""
    return urlsplit(url).path.rstrip("/")


class ResultsLink(BaseOperatorLink):
    """The link from a task to the documents that it read."""

    name = TITLE

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page's URL for a task instance; empty if the page shows other tables.

        :param operator: the task, with its templates rendered.
        :param ti_key: ids of the task instance.
        """
        settings = PageSettings.load()
        shown = configured_names()
        own = configured_names(
            getattr(operator, "db_schema", None), getattr(operator, "db_table_prefix", None)
        )
        conn_id = getattr(operator, "db_conn_id", DEFAULT_DB_CONN_ID)
        if not settings.enabled or own != shown or conn_id != settings.db_conn_id:
            return ""
        query = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        if ti_key.map_index is not None and ti_key.map_index >= 0:
            query["map_index"] = str(ti_key.map_index)
        return f"{base_path()}{URL_PREFIX}/?{urlencode(query)}"
