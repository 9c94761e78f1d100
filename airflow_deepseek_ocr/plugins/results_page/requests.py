"""Parameters of the page's requests, and errors as responses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, Query, Request

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter, Visible

#: Longest text of a search; longer than any S3 key.
_MAX_SEARCH = 1_100
#: Airflow's columns of these ids.
_MAX_AIRFLOW_ID = 250
#: The largest id that all databases' columns have.
MAX_ID = 2**63 - 1

#: HTTP statuses of errors; that of others is 503, service unavailable.
_STATUSES = {
    ErrorCode.ARGUMENT: 422,
    ErrorCode.DATABASE_BUSY: 423,
    ErrorCode.DATABASE_SLOW: 504,
    ErrorCode.MISSING_FILE: 404,
    ErrorCode.MISSING_KEY: 404,
    ErrorCode.REVIEW_CONFLICT: 409,
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions on documents, as the page's address has them; empty ones set none."""

    q: str
    status: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None
    since: datetime | None
    until: datetime | None

    def filter(self, visible: Visible) -> DocumentFilter:
        """Return the conditions for the store."""
        return DocumentFilter(
            visible=visible,
            name=self.q or None,
            status=self.status or None,
            dag_id=self.dag_id or None,
            run_id=self.run_id or None,
            task_id=self.task_id or None,
            map_index=self.map_index,
            since=self.since,
            until=self.until,
        )


Id = Annotated[str, Query(max_length=_MAX_AIRFLOW_ID)]


def conditions(
    q: Annotated[str, Query(max_length=_MAX_SEARCH)] = "",
    status: Annotated[str, Query(max_length=16)] = "",
    dag_id: Id = "",
    run_id: Id = "",
    task_id: Id = "",
    map_index: Annotated[int | None, Query(ge=-1, le=2**31 - 1)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Conditions:
    """Return the conditions of a request."""
    return Conditions(
        q=q.strip(),
        status=status,
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        since=_with_zone(since),
        until=_with_zone(until),
    )


Wanted = Annotated[Conditions, Depends(conditions)]


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Convert errors of this package to responses whose text the page shows.

    :raises HTTPException: 503 if the results database cannot be used, or another status of the error's code.
    """
    try:
        yield
    except DeepSeekOCRError as error:
        raise HTTPException(
            _STATUSES.get(error.code, 503), {"code": str(error.code), "message": str(error)}
        ) from None


def require_own_page(request: Request) -> None:
    """Refuse a change that another site's page makes with the person's cookie.

    Browsers send JSON to another host only after asking it, and say where a request comes from.

    :raises HTTPException: 415 without JSON, 403 from another origin.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type != "application/json":
        raise HTTPException(415, "Send JSON with the content type application/json.")
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    elif origin is not None:
        own = {request.headers.get("host", ""), urlsplit(_base_url()).netloc} - {""}
        is_own = urlsplit(origin).netloc in own
    else:
        # Programs send neither; without a browser there is no cookie that another site could use.
        is_own = True
    if not is_own:
        raise HTTPException(403, "Corrections come from the page of results only.")


def _base_url() -> str:
    url: str = conf.get("api", "base_url", fallback="") or ""
    return url
