"""Comparison of bucket and database: lost, doubled, mixed and open documents."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.tables import PROCESSING, DocumentRow, PageRow, RegionRow
from tests.chaos.documents import PageId


@dataclass(frozen=True)
class Version:
    """One version of one document, as it was uploaded.

    :param text_known: whether the engine's text is known beforehand.
    """

    uri: str
    document: int
    version: int
    pages: int
    body_md5: str
    text_known: bool

    @classmethod
    def of(
        cls, uri: str, document: int, version: int, pages: int, body: bytes, *, text_known: bool
    ) -> Version:
        """A version of that content; S3's ETag of it is its MD5."""
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return cls(uri, document, version, pages, md5, text_known)


@dataclass
class Findings:
    """What an audit found; all lists are empty where all promises were kept."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    read_though_stored: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    documents: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    regions: int = 0
    reads: int = 0
    reads_again: int = 0
    reads_after_loss: int = 0
    model_reads: int = 0

    @property
    def broken(self) -> dict[str, list[str]]:
        """The promises that were not kept."""
        promises = ("lost", "doubled", "mixed", "stuck", "read_though_stored", "exports")
        return {name: found for name in promises if (found := getattr(self, name))}


def audit(
    url: str, current: Iterable[Version], older: Iterable[Version], event_log: Path | None
) -> Findings:
    """Compare the uploads with the rows.

    :param url: SQLAlchemy's, of the results database.
    :param current: the versions that are in the bucket.
    :param older: those that were overwritten; each may have been read or not.
    :param event_log: file with reads and writes; None if there is none.
    """
    findings = Findings()
    versions = dict.fromkeys(current, True) | dict.fromkeys(older, False)
    engine = create_engine(url)
    try:
        with Session(engine) as session:
            _rows(session, findings, versions)
    finally:
        engine.dispose()
    if event_log is not None:
        _check_event_log(event_log, findings, versions)
    return findings


def _rows(session: Session, findings: Findings, versions: Mapping[Version, bool]) -> None:
    documents = defaultdict(list)
    for row in session.scalars(select(DocumentRow)):
        documents[row.uri, row.version].append(row)
        findings.documents[row.status] += 1
        if row.status == PROCESSING or row.lease_expires_at is not None:
            findings.stuck.append(f"{row.uri} {row.version}: {row.status}")
    pages = defaultdict(list)
    for page in session.scalars(select(PageRow)):
        pages[page.document_id].append(page)
    regions: dict[int, list[int]] = defaultdict(list)
    query = select(RegionRow.page_id, RegionRow.position).order_by(RegionRow.position)
    for page_id, position in session.execute(query):
        regions[page_id].append(position)
    findings.pages, findings.regions = (
        session.scalar(select(func.count()).select_from(table)) or 0
        for table in (PageRow, RegionRow)
    )
    of_documents = {row.id for rows in documents.values() for row in rows}
    of_pages = {page.id for some in pages.values() for page in some}
    findings.mixed += [f"pages of no document {i}" for i in pages.keys() - of_documents]
    findings.mixed += [f"regions of no page {i}" for i in regions.keys() - of_pages]
    for version, is_current in versions.items():
        name = f"{version.uri} {version.version}"
        found = documents.pop((version.uri, version.body_md5), [])
        if len(found) > 1:
            findings.doubled.append(f"{name}: {len(found)} rows")
        if not found and is_current:
            findings.lost.append(f"{name}: no row")
        for row in found:
            _document(row, pages[row.id], regions, version, findings, must_be_read=is_current)
    for (uri, _), rows in documents.items():
        # Before a version is known a failure has a row without one.
        findings.mixed += [f"{uri} {row.version}: was never uploaded" for row in rows if row.etag]


def _document(
    row: DocumentRow,
    pages: list[PageRow],
    regions: Mapping[int, list[int]],
    version: Version,
    findings: Findings,
    *,
    must_be_read: bool,
) -> None:
    name = f"{version.uri} {version.version}"
    numbers = [page.page_number for page in pages]
    if len(set(numbers)) != len(numbers):
        findings.doubled.append(f"{name}: pages {sorted(numbers)}")
    expected = set(range(1, version.pages + 1))
    if set(numbers) - expected:
        findings.mixed.append(f"{name}: pages {sorted(set(numbers) - expected)} are none of its")
    read = row.status == "done" or (not version.text_known and not row.retryable)
    if (must_be_read or row.status == "done") and (not read or expected - set(numbers)):
        findings.lost.append(
            f"{name}: {row.status} {row.error_code}, {len(pages)} of {version.pages} pages"
        )
    for page in pages:
        found = regions.get(page.id, [])
        if found != list(range(len(found))):
            findings.doubled.append(f"{name}, page {page.page_number}: regions {found}")
        if version.text_known:
            expected_page = PageId(version.document, version.version, page.page_number)
            if page.text != expected_page.text():
                findings.mixed.append(f"{name}, page {page.page_number}: {page.text[:60]!r}")
            if len(found) != expected_page.regions:
                findings.lost.append(f"{name}, page {page.page_number}: {len(found)} regions")


def _check_event_log(path: Path, findings: Findings, versions: Iterable[Version]) -> None:
    """Reads that were for nothing.

    Those of a page that was in flight when its task died are allowed; so are those of a task that
    was stopped or cut off past its lease, until it learns that another task reclaimed it. Such a task may
    have claimed a document that it begins to read only afterwards, so the claims tell whose it is.
    """
    names = {each.body_md5: (str(each.document), str(each.version)) for each in versions}
    stored: dict[str, float] = {}
    seen: set[str] = set()
    readers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else ():
        when, what, reader, page = line.split(" ", 3)
        if what == "stored":
            stored.setdefault(page, float(when))
            continue
        if what == "model":
            findings.model_reads += 1
            continue
        if what == "claimed":
            # The page is the ETag of the document's version.
            if page in names:
                claims = readers[names[page]]
                claims[:] = [each for each in claims if each != reader] + [reader]
            continue
        document, version, _ = page.split(" ")
        if reader not in (known := readers[document, version]):
            known.append(reader)
        findings.reads += 1
        findings.reads_again += page in seen
        findings.reads_after_loss += known[-1] != reader
        seen.add(page)
        if page in stored and float(when) > stored[page] and known[-1] == reader:
            findings.read_though_stored.append(f"document, version, page {page}")
