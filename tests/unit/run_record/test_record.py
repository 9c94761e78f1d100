"""The record of a run as Markdown."""

from __future__ import annotations

import os
import subprocess

import pytest

from airflow_deepseek_ocr.ocr.results import Attempt, PageResult, PageStatus
from airflow_deepseek_ocr.run_record.record import RunRecord, as_lines, safe_command

COMMAND = ["airflow-deepseek-ocr", "read", "a file.pdf", "--model", "/m"]
PAGE = PageResult(
    number=2,
    status=PageStatus.FAILED,
    resolution="gundam",
    error_code="repetition",
    score=0.25,
    confidence=0.75,
    flags=("repetition", "length"),
    attempts=(Attempt(how="gundam", resolution="gundam", score=0.2),) * 2,
    vision_tokens=900,
    text_tokens=77,
    seconds=1.234,
)


def test_a_finished_run() -> None:
    record = RunRecord(COMMAND, {"Host": [("CPU", "a | b")]}, output="/out.md", directory="/work")
    record.loaded(3.2)
    record.page("a file.pdf", PAGE)
    record.failures.append(("b.pdf", "No such file."))
    assert "| State | running |" in record.markdown()
    record.end(None)
    text = record.markdown()
    assert "```\ncd /work\nairflow-deepseek-ocr read 'a file.pdf' --model /m\n```" in text
    for line in (
        "| State | finished |",
        "| Pages | 1 |",
        "| Text tokens | 77 |",
        "| Loading the model | 3.2 s |",
        "| Text written to | /out.md |",
        "| CPU | a \\| b |",
        "| b.pdf | No such file. |",
    ):
        assert line in text, text
    assert (
        "| a file.pdf | 2 | failed (repetition) | 0.25 | 0.750 | repetition length | gundam | 2 | 900 | 77 "
        "| 1.23 | "
    ) in text
    assert text.endswith("|\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA error"), "ended early: RuntimeError: CUDA error"),
        (KeyboardInterrupt(), "ended early: KeyboardInterrupt"),
    ],
)
def test_a_run_that_ended_early(error: BaseException, said: str) -> None:
    record = RunRecord(COMMAND)
    record.end(error)
    assert said in record.markdown()


def test_a_run_without_pages_has_no_table_of_pages() -> None:
    record = RunRecord(COMMAND)
    record.end(None)
    assert "## Pages" not in record.markdown()
    assert "First page" not in record.markdown()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--token", "s3cret", "x"], "--token '***' x"),
        (["--api-key=s3cret"], "--api-key='***'"),
        (["--hub-password", "s3cret"], "--hub-password '***'"),
        (["--api-key-file", "/run/key"], "--api-key-file /run/key"),
        (["https://me:s3cret@host/m"], "'https://***@host/m'"),
        (["two words"], "'two words'"),
    ],
)
def test_secrets_are_hidden(arguments: list[str], shown: str) -> None:
    line = safe_command(["p", *arguments])
    assert line == f"p {shown}"
    assert "s3cret" not in line


def test_facts_as_lines_of_a_log() -> None:
    assert as_lines([("CPU", "x"), ("GPU", "none")]) == "  CPU: x\n  GPU: none"


def test_names_that_are_not_utf_8_can_be_repeated_in_a_shell() -> None:
    arguments = ["two words", "größe.pdf", "it's caf\udce9\\.pdf", "a\nb\udcff"]
    script = f"printf '%s\\0' {safe_command(arguments)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=20)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(each) for each in arguments]
    RunRecord(arguments, directory="/data/caf\udce9").markdown().encode("utf-8")
