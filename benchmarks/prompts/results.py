"""The recorded results, and the regions that the package's parser finds in an output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.results import Region

Json = dict[str, Any]
#: The prompts with boxes, in a picture from left to right.
BOXED = ("markdown", "ocr", "locate")


class Results:
    """The files of a run, below the root of a copy of the repository.

    :param root: the directory; the files have the same places in it as in the repository.
    """

    def __init__(self, root: Path) -> None:
        data = root / "benchmarks" / "prompts"
        self.outputs_file, self.times_file = data / "outputs.json", data / "times.json"
        self.guide = root / "docs" / "guides" / "prompts.md"
        self.outputs_page = root / "docs" / "guides" / "prompts-outputs.md"
        self.pictures = root / "docs" / "images" / "prompts"

    def outputs(self) -> Json:
        """Return what the model wrote, with the setting and the pages."""
        found: Json = json.loads(self.outputs_file.read_text("utf-8"))
        return found

    def times(self) -> list[Json]:
        """Return the measured times, one entry for each pair of weights and device."""
        if not self.times_file.exists():
            return []
        found: list[Json] = json.loads(self.times_file.read_text("utf-8"))
        return found

    def save_outputs(self, data: Json) -> None:
        """Replace the recorded outputs."""
        _save(self.outputs_file, data)

    def save_times(self, entry: Json) -> None:
        """Add an entry; one of the same weights and device is replaced.

        :param entry: the setting, and ``rows`` with a row for each mode.
        """
        key = ("model", "device")
        others = [each for each in self.times() if any(each[name] != entry[name] for name in key)]
        _save(self.times_file, sorted([*others, entry], key=lambda each: each["device"]))


def find(data: Json, page: str, prompt: str, mode: str) -> Json | None:
    """Return an output; None if it was not recorded.

    :param prompt: the prompt's name; without a text, ``locate`` is the one whose text is on the page.
    """
    (found,) = (each for each in data["pages"] if each["name"] == page)
    line = (
        f"{prompt}:{found['find']}"
        if get_prompt(prompt).takes_text and ":" not in prompt
        else prompt
    )
    for output in data["outputs"]:
        if (output["page"], output["prompt"], output["resolution"]) == (page, line, mode):
            result: Json = output
            return result
    return None


def regions(data: Json, output: Json) -> tuple[Region, ...]:
    """Return the regions of an output, as a page's result has them."""
    (page,) = (each for each in data["pages"] if each["name"] == output["page"])
    return parse(
        output["text"],
        text_in_ref=get_prompt(output["prompt"]).text_in_ref,
        width=page["width"],
        height=page["height"],
    )


def markdown(data: Json, output: Json) -> str:
    """Return an output as Markdown, as ``ocr_pages.markdown`` has it."""
    in_ref = get_prompt(output["prompt"]).text_in_ref
    return to_markdown(regions(data, output), text_in_ref=in_ref)


def _save(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
