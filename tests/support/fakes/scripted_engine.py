"""An engine whose output a test scripts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.text_layer import LayerLine, TextLayer
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    DEFAULT_RETRY_WITH,
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.ocr.results import Box, PageResult
from tests.corpus.model_outputs.languages import SENTENCES

GOOD = "\n".join(SENTENCES["english"][:8])
LOOP = GOOD + " and the program of" * 12
WORSE = LOOP + " <|/ref|> \ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
LAYER = TextLayer(GOOD, (LayerLine(GOOD, Box((0, 0, 999, 999), (0, 0, 700, 900))),))

Script = Callable[[PageRequest], str | DeepSeekOCRError | PageOutput]


class ScriptedEngine:
    """Answers as its script returns; takes requests in a separate thread, as real engines do.

    :param script: returns the text for a request, an error, or a whole output.
    :param bound: pages taken ahead, and pages in flight.
    :param modes: the resolution modes that it supports; None for those of its model.
    :param family: the model's family.
    """

    def __init__(
        self,
        script: Script,
        bound: int = 3,
        modes: Iterable[str] | None = None,
        family: ModelFamily = DEEPSEEK_OCR,
    ) -> None:
        self._script, self._bound, self._family = script, bound, family
        self._modes = family.modes if modes is None else tuple(modes)
        self.requests: list[PageRequest] = []
        self.order: list[tuple[str, str]] = []
        self.fail_after: int | None = None

    def family(self) -> ModelFamily:
        return self._family

    def smallest_print(self) -> float:
        return 0.0

    def modes(self) -> tuple[str, ...]:
        return self._modes

    def read(
        self,
        requests: Iterable[PageRequest],
        progress: Callable[[Progress], None] | None = None,
    ) -> Generator[PageOutput, None, None]:
        in_flight: list[PageRequest] = []
        with Prefetcher(
            requests, lambda each: each, bound=self._bound, stop=stop_of(requests)
        ) as ahead:
            while True:
                while len(in_flight) < self._bound:
                    request = ahead.take(wait=not in_flight)
                    if request is None:
                        break
                    in_flight.append(request)
                if not in_flight:
                    if ahead.over:
                        return
                    continue
                if self.fail_after is not None and len(self.order) >= self.fail_after:
                    raise RuntimeError("the engine dies")
                request = in_flight.pop(0)
                no_repeat_ngram = (
                    request.no_repeat_ngram and f"{request.no_repeat_ngram.ngram_size}"
                )
                self.order.append((request.resolution, no_repeat_ngram or ""))
                yield self._answer(request)

    def _answer(self, request: PageRequest) -> PageOutput:
        answer = self._script(request)
        if isinstance(answer, PageOutput):
            return answer
        if isinstance(answer, DeepSeekOCRError):
            return PageOutput(key=request.key, error=answer)
        mode = self._family.resolution(request.resolution)
        return PageOutput(
            key=request.key,
            text=answer,
            finish_reason=FinishReason.STOP,
            vision_tokens=mode.vision_tokens(mode.grid(*request.image.size)),
            text_tokens=len(answer) // 4,
            seconds=0.5,
        )

    def close(self) -> None: ...


def sheet(text: str = GOOD, width: int = 700, height: int = 900) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(image).multiline_text((20, 20), text, "black", font=font)
    return image


def read(
    engine: ScriptedEngine,
    *pages: Page,
    resolution: str = "small",
    steps: str = DEFAULT_RETRY_WITH,
    use: str = "compare",
    prompt: str = "free",
) -> list[PageResult]:
    reader = Reader(
        lambda: engine,
        prompt,
        resolution,
        steps=parse_retry_with(steps),
        text_layer_use=parse_text_layer_use(use),
    )
    pages = pages or (Page(1, sheet()),)
    results = dict(reader.read((page.number, page) for page in pages))
    return [results[number] for number in sorted(results)]


def no_engine() -> ScriptedEngine:
    raise AssertionError("the model was asked for")


def long_text(tokens: int, family: ModelFamily = DEEPSEEK_OCR) -> Script:
    def script(request: PageRequest) -> PageOutput:
        mode = family.resolution(request.resolution)
        vision = mode.vision_tokens(mode.grid(*request.image.size))
        return PageOutput(
            key=request.key,
            text=GOOD,
            finish_reason=FinishReason.STOP,
            vision_tokens=vision,
            prompt_tokens=0,
            text_tokens=tokens,
            seconds=0.1,
        )

    return script


def in_time(work: Callable[[], None], seconds: float = 20.0) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"


def small_print(directory: Path) -> Path:
    """Text that is too small for the tiny mode, and readable in base."""
    path = directory / "small.pdf"
    canvas = Canvas(str(path), pagesize=(640, 640))
    canvas.setFont("Helvetica", 14)
    lines = [
        "Order: PO-77120",
        "Item: garden table",
        "Total: $89.50",
        "Thank you and see you soon.",
    ]
    for number, line in enumerate(lines):
        canvas.drawString(40, 560 - 34 * number, line)
    canvas.save()
    return path
