"""The sheet of pages, and what the command line says of directories that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from training.__main__ import main


def test_a_sheet_has_a_page_of_each_kind(assets: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages.png"
    assert main(["preview", str(out), "--assets", str(assets), "--size", "300"]) == 0
    with Image.open(out) as sheet:
        assert sheet.size == (4 * 300, 4 * 300)  # 13 kinds, four in a row
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20) or ()}
    assert {(255, 0, 0), (0, 0, 255)} <= colours, "boxes of titles and texts"


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "missing", "--assets", "{assets}"],
        ["train", "--assets", "missing", "--out", "{assets}", "--steps", "1"],
        ["train", "--assets", "{assets}", "--out", "x", "--steps", "1", "--from", "missing"],
        ["plot", "missing", "--out", "x"],
    ],
)
def test_what_is_missing_is_named(
    assets: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([argument.format(assets=assets) for argument in command])
    assert "missing" in capsys.readouterr().err
