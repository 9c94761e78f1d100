"""The command ``forget`` on SQLite."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, claim, counts, page, read

A, B = "s3://b/a.pdf", "s3://b/b.pdf"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/results.db"
    monkeypatch.setenv("RESULTS", url)
    with closing(Store(create_engine(url))) as opened:
        opened.ensure_schema()
        for uri in (A, B):
            read(Ledger(opened.database, CONFIG, TASK), page(1), ref=replace(REF, uri=uri))
        yield opened


def run(*arguments: str) -> int:
    return main(["forget", *arguments, "--url-env", "RESULTS"])


def test_one_document_is_deleted(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(A, "--yes") == 0
    out = capsys.readouterr().out
    assert "Deleted 1 document: 1 row of ocr_documents, 1 page, 2 regions." in out
    assert "reads them again" in out
    assert counts(store) == (1, 1, 2)


def test_a_dry_run_deletes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--prefix", "s3://b/", "--dry-run") == 0
    out = capsys.readouterr().out
    assert A in out
    assert B in out
    assert "2 documents, 2 rows of ocr_documents, 2 pages." in out
    assert counts(store) == (2, 2, 4)


def test_what_is_not_stored_is_an_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(A, "s3://b/none", "--yes") == 1
    assert "Nothing is stored about s3://b/none." in capsys.readouterr().err
    assert counts(store) == (1, 1, 2)


def test_without_a_terminal_it_needs_a_flag(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert run(A) == 1
    assert "Give --yes" in capsys.readouterr().err
    assert counts(store) == (2, 2, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("yes", 1), ("y", 2), ("", 2)])
def test_at_a_terminal_it_asks(
    store: Store, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    assert run(A) == (left == 2)
    assert counts(store)[0] == left


@pytest.mark.parametrize("stdin", [None, Terminal("")], ids=["closed", "ctrl-d"])
def test_no_answer_deletes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, stdin: Terminal | None
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(A) == 1
    assert counts(store)[0] == 2


def test_a_name_that_is_not_utf_8_names_its_row(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("file:///caf\udce9\n.pdf") == 1
    assert "Nothing is stored about file:///caf%E9\\x0a.pdf.\n" in capsys.readouterr().err


def test_nothing_named_deletes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--yes") == 1
    assert run("--prefix", "", "--yes") == 1
    assert "Name documents" in capsys.readouterr().err
    assert counts(store)[0] == 2


def test_a_document_in_work_needs_force(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    claim(Ledger(store.database, CONFIG, TASK), replace(REF, uri="s3://b/c.pdf"))
    assert run("--prefix", "s3://b/", "--yes") == 1
    assert "s3://b/c.pdf is being processed by dag, run, task[3], try 1." in capsys.readouterr().err
    assert counts(store)[0] == 1
    assert run("s3://b/c.pdf", "--yes", "--force") == 0
    assert counts(store) == (0, 0, 0)


def test_rows_of_one_configuration(store: Store) -> None:
    free = replace(CONFIG, prompt="free")
    read(Ledger(store.database, free, TASK), page(1), ref=replace(REF, uri=A))
    assert run("--config", CONFIG.key, "--yes") == 0
    assert counts(store) == (1, 1, 2)


def test_missing_tables_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESULTS", f"sqlite:///{tmp_path}/empty.db")
    assert run(A, "--yes") == 1
    assert "db upgrade" in capsys.readouterr().err
