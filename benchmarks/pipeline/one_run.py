"""One run of the pipeline in a process of its own, in whichever checkout ``PYTHONPATH`` names.

It imports only what old checkouts have as well, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, stop_of
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import (
    FinishReason,
    PageOutput,
    PageRequest,
    Progress,
)
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.store.engine_options import engine_options
from airflow_deepseek_ocr.store.results_store import Store

#: Key of the model server, and name of its model.
SERVER = "benchmark"
#: Requests that wait at the engine, as at the in-process engine on a GPU.
_BOUND = 64
#: Bytes of a token, so that a page has 1,200.
_TOKEN_BYTES = 5
#: Lines of each region of the output.
_LINES = 5


def _output() -> str:
    """Return the text of each page of the benchmark's documents, with places: about 1,200 tokens.

    Another text than that of a page's text layer would be rejected, and the page tried again.
    """
    lines = Path(__file__).with_name("page.txt").read_text().splitlines()
    return "\n\n".join(
        f"<|ref|>text<|/ref|><|det|>[[60, {60 + 16 * row}, 940, {130 + 16 * row}]]<|/det|>\n"
        + "\n".join(lines[row : row + _LINES])
        for row in range(0, len(lines), _LINES)
    )


#: The parts: what the table calls them, and the function that does them (module, class or none, name).
PARTS = (
    ("claim", "airflow_deepseek_ocr.store.ledger", "Ledger", "claim"),
    (
        "fetch, with the claim",
        "airflow_deepseek_ocr.sources.attachments",
        "AttachmentSource",
        "fetch",
    ),
    ("open", "airflow_deepseek_ocr.ocr.rendering.child_process", "ChildProcess", "open_document"),
    ("render", "airflow_deepseek_ocr.ocr.rendering.child_process", "ChildProcess", "page"),
    ("check", "airflow_deepseek_ocr.ocr.recognition.page_attempts", "PageAttempts", "add_output"),
    ("store", "airflow_deepseek_ocr.store.ledger", "Ledger", "write_documents"),
)

#: The output of every page.
OUTPUT = _output()


def probabilities_of(text: str) -> Any:
    """Return probabilities of a text's tokens, as the model's engine returns them."""
    from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

    content = text.encode()
    pieces = tuple(
        content[start : start + _TOKEN_BYTES] for start in range(0, len(content), _TOKEN_BYTES)
    )
    sure = tuple(-0.01 - 0.001 * (number % 97) for number in range(len(pieces)))
    return TokenProbabilities(
        pieces=pieces,
        log_probabilities=sure,
        runner_up=tuple(each - 4.0 for each in sure),
    )


class InstantEngine:
    """An engine that answers at once.

    :param probabilities: of the output's tokens; None for none.
    :param pace: pages a second, at most; None for no limit.
    """

    def __init__(self, probabilities: Any = None, pace: float | None = None) -> None:
        self._pace = pace
        self._more = {} if probabilities is None else {"token_probabilities": probabilities}

    def family(self) -> Any:
        """Return the published model's family; checkouts before there were families do not ask."""
        from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR

        return DEEPSEEK_OCR

    def smallest_print(self) -> float:
        """Return 0: any print."""
        return 0.0

    def modes(self) -> tuple[str, ...]:
        """Return the mode that the benchmark uses."""
        return (OcrOptions().resolution,)

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield the same output for each page."""
        started, count = time.monotonic(), 0
        with Prefetcher(
            requests, lambda request: request.key, bound=_BOUND, stop=stop_of(requests)
        ) as keys:
            while True:
                key = keys.take(wait=True)
                if key is None:
                    if keys.over:
                        return
                    continue
                count += 1
                if self._pace is not None:
                    time.sleep(max(0.0, started + count / self._pace - time.monotonic()))
                yield PageOutput(
                    key=key,
                    text=OUTPUT,
                    finish_reason=FinishReason.STOP,
                    vision_tokens=903,
                    prompt_tokens=910,
                    text_tokens=1200,
                    seconds=0.01,
                    **self._more,
                )

    def close(self) -> None:
        """Do nothing."""


class PartTimes:
    """Measures each part from now on: the thread's CPU time, and the time that passes.

    Threads work side by side, so the times that pass do not add up to the run's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for part, module, owner, name in PARTS:
            place = getattr(import_module(module), owner)
            setattr(place, name, self._measured(part, getattr(place, name)))

    def figures(self) -> dict[str, dict[str, float]]:
        """Return calls, CPU seconds of this process, and seconds by part."""
        with self._lock:
            return {
                part: {"calls": calls, "cpu_s": cpu, "wall_s": wall}
                for part, (calls, cpu, wall) in self._sums.items()
            }

    def _measured(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **named: Any) -> Any:
            cpu, wall = time.thread_time(), time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                with self._lock:
                    sums = self._sums[part]
                    sums[0] += 1
                    sums[1] += time.thread_time() - cpu
                    sums[2] += time.perf_counter() - wall

        return measured


class CountedEngine:
    """Counts the pages that an engine reads.

    :param engine: reads them.
    """

    def __init__(self, engine: Any) -> None:
        self._engine, self.pages = engine, 0

    def family(self) -> Any:
        """Return the engine's family."""
        return self._engine.family()

    def smallest_print(self) -> float:
        """Return the engine's."""
        return float(self._engine.smallest_print())

    def modes(self) -> tuple[str, ...]:
        """Return the engine's modes."""
        return tuple(self._engine.modes())

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield the engine's outputs."""
        with closing(self._engine.read(requests, progress)) as outputs:
            for output in outputs:
                self.pages += 1
                yield output

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def main() -> None:
    """Process the documents of a directory or a bucket, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True, help="SQLAlchemy URL")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--s3", help="JSON: endpoint_url, access_key, secret_key, region, bucket")
    parser.add_argument("--render-processes", type=int)
    parser.add_argument("--socket", type=Path, help="of a model server that answers at once")
    parser.add_argument(
        "--part-times", action="store_true", help="measure the parts of a page's way"
    )
    parser.add_argument("--probabilities", action="store_true", help="of tokens, with each output")
    parser.add_argument("--pace", type=float, help="pages a second of the engine, at most")
    parser.add_argument("--exports", nargs="+", default=[], help="formats, such as markdown webp")
    parser.add_argument("--export-to", type=Path, help="directory for them")
    arguments = parser.parse_args()
    limits = Limits()
    client = _client(json.loads(arguments.s3)) if arguments.s3 else None
    if client is None:
        refs = [DocumentRef(path.as_uri()) for path in sorted(arguments.directory.iterdir())]
    else:
        refs = list(Listing(json.loads(arguments.s3)["bucket"]).documents(client))
    url = arguments.database
    probabilities = probabilities_of(OUTPUT) if arguments.probabilities else None
    engine = CountedEngine(
        _server(arguments.socket)
        if arguments.socket
        else InstantEngine(probabilities, arguments.pace)
    )
    times = PartTimes() if arguments.part_times else None
    # psycopg2 appears in the URL, and the options are by dialect.
    dialect = url.partition(":")[0].partition("+")[0]
    with closing(Store(create_engine(url, **engine_options(dialect)))) as store:
        store.ensure_schema()
        pipeline = Pipeline(
            sources=Sources(
                {"file": lambda: FileSource(limits), "s3": lambda: S3Source(client, limits)}
            ),
            get_engine=lambda: engine,
            store=store,
            config=Settings().processing_config(OcrOptions()),
            options=PipelineOptions(**_options(arguments.render_processes), limits=limits),
            **_exports(arguments.exports, arguments.export_to),
        )
        before, own, started = _cpu_seconds(), time.process_time(), time.monotonic()
        summary = pipeline.run(refs)
        seconds, cpu = time.monotonic() - started, _cpu_seconds() - before
        own = time.process_time() - own
        doubled = _doubled(store)
    print(
        json.dumps(
            {
                "pages": summary.pages,
                "failed_pages": summary.failed_pages,
                "statuses": dict(summary.statuses),
                "retried_attempts": summary.retried_attempts,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "task_cpu_seconds": own,
                "engine_pages": engine.pages,
                "doubled": doubled,
                "part_times": times and times.figures(),
            }
        )
    )


def _doubled(store: Store) -> int:
    """Return how many pages are stored twice, and documents were claimed twice."""
    with store.database.engine.connect() as connection:
        pages, different = connection.execute(
            text(
                "SELECT count(*), count(DISTINCT document_id * 1000000 + page_number) FROM ocr_pages"
            )
        ).one()
        claims, documents = connection.execute(
            text("SELECT coalesce(sum(claims), 0), count(*) FROM ocr_documents")
        ).one()
    return int(pages - different) + int(claims - documents)


def _server(socket: Path) -> Any:
    from airflow_deepseek_ocr.engines.http.engine import HttpEngine
    from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint

    return HttpEngine(lambda: Endpoint("http://localhost", SERVER, socket), model=SERVER)


def _options(render_processes: int | None) -> dict[str, Any]:
    known = "render_processes" in {field.name for field in fields(PipelineOptions)}
    return {"render_processes": render_processes} if known and render_processes else {}


def _exports(formats: list[str], directory: Path | None) -> dict[str, Any]:
    """Return the pipeline's argument for exports; checkouts before there were exports have none."""
    if not formats or directory is None:
        return {}
    from airflow_deepseek_ocr.ocr.exports.formats import parse_formats
    from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan
    from airflow_deepseek_ocr.targets.directory import DirectoryTarget

    return {"exports": ExportPlan(DirectoryTarget(directory), parse_formats(formats))}


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _client(server: dict[str, str]) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server["endpoint_url"],
        aws_access_key_id=server["access_key"],
        aws_secret_access_key=server["secret_key"],
        region_name=server["region"],
    )


if __name__ == "__main__":
    sys.exit(main())
