"""The command ``read``, with the small checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import ROOT, TINY_MODEL
from tests.support.command_line import run

DOCUMENTS = ROOT / "demo" / "documents"
FIELDS = {
    "document", "page", "width", "height", "resolution", "status", "error_code", "error", "text",
    "markdown", "regions", "vision_tokens", "text_tokens", "compression_ratio", "seconds",
    "score", "flags", "agreement", "agreement_ordered", "attempts", "vision_tokens_saved",
}  # fmt: skip


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


def test_an_option_that_cannot_be_is_refused_before_the_model_is_loaded() -> None:
    for options, said in (
        (("--prompt", "poem"), "markdown, ocr, free"),
        (("--pages", "x"), "1-3,5,10-"),
        (("--dpi", 5), "18 to 1200"),
        (("--min-score", 2), "from 0 to 1"),
        (("--retry-with", "halves"), "slices_2"),
    ):
        done = run("read", DOCUMENTS / "table.png", "--model", "/nowhere", *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
