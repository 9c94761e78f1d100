"""An engine whose pages have given lengths, whatever the model writes, and a recorded text."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from airflow_deepseek_ocr.concurrency.prefetch import stop_of
from airflow_deepseek_ocr.ocr.engine_protocol import (
    Engine,
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from benchmarks.pipeline.one_run import OUTPUT

#: Paragraphs of the recorded text, and their tokens.
_PARAGRAPHS = [f"{each}\n\n" for each in OUTPUT.strip().split("\n\n")]
_OUTPUT_TOKENS = 1200


class ForcedLengths:
    """An engine whose pages have given lengths, and a recorded text.

    :param engine: reads the pages.
    :param tokens: the lengths, one page after the other.
    """

    def __init__(self, engine: Engine, tokens: Sequence[int]) -> None:
        self._engine, self._tokens = engine, tokens

    def family(self) -> ModelFamily:
        """Return the engine's family."""
        return self._engine.family()

    def smallest_print(self) -> float:
        """Return the engine's."""
        return self._engine.smallest_print()

    def modes(self) -> tuple[str, ...]:
        """Return the engine's modes."""
        return self._engine.modes()

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield the outputs with the recorded text."""
        with closing(self._engine.read(_Shortened(requests, self._tokens), progress)) as outputs:
            for output in outputs:
                if output.error is not None:
                    raise output.error
                kept = max(1, len(_PARAGRAPHS) * output.text_tokens // _OUTPUT_TOKENS)
                text = "".join((_PARAGRAPHS * 3)[:kept])
                yield replace(output, text=text, finish_reason=FinishReason.STOP)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class _Shortened(Iterator[PageRequest]):
    def __init__(self, requests: Iterable[PageRequest], tokens: Sequence[int]) -> None:
        self._requests, self._tokens, self._given = iter(requests), tokens, 0
        self.stop = stop_of(requests) or (lambda: None)

    def __next__(self) -> PageRequest:
        request = next(self._requests)
        self._given += 1
        return replace(
            request, max_output_length=self._tokens[(self._given - 1) % len(self._tokens)]
        )
