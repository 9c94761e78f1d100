"""The command line, with the small checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.results import Box, Region
from tests.conftest import ROOT, TINY_MODEL

DOCUMENTS = ROOT / "demo" / "documents"
FIELDS = {
    "document", "page", "width", "height", "resolution", "status", "error_code", "error", "text",
    "markdown", "regions", "vision_tokens", "text_tokens", "compression_ratio", "seconds",
    "score", "flags", "agreement", "agreement_ordered", "attempts", "vision_tokens_saved",
}  # fmt: skip


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow_deepseek_ocr.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, stdin=subprocess.DEVNULL
    )


def test_read_prints_a_json_object_a_page(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-")
    done = run(
        "read", DOCUMENTS / "letter.tiff", tmp_path / "broken.pdf", tmp_path / "none.png",
        "--model", TINY_MODEL, "--resolution", "small", "--max-output-length", 300, "--json",
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    pages = sorted((line for line in lines if line["page"]), key=lambda page: page["page"])
    failed = [line for line in lines if not line["page"]]
    assert done.returncode == 1
    assert all(page.keys() == FIELDS for page in pages)
    assert [(page["page"], page["width"]) for page in pages] == [(1, 640), (2, 640)]
    assert "found your order" in pages[0]["markdown"]
    assert pages[0]["regions"][-1]["boxes"][0]["normalized"]
    assert {each["error_code"] for each in failed} == {"damaged", "missing_file"}


def test_pull_says_what_is_wrong(tmp_path: Path) -> None:
    done = run("pull", "owner/name", "--cache-dir", tmp_path)
    assert done.returncode == 1
    assert "Set a revision for owner/name" in done.stderr


def test_overlay_draws_each_box() -> None:
    from PIL import Image, ImageChops

    page = Image.new("RGB", (400, 300), "white")
    box = Box((0, 0, 0, 0), (50, 60, 200, 120))
    drawn = draw_regions(page, [Region("title", "x", (box,)), Region("text", "none")])
    changed = ImageChops.difference(page, drawn).getbbox()
    assert changed is not None
    assert (changed[0], changed[2], changed[3]) == (50, 201, 121)
    assert page.getextrema() == ((255, 255),) * 3
