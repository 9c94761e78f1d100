"""Ordinary documents through the programs that are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from training.ordinary.documents import FAMILIES, ordinary_documents
from training.ordinary.read import page_of
from training.ordinary.typeset import _COMMANDS, typeset


def test_a_missing_program_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(RuntimeError, match=r"apt-get install .*texlive-latex-recommended"):
        typeset(ordinary_documents()[1:2], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", FAMILIES)
def test_a_page_says_what_its_truth_says(program: str, tmp_path: Path) -> None:
    if shutil.which(_COMMANDS[program]) is None:
        pytest.skip(f"{_COMMANDS[program]} is not installed")
    document = next(
        each for each in ordinary_documents() if (each.program, each.kind) == (program, "invoice")
    )
    path = typeset([document], tmp_path)[document.number]
    text = subprocess.run(["pdftotext", "-raw", path, "-"], capture_output=True, text=True).stdout
    for ligature, letters in {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi"}.items():
        text = text.replace(ligature, letters)
    assert text.split() == document.text.split()
    page, scan = page_of(document, path, scans=False), page_of(document, path, scans=True)
    assert len(page.glyphs) > 200
    assert page.image.size == scan.image.size
    assert scan.image.getpixel((5, 5)) != 255
    assert typeset([document], tmp_path)[document.number] == path
