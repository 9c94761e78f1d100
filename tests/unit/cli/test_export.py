"""The command ``export`` on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, LIMITS, FakeEngine

TABLE = (DOCUMENTS / "table.png").as_uri()


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A database with one document, which was read without exports."""
    url = f"sqlite:///{tmp_path}/results.db"
    monkeypatch.setenv("RESULTS", url)
    with closing(Store(create_engine(url))) as store:
        store.ensure_schema()
        Pipeline(
            sources=Sources({"file": lambda: FileSource(LIMITS)}),
            get_engine=FakeEngine,
            store=store,
            config=CONFIG,
            options=PipelineOptions(limits=LIMITS),
        ).run([DocumentRef(TABLE)])
        yield store


def run(*arguments: str) -> int:
    return main(["export", *arguments, "--url-env", "RESULTS"])


@pytest.mark.usefixtures("stored")
def test_stored_documents_are_exported_once_without_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--to", str(tmp_path / "out"), "--format", "text,webp")
    assert run(TABLE, *place) == 0
    assert {path.name for path in (tmp_path / "out").rglob("*.*") if path.is_file()} == {
        "document.txt",
        "page-0001.webp",
        "manifest.json",
    }
    assert "1 document exported, 0 up to date, 0 failed: 3 files" in capsys.readouterr().out
    assert run("--prefix", "file://", *place) == 0
    assert "0 documents exported, 1 up to date" in capsys.readouterr().out


@pytest.mark.usefixtures("stored")
def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    for arguments, message in (
        ((TABLE, "--to", "here"), "absolute path of a directory"),
        ((TABLE, "--to", out, "--format", "docx"), "'docx' is no format"),
        (("--to", out), "Name documents"),
        ((TABLE, "--to", str(DOCUMENTS)), "beside the documents"),
        (("s3://b/none", "--to", out), "Nothing is stored about s3://b/none"),
    ):
        assert run(*arguments) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
