"""The survey of test documents of other projects: detection of faults, and continuation."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.corpus.documents.all import CORPUS
from tests.corpus.documents.survey import (
    Outcome,
    ReaderProcess,
    SurveyLimits,
    documents,
    load,
    summary,
    survey,
)

INVOICE = ROOT / "demo" / "documents" / "invoice.pdf"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    collection = tmp_path / "some" / "tests"
    collection.mkdir(parents=True)
    shutil.copy(INVOICE, collection / "a b.pdf")
    shutil.copy(INVOICE, collection / "without_suffix")
    (collection / "notes.md").write_text("no document")
    (collection / "letters.jp2").write_bytes(b"one by its name")
    (collection / "form_bomb.pdf").write_bytes(CORPUS["form_bomb.pdf"].make())
    return tmp_path


@pytest.mark.timeout(600)
def test_every_document_gets_a_result_and_is_read_once(directory: Path) -> None:
    assert len(documents(directory / "some")) == 4
    with (directory / "results.jsonl").open("w") as results:
        for outcome in survey(directory, ["some"], length=16, seconds=600):
            results.write(json.dumps(asdict(outcome)) + "\n")
    found = {Path(each.file).name: each for each in load(directory)}
    assert all(not each.fault for each in found.values())
    assert found["letters.jp2"].reason == "unsupported_type"
    assert found["form_bomb.pdf"].pages == {"too_much_memory": 1}
    assert found["form_bomb.pdf"].peak_mib > 300
    assert sum(found["a b.pdf"].pages.values()) == 1
    assert list(survey(directory, ["some"], length=16, seconds=600)) == []
    assert "| all | 4 |" in "\n".join(summary(load(directory)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (SurveyLimits(page_s=0.0), "time limit exceeded"),
        (SurveyLimits(memory_bytes=1), "memory limit exceeded"),
    ],
    ids=["time", "memory"],
)
def test_limits_end_the_process(directory: Path, limits: SurveyLimits, fault: str) -> None:
    outcome = next(survey(directory, ["some"], length=16, seconds=60, limits=limits))
    assert outcome.fault == fault


@pytest.mark.slow
def test_the_death_of_the_process_is_a_fault(tmp_path: Path) -> None:
    reader = ReaderProcess(tmp_path, 16, SurveyLimits())
    os.kill(reader.pid, signal.SIGKILL)
    reader.read(INVOICE)
    assert reader.fault == "the process died"
    assert not reader.alive


def test_faults_are_read_again(tmp_path: Path) -> None:
    lines = [Outcome("a", "b", fault="no row"), Outcome("a", "b", status="done"), Outcome("a", "c")]
    (tmp_path / "results.jsonl").write_text(
        "".join(json.dumps(asdict(each)) + "\n" for each in lines)
    )
    assert [(each.file, each.status) for each in load(tmp_path)] == [("b", "done"), ("c", "")]
