"""The prompts guide agrees with the recorded outputs, and its command works with the small checkpoint."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from benchmarks.full_size import is_random
from benchmarks.prompts import times
from benchmarks.prompts.__main__ import main
from benchmarks.prompts.pages import CHART, PAGES
from benchmarks.prompts.pictures import draw
from benchmarks.prompts.record import MODES, record
from benchmarks.prompts.render import SHOWN_MODE, SHOWN_PAGE, block_names, fill, outputs_page
from benchmarks.prompts.results import Results, find, markdown, regions
from benchmarks.prompts.setting import setting
from tests.conftest import ROOT, TINY_MODEL

COMMITTED = Results(ROOT)
#: Most bytes of all pictures together: they are loaded with the page.
MOST_PICTURE_BYTES = 1_000_000


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return COMMITTED.outputs()


def test_the_guide_equals_the_recorded_outputs(data: dict[str, Any]) -> None:
    guide = COMMITTED.guide.read_text("utf-8")
    assert fill(guide, data, COMMITTED.times()) == guide, (
        "run: python -m benchmarks.prompts --render-only"
    )


def test_the_page_of_outputs_equals_the_recorded_outputs(data: dict[str, Any]) -> None:
    page = COMMITTED.outputs_page.read_text("utf-8")
    assert outputs_page(data) == page, "run: python -m benchmarks.prompts --render-only"


def test_every_page_is_recorded_with_every_prompt_in_every_mode(data: dict[str, Any]) -> None:
    assert [page["name"] for page in data["pages"]] == list(PAGES)
    missing = [
        (page, prompt, mode)
        for page in PAGES
        for prompt in PROMPTS
        for mode in MODES
        if find(data, page, prompt, mode) is None
    ]
    assert missing == []


def test_the_guide_names_the_weights(data: dict[str, Any]) -> None:
    names = block_names(COMMITTED.guide.read_text("utf-8"))
    assert sorted(names) == ["absent", "examples", "modes", "ocr", "times", "tokens", "weights"]
    for page in (COMMITTED.guide, COMMITTED.outputs_page):
        assert (
            f"**`{data['setting']['model']}`** (`{data['setting']['revision']}`)"
            in page.read_text("utf-8")
        )


def test_pictures_exist_and_are_small() -> None:
    named = re.findall(
        r"\(\.\./images/prompts/(\w+\.webp)\)", COMMITTED.outputs_page.read_text("utf-8")
    )
    files = {file.name: file.stat().st_size for file in COMMITTED.pictures.iterdir()}
    assert sorted(named) == sorted(files)
    assert sum(files.values()) < MOST_PICTURE_BYTES


@pytest.mark.parametrize("page", PAGES)
def test_recorded_output_of_ocr_has_text_outside_of_its_markup(
    data: dict[str, Any], page: str
) -> None:
    """Deleting the references with their boxes, as other scripts do, would delete all of it."""
    output = find(data, page, "ocr", SHOWN_MODE)
    assert output is not None
    lines = [region.text for region in regions(data, output) if region.boxes]
    assert lines
    assert all(line in markdown(data, output) for line in lines)


@pytest.fixture(scope="module")
def read(engine: InProcessEngine) -> dict[str, Any]:
    """The chart, really read by the small checkpoint with two prompts."""
    pages, outputs = record(engine, [PAGES["chart"]], ["free", "locate"], ["small"])
    return {
        "setting": setting(engine, str(TINY_MODEL), "", TINY_MODEL),
        "pages": pages,
        "outputs": outputs,
    }


def test_the_small_checkpoint_reads_the_chart(read: dict[str, Any]) -> None:
    assert [each["prompt"] for each in read["outputs"]] == ["free", "locate:Month"]
    free, locate = read["outputs"]
    printed = {cell for row in CHART for cell in row}
    assert free["words_right"] > 0.8 and printed >= set(markdown(read, free).split())
    assert (free["vision_tokens"], free["modes"], free["status"]) == (111, ["small"], "ok")
    (region,) = regions(read, locate)
    # The word is printed in the middle of the lowest line.
    x1, y1, x2, _ = region.boxes[0].normalized
    assert (region.text, x1 < 500 < x2, y1 > 900) == ("Month", True, True)


def test_the_setting_names_model_weights_and_versions(read: dict[str, Any]) -> None:
    facts = read["setting"]
    assert facts["model"] == "models/deepseek-ocr-tiny"
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", facts["revision"])
    assert facts["device"].startswith("CPU, ")
    assert set(facts["versions"]) == {"airflow-deepseek-ocr", "torch", "transformers", "python"}


def test_a_picture_has_a_panel_for_each_prompt_with_boxes(
    read: dict[str, Any], tmp_path: Path
) -> None:
    results = Results(tmp_path)
    draw(results, read, [PAGES["chart"]], "small")
    (file,) = results.pictures.iterdir()
    assert file.name == "chart.webp" and file.stat().st_size > 2_000


def test_rendering_needs_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(tmp_path)
    results.outputs_file.parent.mkdir(parents=True)
    shutil.copy(COMMITTED.outputs_file, results.outputs_file)
    for entry in COMMITTED.times():
        results.save_times(entry)
    assert main(["--render-only", "--root", str(tmp_path)]) == 0
    assert results.guide.read_text("utf-8") == COMMITTED.guide.read_text("utf-8")
    assert results.outputs_page.read_text("utf-8") == COMMITTED.outputs_page.read_text("utf-8")
    assert str(results.guide) in capsys.readouterr().out


def test_an_unknown_model_is_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(tmp_path / "none"), "--root", str(tmp_path)]) == 1
    assert "none" in capsys.readouterr().err


def test_another_model_is_named_in_the_pages(data: dict[str, Any]) -> None:
    other = data | {"setting": data["setting"] | {"model": "other/weights", "revision": "main"}}
    assert "**`other/weights`** (`main`)" in outputs_page(other)
    assert "**`other/weights`** (`main`)" in fill(COMMITTED.guide.read_text("utf-8"), other, [])


def test_a_guide_without_the_shown_page_is_refused(data: dict[str, Any]) -> None:
    kept = [each for each in data["outputs"] if each["page"] != SHOWN_PAGE]
    with pytest.raises(ValueError, match=f"about {SHOWN_PAGE}"):
        fill(COMMITTED.guide.read_text("utf-8"), data | {"outputs": kept}, [])


@pytest.fixture
def forced() -> Iterator[InProcessEngine]:
    decoding = Decoding(max_output_length=16, forced=True)
    engine = InProcessEngine(TINY_MODEL, device="cpu", batch_size=2, decoding=decoding)
    yield engine
    engine.close()


def test_times_are_measured_with_the_requested_number_of_tokens(
    forced: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "TOKENS", 16)
    monkeypatch.setattr(times, "REPEATS", 1)
    (row,) = times.measure(forced, PAGES["chart"].load().image, 2, ["tiny"])
    assert (row["resolution"], row["vision_tokens"], row["together"]) == ("tiny", 73, 2)
    assert min(row["first_token_s"], row["tokens_per_s"], row["together_pages_per_s"]) > 0


def test_the_command_for_times_adds_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(times, "TOKENS", 8)
    monkeypatch.setattr(times, "REPEATS", 1)
    assert times.main(["--device", "cpu", "--modes", "tiny", "--root", str(tmp_path)]) == 0
    (entry,) = Results(tmp_path).times()
    assert (entry["model"], entry["tokens"]) == ("models/deepseek-ocr-tiny", 8)
    assert [row["resolution"] for row in entry["rows"]] == ["tiny"]
    assert "--render-only" in capsys.readouterr().out


def test_times_need_a_forced_length(engine: InProcessEngine) -> None:
    with pytest.raises(ValueError, match="ignore the end token"):
        times.measure(engine, PAGES["chart"].load().image, 0, ["tiny"])


def test_times_replace_those_of_the_same_weights_and_device(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for date, device in (("1", "a"), ("2", "b"), ("3", "a")):
        results.save_times({"model": "m", "device": device, "date": date, "rows": []})
    assert [(each["device"], each["date"]) for each in results.times()] == [("a", "3"), ("b", "2")]


def test_the_small_checkpoint_has_no_random_weights() -> None:
    assert not is_random(TINY_MODEL)
