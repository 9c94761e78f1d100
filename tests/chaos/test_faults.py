"""Chaos runs end with every document stored once; and the harness notices when they do not."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.ocr.fingerprint import document_key
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.pipeline.exports.exporter import Exporter
from airflow_deepseek_ocr.pipeline.exports.original import Original
from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.pages.exported_documents import read_document, write_exports
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from airflow_deepseek_ocr.targets.names import directory_of
from tests.chaos.__main__ import run, table
from tests.chaos.audit import Findings, Version, audit
from tests.chaos.chaos_run import Plan, Report
from tests.chaos.documents import PageId, make_pdf
from tests.chaos.export_audit import audit_exports
from tests.support.fakes.batch_engine import CONFIG

pytestmark = pytest.mark.timeout(600)


def chaos_run(plan: Plan, database: str, directory: Path) -> Report:
    report = run(plan, database, directory)
    print(table(plan, database, report))
    assert report.findings.broken == {}
    assert sum(report.faults.values()) == plan.faults
    assert report.findings.documents["done"] >= plan.documents
    return report


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    first = "model server killed"
    plan = Plan(25, seed=1, documents=8, pages=8, pause_s=1.5, timeout_s=240.0, first=first)
    report = chaos_run(plan, "postgres", tmp_path)
    assert report.struck_pages >= report.faults[first] > 0


@pytest.mark.slow
def test_nothing_is_lost_when_one_of_several_servers_is_killed_again_and_again(
    tmp_path: Path,
) -> None:
    first = "model server killed"
    plan = Plan(
        12, seed=4, documents=8, pages=8, pause_s=1.5, timeout_s=240.0, servers=3, first=first
    )
    report = chaos_run(plan, "sqlite", tmp_path)
    assert report.struck_pages >= report.faults[first] > 0


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgres", "mariadb", "mysql", "sqlite"])
def test_nothing_is_lost_or_doubled_on_any_database(database: str, tmp_path: Path) -> None:
    chaos_run(Plan(faults=150, seed=2, documents=40), database, tmp_path)


@pytest.mark.slow
def test_nothing_is_lost_with_the_small_checkpoint(tmp_path: Path) -> None:
    plan = Plan(faults=20, seed=3, documents=6, pages=5, page_s=None, pause_s=2.0, lease_s=10.0)
    chaos_run(plan, "postgres", tmp_path)


@pytest.mark.slow
def test_searchable_pdfs_are_whole_or_missing(tmp_path: Path) -> None:
    exports = ("pdf", "alto", "text")
    chaos_run(Plan(faults=40, seed=5, documents=12, pages=8, exports=exports), "sqlite", tmp_path)


#: What breaks a promise, and which.
BREAKS = {
    "DELETE FROM ocr_documents WHERE uri LIKE '%1.pdf'": "lost",
    "DELETE FROM ocr_pages WHERE page_number = 2": "lost",
    "DELETE FROM ocr_regions WHERE position = 0": "lost",
    "UPDATE ocr_documents SET status = 'failed', error_code = 'e' WHERE uri LIKE '%1.pdf'": "lost",
    "UPDATE ocr_documents SET status = 'processing' WHERE uri LIKE '%1.pdf'": "stuck",
    "UPDATE ocr_documents SET lease_expires_at = '2026-01-01 00:00:00.000000'": "stuck",
    "UPDATE ocr_documents SET uri = 's3://documents/0.pdf', version ="
    " (SELECT version FROM ocr_documents WHERE id = 0)": "doubled",
    "UPDATE ocr_regions SET position = 7 WHERE position = 0": "doubled",
    "UPDATE ocr_pages SET text = (SELECT MAX(text) FROM ocr_pages)": "mixed",
    "UPDATE ocr_pages SET page_number = 9 WHERE page_number = 2": "mixed",
    "UPDATE ocr_documents SET version = 'never uploaded'": "mixed",
}


@pytest.fixture
def two_documents(tmp_path: Path) -> tuple[str, list[Version]]:
    """A database with two documents of two pages each, and their versions."""
    url = f"sqlite:///{tmp_path / 'results.db'}"
    versions = [
        Version.of(f"s3://documents/{n}.pdf", n, 0, 2, make_pdf(n, 0, 2), text_known=True)
        for n in (0, 1)
    ]
    engine = create_engine(url)
    upgrade(engine)
    rest = "'r', 'r', 'm', '', 'p', 's', 'done', 0, '', 2, 1, '2026-01-01', '2026-01-01'"
    with engine.begin() as connection:
        for v in versions:
            connection.execute(
                text(
                    "INSERT INTO ocr_documents (id, document_key, version_key, uri, version, etag, "
                    "config_key, config, model, revision, prompt, resolution, status, retryable, "
                    "media_type, page_count, claims, created_at, updated_at) VALUES "
                    f"({v.document}, {v.document}, 'k', '{v.uri}', '{v.body_md5}', '{v.body_md5}', {rest})"
                )
            )
            for number in (1, 2):
                page, key = PageId(v.document, 0, number), 10 * v.document + number
                connection.execute(
                    text(
                        "INSERT INTO ocr_pages (id, document_id, page_number, status, resolution, "
                        "width, height, text, markdown, vision_tokens, text_tokens, seconds, "
                        f"created_at) VALUES ({key}, {v.document}, {number}, 'ok', '', 1, 1, :text, "
                        "'', 1, 1, 1, '2026-01-01')"
                    ),
                    {"text": page.text()},
                )
                for position in range(page.regions):
                    connection.execute(
                        text(
                            "INSERT INTO ocr_regions (page_id, position, label, text, boxes) "
                            f"VALUES ({key}, {position}, '', '', '')"
                        )
                    )
    engine.dispose()
    return url, versions


def test_the_audit_is_content_with_what_is_right(
    two_documents: tuple[str, list[Version]], tmp_path: Path
) -> None:
    url, versions = two_documents
    findings = audit(url, versions, [], tmp_path / "no event log")
    assert findings == Findings(documents=findings.documents, pages=4, regions=findings.regions)
    older = [dataclasses.replace(versions[0], version=1, body_md5="other")]
    assert audit(url, versions, older, tmp_path / "no event log").broken == {}


@pytest.mark.parametrize("statement", BREAKS)
def test_the_audit_notices(
    statement: str, two_documents: tuple[str, list[Version]], tmp_path: Path
) -> None:
    url, versions = two_documents
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert BREAKS[statement] in audit(url, versions, [], tmp_path / "no event log").broken


def test_the_audit_notices_what_was_read_for_nothing(
    two_documents: tuple[str, list[Version]], tmp_path: Path
) -> None:
    url, versions = two_documents
    event_log = tmp_path / "event_log"
    in_flight = "1.0 read 7 0 0 1\n2.0 read 8 0 0 1\n3.0 stored 8 0 0 1\n"
    event_log.write_text(in_flight)
    findings = audit(url, versions, [], event_log)
    assert (findings.broken, findings.reads, findings.reads_again) == ({}, 2, 1)
    event_log.write_text(in_flight + "4.0 read 7 0 0 1\n")
    findings = audit(url, versions, [], event_log)
    assert (findings.broken, findings.reads_after_loss) == ({}, 1)
    event_log.write_text(in_flight + "4.0 read 9 0 0 1\n")
    assert "read_though_stored" in audit(url, versions, [], event_log).broken
    etag = next(each.body_md5 for each in versions if (each.document, each.version) == (0, 0))
    # Task 9 claimed the document, and was stopped past its lease before it read a page.
    claims = f"0.5 claimed 9 {etag}\n0.8 claimed 8 {etag}\n"
    event_log.write_text(claims + "2.0 read 8 0 0 1\n3.0 stored 8 0 0 1\n4.0 read 9 0 0 1\n")
    findings = audit(url, versions, [], event_log)
    assert (findings.broken, findings.reads_after_loss) == ({}, 1)
    again = event_log.read_text() + f"5.0 claimed 9 {etag}\n6.0 read 9 0 0 1\n"
    event_log.write_text(again)
    assert "read_though_stored" in audit(url, versions, [], event_log).broken


@pytest.fixture
def exported(two_documents: tuple[str, list[Version]], tmp_path: Path) -> tuple[str, Path, str]:
    """The database, the place of exports with those of one document, and the document's version."""
    url, versions = two_documents
    engine = create_engine(url)
    with closing(Store(engine)) as store:
        key = document_key(DocumentRef(versions[0].uri, versions[0].body_md5), CONFIG)
        with engine.begin() as connection:
            changes = "UPDATE ocr_documents SET document_key = :key, config = '{}' WHERE id = 0"
            connection.execute(text(changes), {"key": key})
            connection.execute(text("UPDATE ocr_regions SET boxes = '[]'"))
        stored = read_document(store.database, key)
        assert stored is not None
        document, target = stored.document, DirectoryTarget(tmp_path / "exports")
        directory = directory_of(document.uri, document.version_key, document.config_key)
        with PdfMaker(Limits()) as maker:
            files = Exporter(target, (Format.TEXT,), maker).export(
                document, directory, _no_original
            )
        write_exports(store.database, [(stored.document_id, files.files)])
    return url, tmp_path / "exports", versions[0].body_md5


def _no_original() -> Original:
    raise AssertionError


def test_the_audit_notices_half_and_missing_exports(exported: tuple[str, Path, str]) -> None:
    url, directory, version = exported
    assert audit_exports(url, directory, ["text"], [version]) == []
    assert "no {'webp'}" in audit_exports(url, directory, ["text", "webp"], [version])[0]
    (document,) = directory.rglob("document.txt")
    whole = document.read_bytes()
    document.write_bytes(whole[:-1])
    assert "missing or half" in audit_exports(url, directory, [], [])[0]
    document.write_bytes(whole)
    stray = document.with_name("old.txt")
    stray.write_bytes(b"")
    assert "no manifest has" in audit_exports(url, directory, ["text"], [version])[0]
    stray.unlink()
    (directory / document.parent / "manifest.json").unlink()
    assert audit_exports(url, directory, ["text"], [version])[0].endswith("no manifest")
