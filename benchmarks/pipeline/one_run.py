"""One run of the pipeline in a process of its own, in whichever checkout ``PYTHONPATH`` names.

It imports only what old checkouts have as well, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

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
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.store.engine_options import engine_options
from airflow_deepseek_ocr.store.results_store import Store

#: Requests that wait at the engine, as at the in-process engine on a GPU.
_BOUND = 64
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


#: The output of every page.
OUTPUT = _output()


class InstantEngine:
    """An engine that answers at once."""

    def family(self) -> ModelFamily:
        """Return DeepSeek-OCR."""
        return DEEPSEEK_OCR

    def modes(self) -> tuple[str, ...]:
        """Return all modes."""
        return DEEPSEEK_OCR.modes

    def read(
        self, requests: Iterable[PageRequest], progress: Callable[[Progress], None] | None = None
    ) -> Generator[PageOutput, None, None]:
        """Yield the same output for each page."""
        with Prefetcher(
            requests, lambda request: request.key, bound=_BOUND, stop=stop_of(requests)
        ) as keys:
            while True:
                key = keys.take(wait=True)
                if key is None:
                    if keys.over:
                        return
                    continue
                yield PageOutput(
                    key=key,
                    text=OUTPUT,
                    finish_reason=FinishReason.STOP,
                    vision_tokens=903,
                    prompt_tokens=910,
                    text_tokens=1200,
                    seconds=0.01,
                )

    def close(self) -> None:
        """Do nothing."""


def main() -> None:
    """Process the documents of a directory or a bucket, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True, help="SQLAlchemy URL")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--s3", help="JSON: endpoint_url, access_key, secret_key, region, bucket")
    parser.add_argument("--render-processes", type=int)
    arguments = parser.parse_args()
    limits = Limits()
    client = _client(json.loads(arguments.s3)) if arguments.s3 else None
    if client is None:
        refs = [DocumentRef(path.as_uri()) for path in sorted(arguments.directory.iterdir())]
    else:
        refs = list(Listing(json.loads(arguments.s3)["bucket"]).documents(client))
    url = arguments.database
    # psycopg2 appears in the URL, and the options are by dialect.
    dialect = url.partition(":")[0].partition("+")[0]
    with closing(Store(create_engine(url, **engine_options(dialect)))) as store:
        store.ensure_schema()
        pipeline = Pipeline(
            sources=Sources(
                {"file": lambda: FileSource(limits), "s3": lambda: S3Source(client, limits)}
            ),
            get_engine=InstantEngine,
            store=store,
            config=Settings().processing_config(OcrOptions()),
            options=PipelineOptions(**_options(arguments.render_processes), limits=limits),
        )
        before, own, started = _cpu_seconds(), time.process_time(), time.monotonic()
        summary = pipeline.run(refs)
        seconds, cpu = time.monotonic() - started, _cpu_seconds() - before
        own = time.process_time() - own
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
            }
        )
    )


def _options(render_processes: int | None) -> dict[str, Any]:
    known = "render_processes" in {field.name for field in fields(PipelineOptions)}
    return {"render_processes": render_processes} if known and render_processes else {}


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
