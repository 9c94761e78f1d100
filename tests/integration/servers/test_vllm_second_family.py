"""DeepSeek-OCR-2 in a real vLLM on the CPU, by vLLM's own class and with the plugin (``make test-vllm``).

The weights are random; the encoder has its published size, which is all that vLLM can build.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import TRUST_REQUESTS
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from tests.conftest import GOLDEN
from tests.support.fixtures.published_encoder import write_published_encoder
from tests.support.golden import golden_image
from tests.support.servers.vllm_on_cpu import WITHOUT_PLUGIN, Vllm, largest_difference, vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]

#: Tokens of a page's text; the encoder takes most of the time.
LENGTH = 12
#: Vision tokens of the page below: 2 x 1 tiles in gundam.
TOKENS = {"small": 145, "base": 257, "gundam": 257 + 2 * 144}
#: Most that a log-probability may differ, in float32. Thirty-six layers of other kernels are between them.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published_encoder(tmp_path_factory.mktemp("second") / "DeepSeek-OCR-2")


@pytest.fixture(scope="module")
def pages() -> list[PageRequest]:
    with Image.open(golden_image(GOLDEN[1], "wide.png")) as image:
        page = image.convert("RGB").resize((1280, 720))
    return [
        PageRequest(key=mode, image=page, prompt="free", resolution=mode)
        for mode in DEEPSEEK_OCR_2.resolutions
    ]


@pytest.fixture(scope="module")
def decoding() -> Decoding:
    return DEEPSEEK_OCR_2.decoding(LENGTH)


@pytest.fixture(scope="module")
def expected(
    checkpoint: Path, pages: list[PageRequest], decoding: Decoding
) -> dict[str, PageOutput]:
    """The in-process engine's outputs by mode."""
    engine = InProcessEngine(checkpoint, device="cpu", dtype="float32", decoding=decoding)
    outputs = {str(output.key): output for output in engine.read(pages)}
    engine.close()
    assert {mode: output.vision_tokens for mode, output in outputs.items()} == TOKENS
    assert len({output.text for output in outputs.values()}) == len(TOKENS)
    return outputs


@pytest.fixture(scope="module")
def second(servers: Path, checkpoint: Path) -> Iterator[Vllm]:
    with vllm(servers, checkpoint, max_output_length=LENGTH) as server:
        yield server


def test_all_modes_of_the_second_family_give_what_the_in_process_engine_gives(
    second: Vllm, pages: list[PageRequest], expected: dict[str, PageOutput], decoding: Decoding
) -> None:
    engine = second.engine(decoding)
    assert engine.modes() == DEEPSEEK_OCR_2.modes
    for output in engine.read(pages):
        _compare(output, expected[str(output.key)])


def test_a_connection_for_the_other_family_fails_at_its_first_page(
    servers: Path, second: Vllm, pages: list[PageRequest]
) -> None:
    """As a directory whose name tells no family."""
    second.supervisor.find()
    with vllm(
        servers, second.directory, max_output_length=LENGTH, model_family="deepseek_ocr"
    ) as other:
        assert other.supervisor.find().address == second.supervisor.find().address
        with pytest.raises(ConfigurationError, match="is DeepSeek-OCR-2, but") as caught:
            list(other.engine().read(pages[:1]))
        assert caught.value.code == ErrorCode.MODEL_FAMILY


def test_without_the_plugin_vllm_s_own_class_reads_in_gundam(
    servers: Path,
    checkpoint: Path,
    pages: list[PageRequest],
    expected: dict[str, PageOutput],
    decoding: Decoding,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in WITHOUT_PLUGIN.items():
        monkeypatch.setenv(name, value)
    options = f"{TRUST_REQUESTS} --max-num-batched-tokens 4096"
    with vllm(servers, checkpoint, options, max_output_length=LENGTH) as server:
        engine = server.engine(decoding)
        assert engine.modes() == ("gundam",)
        (output,) = engine.read([page for page in pages if page.resolution == "gundam"])
        _compare(output, expected["gundam"])
        with pytest.raises(ConfigurationError, match="airflow-deepseek-ocr-vllm"):
            list(engine.read([page for page in pages if page.resolution == "small"]))


def _compare(output: PageOutput, expected: PageOutput) -> None:
    assert output.error is None
    # Random tokens may end within a character, which vLLM leaves out.
    assert output.text.rstrip("\ufffd") == expected.text.rstrip("\ufffd")
    assert output.text_tokens == expected.text_tokens == LENGTH
    assert output.finish_reason == expected.finish_reason
    assert output.vision_tokens == expected.vision_tokens
    assert output.prompt_tokens == expected.prompt_tokens
    difference = largest_difference(output, expected)
    print(output.key, output.text_tokens, "tokens, at most", difference)
    assert difference < TOLERANCE
