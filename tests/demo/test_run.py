"""``make demo``: the small checkpoint, or any model of a hub, a directory or a mirror."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY_MODEL
from tests.support.servers.model_hub import COMMIT, model_hub


def demo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "demo" / "run.py", *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def make(*arguments: str) -> str:
    """Return the commands that ``make`` would run."""
    clean = {
        name: value for name, value in os.environ.items() if name not in ("PIP_FIND_LINKS", "TORCH")
    }
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *arguments],
        env=clean, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "backend"),
    [
        (["GPU=/dev/nvidia0", "MODEL=o/n"], "--torch-backend=auto --reinstall-package torch"),
        (["GPU=/dev/nvidia0"], "--torch-backend=cpu"),
        (["GPU=", "MODEL=o/n"], "--torch-backend=cpu"),
        (["GPU=/dev/nvidia0", "MODEL=o/n", "TORCH=torch>=2.11"], "torch>=2.11"),
    ],
)
def test_torch_is_the_build_for_the_gpu_if_a_model_is_to_run_on_it(
    arguments: list[str], backend: str
) -> None:
    (install,) = (line for line in make("install", *arguments).splitlines() if "[transf" in line)
    assert install.endswith(backend)


def test_options_of_the_demo_are_those_of_make() -> None:
    last = make("demo", "GPU=", "MODEL=o/n", "REVISION=r", "HOST=http://h", "RESOLUTION=base")
    for option in ("--model 'o/n'", "--revision 'r'", "--host 'http://h'", "--resolution 'base'"):
        assert option in last
    assert "--model" not in make("demo", "GPU=")


@pytest.mark.slow  # installs, and waits for a hub's retries
def test_a_model_that_cannot_be_had_ends_the_demo_before_airflow_starts(tmp_path: Path) -> None:
    done = demo(
        "--out", tmp_path, "--model", "owner/name", "--revision", COMMIT,
        HF_ENDPOINT="http://127.0.0.1:9", HOME=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Without network: run airflow-deepseek-ocr pull owner/name" in done.stderr
    assert "airflow db migrate" not in done.stdout


def test_a_hub_model_needs_a_revision(tmp_path: Path) -> None:
    done = demo("--out", tmp_path, "--model", "owner/name", HOME=str(tmp_path))
    assert done.returncode == 1
    assert "Set a revision for owner/name" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_model_of_a_hub_is_fetched_and_reads(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    shutil.copy(ROOT / "demo" / "documents" / "table.png", documents)
    with model_hub(TINY_MODEL, "owner/name") as hub:
        done = demo(
            "--docs", documents, "--out", tmp_path / "out", "--model", "owner/name",
            "--revision", COMMIT, "--resolution", "small",
            HF_ENDPOINT=hub.url, HOME=str(tmp_path),
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Fetching owner/name at {COMMIT}" in done.stdout
    assert ": 23 MB in " in done.stdout
    assert re.search(r"^ +\d+ s  Engine: in_process$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^ +\d+ s  s3://documents/table.png: done, 1 page in ", done.stdout, re.MULTILINE
    )
    assert "HTTP Request" not in done.stdout
    with closing(sqlite3.connect(tmp_path / "out" / "results.db")) as database:
        rows = database.execute("SELECT model, revision, status FROM ocr_documents").fetchall()
    assert rows == [("owner/name", COMMIT, "done")]


def test_reasons_of_failures_and_uncertain_words_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "demo"))
    import report

    words = [{"word": word, "confidence": 0.4} for word in "abcdefghi"] + [
        {"word": "12.50", "confidence": 0.123}
    ]
    database = tmp_path / "results.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE ocr_documents (id, uri, status, error_code, error)")
        connection.execute(
            "CREATE TABLE ocr_pages (id, document_id, page_number, resolution, status, error_code, error, "
            "markdown, vision_tokens, text_tokens, compression_ratio, seconds, confidence, "
            "uncertain_words)"
        )
        connection.execute(
            "CREATE VIEW ocr_current_documents AS SELECT *, id AS result_id FROM ocr_documents"
        )
        connection.executemany(
            "INSERT INTO ocr_documents VALUES (?, ?, ?, ?, ?)",
            [
                (1, "s3://b/in/broken.pdf", "failed", "damaged", "It is damaged."),
                (2, "s3://b/scan.pdf", "partial", None, None),
            ],
        )
        connection.executemany(
            "INSERT INTO ocr_pages VALUES (?, 2, ?, 'small', ?, ?, ?, 'x', 1, 1, 1.0, 1.0, ?, ?)",
            [
                (1, 1, "ok", None, None, None, None),
                (2, 2, "failed", "loop", "It loops.", 0.5, json.dumps(words)),
            ],
        )
    report.print_failures(database)
    assert capsys.readouterr().out.split("\n") == [
        "", "in/broken.pdf failed: It is damaged.", "", "scan.pdf, page 2, failed: It loops.", "",
    ]  # fmt: skip
    report.print_uncertain_words(database)
    assert capsys.readouterr().out == (
        "\nscan.pdf, page 2, uncertain words: 12.50 (12%), "
        + ", ".join(f"{word} (40%)" for word in "abcdefg")
        + " and 2 more\n"
    )
    report.print_table(database)
    assert "50.0%" in capsys.readouterr().out
