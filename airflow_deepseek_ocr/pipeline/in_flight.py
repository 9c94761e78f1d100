"""A document that the pipeline is processing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.leases import Lease

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Reading:
    """A document on its way; ``lost`` if another task took it over."""

    ref: DocumentRef
    lease: Lease | None = None
    media_type: str = ""
    page_count: int = 0
    pages: int = 0
    awaited: set[int] = field(default_factory=set)
    lost: bool = False

    @property
    def held_lease(self) -> Lease:
        """The lease of a claimed document."""
        assert self.lease is not None  # noqa: S101 - pages exist of claimed documents only
        return self.lease
