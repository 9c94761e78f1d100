"""Program that reads documents with the small checkpoint; their paths are lines of its standard input.

It prints a line of JSON when it is ready, and a line after each document.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy
from PIL import Image

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.results_store import Store
from tests.conftest import TINY_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--page-seconds", type=float, required=True)
    options = parser.parse_args()
    answers = sys.stdout
    sys.stdout = sys.stderr
    decoding = Decoding(max_output_length=options.length)
    engine = InProcessEngine(TINY_MODEL, device="cpu", batch_size=1, decoding=decoding)
    limits = Limits(max_page_seconds=options.page_seconds)
    settings = Settings(model="small", resolution="small", max_output_length=options.length)
    config = settings.processing_config()
    with closing(engine), closing(Store(_database(options.database))) as store:
        store.ensure_schema()
        # The memory of the model includes its largest mode, so that only documents add to it.
        blank = Image.new("RGB", (1000, 1400), "white")
        list(engine.read([PageRequest(key=0, image=blank, prompt="markdown", resolution="base")]))
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            pipeline = Pipeline(
                sources=Sources({"file": lambda: FileSource(limits)}),
                get_engine=lambda: engine,
                store=store,
                config=config,
                options=PipelineOptions(limits=limits),
            )
            summary = pipeline.run([DocumentRef("file://" + quote(json.loads(line)))])
            print(json.dumps(summary.as_dict()), file=answers, flush=True)


def _database(path: Path) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})


if __name__ == "__main__":
    main()
