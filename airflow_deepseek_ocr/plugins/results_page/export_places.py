"""The places from which the page sends exports: those of its setting, and the prefix of the connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_deepseek_ocr.connection.fields import DEFAULT_CONN_ID
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.targets.address import ExportAddress, parse_address

#: Seconds after which the connection is read again: a page has many pictures.
_KEEP_S = 60.0


class ExportPlaces:
    """Places of exports; several threads may use it.

    :param setting: prefixes of S3 and directories.
    """

    def __init__(self, setting: Sequence[str]) -> None:
        self._setting = tuple(setting)
        self._lock = threading.Lock()
        self._places: tuple[ExportAddress, ...] = ()
        self._read_at = float("-inf")

    def places(self) -> tuple[ExportAddress, ...]:
        """Return the places.

        :raises ConfigurationError: ``export_to``, ``s3_uri`` if the setting names none.
        """
        with self._lock:
            if time.monotonic() - self._read_at > _KEEP_S:
                given = tuple(parse_address(each) for each in self._setting)
                self._places = given + _of_connection()
                self._read_at = time.monotonic()
            return self._places


def _of_connection() -> tuple[ExportAddress, ...]:
    """Return the prefix to which tasks write by default.

    Not a directory: who may change connections could read each file of the API server.
    """
    try:
        extra: Any = BaseHook.get_connection(DEFAULT_CONN_ID).extra_dejson
        # JSON may be a list.
        export_to = extra.get("export_to") if isinstance(extra, dict) else None
        address = parse_address(str(export_to or ""))
    except (AirflowNotFoundException, ConfigurationError):
        return ()
    return (address,) if address.bucket else ()
