"""The survey of others' documents: what it notices, and that it goes on where it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.corpus.documents import survey as module
from tests.corpus.documents.animals import ANIMALS
from tests.corpus.documents.survey import Outcome, Reading, documents, load, summary, survey

INVOICE = ROOT / "demo" / "documents" / "invoice.pdf"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    collection = tmp_path / "some" / "tests"
    collection.mkdir(parents=True)
    shutil.copy(INVOICE, collection / "a b.pdf")
    shutil.copy(INVOICE, collection / "without_suffix")
    (collection / "notes.md").write_text("no document")
    (collection / "letters.jp2").write_bytes(b"one by its name")
    (collection / "form_bomb.pdf").write_bytes(ANIMALS["form_bomb.pdf"].make())
    return tmp_path


def test_every_document_gets_a_result_and_is_read_once(directory: Path) -> None:
    assert len(documents(directory / "some")) == 4
    with (directory / "results.jsonl").open("w") as results:
        for outcome in survey(directory, ["some"], 16, 60):
            results.write(json.dumps(asdict(outcome)) + "\n")
    found = {Path(each.file).name: each for each in load(directory)}
    assert all(not each.fault for each in found.values())
    assert found["letters.jp2"].reason == "unsupported_type"
    assert found["form_bomb.pdf"].pages == {"too_much_memory": 1}
    assert found["form_bomb.pdf"].peak_mib > 300
    assert sum(found["a b.pdf"].pages.values()) == 1
    assert list(survey(directory, ["some"], 16, 60)) == []
    assert "| all | 4 |" in "\n".join(summary(load(directory)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "value", "fault"),
    [("PAGE_S", 0.0, "over the limit of time"), ("MEMORY_BYTES", 1, "over the limit of memory")],
)
def test_limits_end_the_process(
    directory: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, fault: str
) -> None:
    monkeypatch.setattr(module, limit, value)
    outcome = next(survey(directory, ["some"], 16, 60))
    assert outcome.fault == fault


@pytest.mark.slow
def test_a_process_that_dies_is_noticed_and_replaced(directory: Path, tmp_path: Path) -> None:
    reading = Reading(tmp_path, 16)
    reading._watched.kill()
    reading.read(INVOICE)
    assert reading.fault == "the process died"
    assert not reading.alive


def test_faults_are_read_again(tmp_path: Path) -> None:
    lines = [Outcome("a", "b", fault="no row"), Outcome("a", "b", status="done"), Outcome("a", "c")]
    (tmp_path / "results.jsonl").write_text(
        "".join(json.dumps(asdict(each)) + "\n" for each in lines)
    )
    assert [(each.file, each.status) for each in load(tmp_path)] == [("b", "done"), ("c", "")]
