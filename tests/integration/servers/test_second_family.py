"""DeepSeek-OCR-2 in-process and through the resident server: random weights of small width, on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
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
from tests.conftest import GOLDEN
from tests.integration.servers.conftest import START_TIMEOUT_S
from tests.support.golden import golden_image, make_readable_checkpoint

#: Of any server of random weights; each test takes seconds on an idle core.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAME = "deepseek-ai/DeepSeek-OCR-2"
#: Vision tokens of the page below: 2 x 1 tiles in gundam.
TOKENS = {"small": 145, "base": 257, "gundam": 257 + 2 * 144}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_readable_checkpoint(GOLDEN[1], tmp_path_factory.mktemp("second") / "model")


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
