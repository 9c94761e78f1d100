"""What a model writes about the guide's pages, with every prompt and in every mode."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import AUTO
from airflow_deepseek_ocr.ocr.results import PageResult
from benchmarks.prompts.pages import GuidePage
from benchmarks.prompts.render import SHOWN_MODE
from benchmarks.prompts.results import Json

MODES = (*DEEPSEEK_OCR.modes, AUTO)


def record(
    engine: InProcessEngine,
    pages: Sequence[GuidePage],
    prompts: Sequence[str] | None = None,
    modes: Sequence[str] = MODES,
) -> tuple[list[Json], list[Json]]:
    """Return the pages and the outputs as the results file has them.

    :param engine: the model.
    :param pages: the pages to read.
    :param prompts: names of prompts, without a text; None for all.
    :param modes: resolution modes, ``auto`` among them.
    """
    loaded = {page.name: page.load() for page in pages}
    truths = {page.name: page.truth() or _layer_text(loaded[page.name]) for page in pages}
    outputs = []
    for mode in modes:
        for prompt, names in _questions(pages, prompts, mode).items():
            # Without retries: the guide shows what this prompt gives in this mode.
            reader = Reader(lambda: engine, prompt, mode)
            asked = [(name, loaded[name]) for name in names]
            for name, result in reader.read(asked):
                outputs.append(_output(str(name), prompt, mode, result, truths[str(name)]))
                print(f"{mode}, {prompt}: {name}, {result.text_tokens} tokens", file=sys.stderr)
    order = {page.name: position for position, page in enumerate(pages)}
    outputs.sort(key=lambda each: order[each["page"]])
    described = [_describe(page, loaded[page.name]) for page in pages]
    return described, outputs


def _questions(
    pages: Iterable[GuidePage], prompts: Sequence[str] | None, mode: str
) -> dict[str, list[str]]:
    """Return the pages' names by prompt line, so that pages with the same prompt are read together."""
    asked: dict[str, list[str]] = {}
    for page in pages:
        lines = [
            line for line in page.prompts() if prompts is None or get_prompt(line).name in prompts
        ]
        if page.absent and mode == SHOWN_MODE and (prompts is None or "locate" in prompts):
            lines.append(f"locate:{page.absent}")
        for line in lines:
            asked.setdefault(line, []).append(page.name)
    return asked


def _output(page: str, prompt: str, mode: str, result: PageResult, truth: str) -> Json:
    whole = get_prompt(prompt).whole_page
    return {
        "page": page,
        "prompt": prompt,
        "resolution": mode,
        "modes": [attempt.resolution for attempt in result.attempts],
        "status": result.status.value,
        "error_code": result.error_code,
        "score": result.score,
        "flags": list(result.flags),
        "vision_tokens": sum(attempt.vision_tokens for attempt in result.attempts),
        "text_tokens": sum(attempt.text_tokens for attempt in result.attempts),
        "words_right": (
            round(measure_agreement(truth, result.markdown).unordered, 4)
            if whole and truth
            else None
        ),
        "text": result.text,
    }


def _describe(page: GuidePage, loaded: Page) -> Json:
    width, height = loaded.image.size
    return {
        "name": page.name,
        "title": page.title,
        "width": width,
        "height": height,
        "text_layer": bool(_layer_text(loaded)),
        "find": page.find,
        "absent": page.absent,
    }


def _layer_text(page: Page) -> str:
    return page.text_layer.text if page.text_layer else ""
