"""Malformed documents and malformed outputs of a model, through the whole pipeline."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.conftest import TINY_MODEL
from tests.corpus.documents.all import CORPUS
from tests.corpus.documents.malformed_outputs import OUTPUTS
from tests.corpus.documents.other_files import NAMES
from tests.corpus.documents.registry import Outcome
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, FakeEngine

#: A quick configuration that accepts any output of the model.
_QUICK = replace(
    CONFIG,
    resolution="tiny",
    max_output_length=4,
    retry_with="no_repeat_ngram",
    min_score=0.0,
    dpi=144,
)
#: The document that exceeds the time limit.
_SLOW = "glyph_bomb.pdf"


@pytest.fixture(scope="module")
def small_checkpoint() -> Iterator[InProcessEngine]:
    engine = InProcessEngine(
        TINY_MODEL, device="cpu", batch_size=1, decoding=Decoding(max_output_length=4)
    )
    yield engine
    engine.close()


def outcomes(store: Store) -> dict[str, Outcome]:
    """Return the outcome of each document by its key or name; check the error messages."""
    with Session(store.database.engine) as session:
        documents = session.scalars(select(DocumentRow)).all()
        pages = session.scalars(select(PageRow).order_by(PageRow.page_number)).all()
    for row in (*documents, *pages):
        assert (row.error is None) == (row.error_code is None)
        assert row.error is None or len(row.error) > 40, row.error
    codes: dict[int, tuple[str | None, ...]] = {}
    for page in pages:
        codes[page.document_id] = (*codes.get(page.document_id, ()), page.error_code)
    # A document without a readable page has the error code of its pages.
    return {
        unquote(row.uri.rpartition("/")[2]): codes.get(row.id) or row.error_code or ()
        for row in documents
    }


def _reference(path: Path) -> DocumentRef:
    return DocumentRef("file://" + quote(str(path)))


@pytest.mark.timeout(600)
def test_every_document_has_the_expected_outcome(
    pipeline: Callable[..., Pipeline],
    store: Store,
    small_checkpoint: InProcessEngine,
    tmp_path: Path,
) -> None:
    left_out = {_SLOW, *(name for name in NAMES if "\n" not in name)}
    expected = {name: each for name, each in CORPUS.items() if name not in left_out}
    for name, each in expected.items():
        (tmp_path / name).write_bytes(each.make())

    summary = pipeline(
        sources=Sources({"file": lambda: FileSource(Limits())}),
        config=_QUICK,
        limits=Limits(),
        get_engine=lambda: small_checkpoint,
    ).run(_reference(tmp_path / name) for name in expected)

    assert outcomes(store) == {name: each.outcome for name, each in expected.items()}
    assert sum(summary.documents.values()) == len(expected)
    assert not summary.retryable, "no failure should be retried"
    with Session(store.database.engine) as session:
        sizes = session.execute(
            select(DocumentRow.uri, PageRow.width).join(PageRow).where(PageRow.page_number == 1)
        )
        widths = dict(sizes.tuples().all())
    # Turned upright; halved; rendered with a lower resolution.
    for name, width in {
        "turned_by_its_tags.jpg": 160,
        "bomb_within_the_limit.png": 4000,
        "page_of_20000_points.pdf": 6324,
    }.items():
        assert widths[_reference(tmp_path / name).uri] == width


def test_a_page_over_the_time_limit_fails_and_the_next_document_is_read(
    pipeline: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    (tmp_path / _SLOW).write_bytes(CORPUS[_SLOW].make())
    (tmp_path / "good.tiff").write_bytes((DOCUMENTS / "letter.tiff").read_bytes())
    refs = [_reference(tmp_path / name) for name in (_SLOW, "good.tiff")]

    pipeline(config=_QUICK, limits=Limits(max_page_seconds=2)).run(refs)

    assert outcomes(store) == {_SLOW: CORPUS[_SLOW].outcome, "good.tiff": (None, None)}


def test_unusual_keys(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    """All names without line ends, which moto refuses."""
    names = [name for name in NAMES if "\n" not in name]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=CORPUS[name].make())
    found = list(Listing(bucket, suffixes=None).documents(client))
    assert pipeline(config=_QUICK).run(found).documents == {"done": len(names)}
    with Session(store.database.engine) as session:
        uris = set(session.scalars(select(DocumentRow.uri)))
    assert uris == {f"s3://{bucket}/{name}" for name in names}


class Writer(FakeEngine):
    """Returns the malformed output that the height of a page selects: documents overtake each other."""

    def read(self, requests: Iterable[PageRequest], progress: Any = None) -> Iterator[PageOutput]:
        outputs = list(OUTPUTS.values())
        for request in requests:
            output = outputs[640 - request.image.height]
            yield PageOutput(
                key=request.key,
                text=output.text,
                finish_reason=output.ended,
                vision_tokens=111,
                text_tokens=_tokens(output.text),
            )


def _tokens(text: str) -> int:
    return len(text) // 4


def test_every_output_has_the_expected_outcome(
    pipeline: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    page = Image.open(io.BytesIO((DOCUMENTS / "table.png").read_bytes()))
    for number, name in enumerate(OUTPUTS):
        page.crop((0, 0, 640, 640 - number)).save(tmp_path / f"{name}.png")
    refs = [_reference(tmp_path / f"{name}.png") for name in OUTPUTS]

    writer = Writer()
    pipeline(
        config=replace(CONFIG, retry_with="none"), limits=Limits(), get_engine=lambda: writer
    ).run(refs)

    found = {Path(name).stem: outcome[0] for name, outcome in outcomes(store).items() if outcome}
    assert found == {name: output.code for name, output in OUTPUTS.items()}
    with Session(store.database.engine) as session:
        texts = session.scalars(select(PageRow.text).order_by(PageRow.height.desc())).all()
    for kept, output in zip(texts, OUTPUTS.values(), strict=True):
        assert len(kept) == len(output.text), "the output is stored completely"
