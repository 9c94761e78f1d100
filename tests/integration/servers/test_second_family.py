"""DeepSeek-OCR-2 in-process and through the resident server: random weights of small width, on a CPU."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from airflow.providers.common.compat.sdk import AirflowFailException
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    CHAT_PATH,
    OWN,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from tests.conftest import GOLDEN, ROOT
from tests.integration.conftest import Connect
from tests.integration.servers.conftest import START_TIMEOUT_S
from tests.support.golden import golden_image, make_readable_checkpoint

#: Of any server of random weights; each test takes seconds on an idle core.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAME = "deepseek-ai/DeepSeek-OCR-2"
#: Vision tokens of the page below: 2 x 1 tiles in gundam.
TOKENS = {"small": 145, "base": 257, "gundam": 257 + 2 * 144}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_readable_checkpoint(GOLDEN[1], tmp_path_factory.mktemp("second") / "DeepSeek-OCR-2")


@pytest.fixture(scope="module")
def pages() -> list[PageRequest]:
    with Image.open(golden_image(GOLDEN[1], "wide.png")) as image:
        page = image.convert("RGB").resize((1280, 720))
    return [
        PageRequest(key=mode, image=page, prompt="free", resolution=mode, max_output_length=length)
        for mode, length in (("gundam", 4), ("small", 9), ("base", 6))
    ]


@pytest.fixture(scope="module")
def expected(checkpoint: Path, pages: list[PageRequest]) -> dict[str, str]:
    """The texts of pages that were read one by one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    engine = InProcessEngine(checkpoint, device="cpu", batch_size=1)
    texts = {}
    for page in pages:
        (output,) = engine.read([page])
        assert output.error is None
        assert output.vision_tokens == TOKENS[page.resolution]
        assert output.text
        texts[page.resolution] = output.text
    assert (engine.decoding.ngram_size, engine.decoding.ngram_window) == (20, 90)
    assert engine.modes() == ("small", "base", "gundam")
    (refused,) = engine.read(
        [PageRequest(key=0, image=pages[0].image, prompt="free", resolution="tiny")]
    )
    assert refused.error is not None
    assert refused.error.code == ErrorCode.UNKNOWN_RESOLUTION
    engine.close()
    torch.set_num_threads(threads)
    return texts


@pytest.fixture(scope="module")
def endpoint(checkpoint: Path, servers: Path) -> Iterator[Endpoint]:
    spec = ResidentServerSpec(
        model_directory=checkpoint, model=NAME, device="cpu", batch_size=2, idle_s=600
    )
    yield Supervisor(spec, servers, START_TIMEOUT_S).find()


def engine_of(endpoint: Endpoint, family: ModelFamily) -> HttpEngine:
    return HttpEngine(lambda: endpoint, model=NAME, family=family)


def test_mixed_modes_in_one_batch_give_the_texts_of_pages_read_alone(
    endpoint: Endpoint, pages: list[PageRequest], expected: dict[str, str]
) -> None:
    engine = engine_of(endpoint, DEEPSEEK_OCR_2)
    outputs = {str(output.key): output for output in engine.read(pages)}
    assert {mode: output.text for mode, output in outputs.items()} == expected
    assert {mode: output.vision_tokens for mode, output in outputs.items()} == TOKENS


def test_the_server_s_card_tells_the_family_and_its_modes(endpoint: Endpoint) -> None:
    with endpoint.client(httpx.Timeout(60)) as client:
        (card,) = client.get("/v1/models").json()["data"]
    assert card[OWN]["family"] == "deepseek_ocr_2"
    assert card[OWN]["modes"] == ["small", "base", "gundam"]
    assert card[OWN]["max_tiles"] == 6
    assert card[OWN]["no_repeat_ngram"] == [20, 90]


def test_a_connection_for_the_other_family_fails_at_its_first_page(
    endpoint: Endpoint, pages: list[PageRequest]
) -> None:
    with pytest.raises(ConfigurationError, match="is DeepSeek-OCR-2, but") as caught:
        list(engine_of(endpoint, DEEPSEEK_OCR).read(pages))
    assert caught.value.code == ErrorCode.MODEL_FAMILY


def test_a_mode_of_the_other_family_is_refused_by_client_and_server(
    endpoint: Endpoint, pages: list[PageRequest]
) -> None:
    tiny = PageRequest(key=0, image=pages[0].image, prompt="free", resolution="tiny")
    with pytest.raises(ConfigurationError, match="small, base, gundam") as caught:
        list(engine_of(endpoint, DEEPSEEK_OCR_2).read([tiny]))
    assert caught.value.code == ErrorCode.UNKNOWN_RESOLUTION
    body = chat_request(
        model=NAME,
        image_url="data:image/png;base64,",
        line="Free OCR.",
        resolution="tiny",
        max_tokens=1,
        no_repeat_ngram=(0, 0),
        table_cells=(),
    )
    with endpoint.client(httpx.Timeout(60)) as client:
        answer = client.post(CHAT_PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "server_mode"
    assert "small, base, gundam" in answer.json()["error"]["message"]


def test_documents_in_s3_become_rows_by_changing_the_model_s_name(
    checkpoint: Path,
    servers: Path,
    client: Any,
    bucket: str,
    connect: Connect,
    sqlite_results: Path,
) -> None:
    """The same rows in-process and through the resident server; the directory's name tells the family."""
    documents = ROOT / "demo" / "documents"
    for name in ("invoice.pdf", "letter.tiff"):
        client.upload_file(str(documents / name), bucket, name)

    def run(engine: str, **arguments: Any) -> dict[str, Any]:
        settings = {"engine": engine, "model": str(checkpoint), "device": "cpu", "batch_size": 2}
        extra = settings | {"max_output_length": 12, "retry_with": "none", "idle_seconds": 600}
        connect("deepseek_ocr_default", {"conn_type": "deepseek_ocr", "extra": extra})
        operator = DeepSeekOCROperator(
            task_id="read",
            s3_prefix=f"s3://{bucket}/",
            max_failed_pages=None,
            **{"resolution": "small", **arguments},
        )
        summary: dict[str, Any] = operator.execute({})
        return summary

    summary = run("in_process")
    assert (summary["pages"], summary["vision_tokens"]) == (3, 3 * TOKENS["small"])
    in_process = _rows(sqlite_results)
    assert [(name, number) for name, number, *_ in in_process] == [
        ("invoice.pdf", 1), ("letter.tiff", 1), ("letter.tiff", 2)
    ]  # fmt: skip
    for _, _, model, resolution, vision_tokens, text, confidence in in_process:
        assert (model, resolution, vision_tokens) == (str(checkpoint), "small", TOKENS["small"])
        assert text
        assert 0 < confidence.expected < 1
    assert run("resident")["documents"] == {"skipped": 2}
    assert run("resident", overwrite=True)["pages"] == 3
    assert _rows(sqlite_results) == in_process
    # Another mode is another processing configuration: rows of their own.
    summary = run("resident", resolution="gundam")
    assert summary["pages"] == 3
    tokens = {row[:2]: row[4] for row in _rows(sqlite_results) if row[3] == "gundam"}
    # The square page of the PDF has 2 x 2 tiles, the small images none.
    assert tokens == {
        ("invoice.pdf", 1): 257 + 4 * 144,
        ("letter.tiff", 1): 257,
        ("letter.tiff", 2): 257,
    }
    assert [row for row in _rows(sqlite_results) if row[3] == "small"] == in_process
    with pytest.raises(AirflowFailException, match="small, base, gundam"):
        run("resident", resolution="tiny")


def _rows(database: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT d.uri, p.page_number, d.model, p.resolution, p.vision_tokens, p.text, p.confidence "
            "FROM ocr_pages p JOIN ocr_documents d ON d.id = p.document_id ORDER BY d.uri, p.page_number"
        ).fetchall()
    # The last is the confidence, whose last digits depend on the pages that are read together.
    return [(uri.rpartition("/")[2], *row, pytest.approx(last)) for uri, *row, last in found]
