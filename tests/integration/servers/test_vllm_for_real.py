"""A real vLLM on the CPU with this package's plugin, started by the supervisor (``make test-vllm``)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import START_TIMEOUT_S, make_engine, server_spec
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import TRUST_REQUESTS, chat_request
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import load_record
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fixtures.golden_tokenizer import write_golden_tokenizer
from tests.support.fixtures.widen import widen
from tests.support.golden import published_widths

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

COMMAND = ROOT / ".venv-vllm" / "bin" / "vllm"
#: Length and n-gram size of the recorded outputs.
GOLDEN_LENGTH, GOLDEN_NGRAM = 64, 3
RETRY_POLICY = RetryPolicy(page_s=900)


@pytest.fixture(scope="module", autouse=True)
def on_this_cpu() -> Iterator[None]:
    assert COMMAND.exists(), "make test-vllm makes the environment"
    variables = {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@dataclass(frozen=True)
class Vllm:
    directory: Path
    settings: Settings
    supervisor: Supervisor

    def engine(self, decoding: Decoding) -> HttpEngine:
        name = self.settings.model
        return HttpEngine(
            self.supervisor.find, model=name, decoding=decoding, pages=8, retry_policy=RETRY_POLICY
        )


@contextmanager
def vllm(servers: Path, directory: Path, options: str = TRUST_REQUESTS) -> Iterator[Vllm]:
    """Provide a server for a checkpoint; it starts at its first use, and is stopped afterwards."""
    settings = Settings.of(
        {
            "engine": "vllm",
            "model": str(directory),
            "dtype": "float32",
            "batch_size": 8,
            "max_output_length": 60,
            "idle_seconds": 900,
            "page_timeout": 900,
            "vllm_command": str(COMMAND),
            # vLLM profiles memory with the largest image, which takes minutes on a CPU.
            "vllm_options": f"--enforce-eager --max-model-len 4096 --skip-mm-profiling {options}",
        }
    )
    spec = server_spec(settings, "vllm", directory)
    try:
        yield Vllm(directory, settings, Supervisor(spec, servers, START_TIMEOUT_S))
    finally:
        record = load_record(servers, spec.key)
        if record is not None:
            stop_server(record, servers)
            assert record.process() is None


@pytest.fixture(scope="module")
def small(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """The small checkpoint, widened to the encoder sizes that vLLM builds."""
    directory = tmp_path_factory.mktemp("small") / "checkpoint"
    widen(TINY_MODEL, directory)
    with vllm(servers, directory) as server:
        yield server


@pytest.fixture(scope="module")
def pages(invoice: Image.Image, table: Image.Image) -> list[PageRequest]:
    """Pages in all modes, with several prompts, one with more tiles than vLLM without the plugin cuts."""
    strip = invoice.crop((0, 0, invoice.width, invoice.width // 7)).resize((4480, 640))
    return [
        *(
            PageRequest(key=mode, image=invoice, prompt="free", resolution=mode)
            for mode in DEEPSEEK_OCR.resolutions
        ),
        PageRequest(key="strip", image=strip, prompt="free", resolution="gundam"),
        PageRequest(key="table", image=table, prompt="markdown", resolution="small"),
        PageRequest(key="locate", image=table, prompt="locate:Month", resolution="tiny"),
    ]


def compared(output: PageOutput, *, counts_end: bool = False) -> tuple[Any, ...]:
    """Return the fields that must be equal in vLLM and in-process.

    :param counts_end: the text tokens include the end token, as vLLM counts.
    """
    assert output.error is None
    end = counts_end and output.finish_reason == "stop"
    tokens = output.vision_tokens, output.prompt_tokens, output.text_tokens - end
    return (output.text, str(output.finish_reason), *tokens)


def test_pages_in_all_modes_at_once_are_read_as_in_process(
    small: Vllm, pages: list[PageRequest]
) -> None:
    decoding = small.settings.decoding
    here = InProcessEngine(TINY_MODEL, device="cpu", dtype="float32", decoding=decoding)
    in_process = {output.key: output for output in here.read(pages)}
    expected = {key: compared(output) for key, output in in_process.items()}
    here.close()
    engine = make_engine(small.settings, lambda: small.directory)
    assert isinstance(engine, HttpEngine)
    assert engine.modes() == tuple(DEEPSEEK_OCR.resolutions)
    outputs = {output.key: output for output in engine.read(pages)}
    there = {key: compared(output, counts_end=True) for key, output in outputs.items()}
    for key, values in sorted(there.items()):
        print(key, values)
    assert there == expected
    assert len({tokens for _, _, tokens, *_ in there.values()}) >= 6
    for key, output in outputs.items():
        found, own = output.token_probabilities, in_process[key].token_probabilities
        assert found is not None, key
        assert own is not None
        assert found.text == own.text
        if (
            found.pieces == own.pieces
        ):  # vLLM gives the bytes of a split character to its last token
            assert found.log_probabilities == pytest.approx(own.log_probabilities, abs=1e-3)
            assert found.runner_up == pytest.approx(own.runner_up, abs=1e-3)
    assert any(
        output.token_probabilities.pieces == in_process[key].token_probabilities.pieces
        for key, output in outputs.items()
        if output.token_probabilities and in_process[key].token_probabilities
    )


def test_invalid_modes_are_refused_and_the_server_continues(
    small: Vllm, table: Image.Image
) -> None:
    endpoint = small.supervisor.find()
    with endpoint.client(httpx.Timeout(900)) as client:

        def ask(options: dict[str, Any]) -> httpx.Response:
            body = chat_request(
                model=small.settings.model,
                image_url=data_url(table, local=True),
                line="Free OCR.",
                resolution=None,
                max_tokens=2,
                no_repeat_ngram=(0, 0),
                table_cells=(),
            )
            body["mm_processor_kwargs"] = options
            return client.post("/v1/chat/completions", json=body)

        for options, said in (
            ({"resolution": "huge"}, "tiny, small, base, large, gundam"),
            ({"resolution": ["tiny"]}, "tiny, small, base, large, gundam"),
            # Ends the engine of a vLLM without the plugin.
            ({"crop_mode": False}, "'resolution' alone, not crop_mode"),
            ({"resolution": "tiny", "base_size": 99}, "not base_size"),
        ):
            refused = ask(options)
            assert refused.status_code == 400, options
            assert said in refused.text
        assert ask({"resolution": "tiny"}).json()["usage"]["prompt_tokens"] == 73 + 11


def test_golden_tokens(servers: Path, tmp_path: Path) -> None:
    """The tokens that the original code wrote, in six cases of five modes."""
    golden, source, directory = (
        ROOT / "tests" / "corpus" / "golden",
        tmp_path / "toy",
        tmp_path / "checkpoint",
    )
    subprocess.run([sys.executable, golden / "make_weights.py", source], check=True, timeout=300)
    config = published_widths(json.loads((source / "config.json").read_text()))
    config["projector_config"]["n_embed"] = config["language_config"]["hidden_size"]
    (source / "config.json").write_text(json.dumps(config))
    tokenizer = write_golden_tokenizer(source, config["language_config"]["vocab_size"])
    widen(source, directory)
    requests, recorded = [], {}
    for path in sorted((golden / "cases").glob("*.json")):
        case = recorded[path.stem] = json.loads(path.read_text())
        prompt = "markdown" if "markdown" in case["prompt"] else "free"
        with Image.open(golden / "images" / case["image"]) as image:
            requests.append(
                PageRequest(
                    key=path.stem,
                    image=image.convert("RGB"),
                    prompt=prompt,
                    resolution=case["resolution"],
                )
            )
    assert {each.resolution for each in requests} == set(DEEPSEEK_OCR.resolutions)
    with vllm(servers, directory) as server:
        for name, ngram in (("tokens", 0), ("tokens_no_repeat_3gram", GOLDEN_NGRAM)):
            decoding = Decoding(GOLDEN_LENGTH, ngram_size=ngram, ngram_window=GOLDEN_LENGTH)
            outputs = {output.key: output for output in server.engine(decoding).read(requests)}
            for key, case in recorded.items():
                words = tokenizer.decode(case[name], skip_special_tokens=False)
                # Text that is written token by token has a space before each word.
                assert outputs[key].text.removeprefix(" ") == words, (key, name)
                assert outputs[key].text_tokens == GOLDEN_LENGTH
                assert outputs[key].vision_tokens == case["vision_tokens"]
                ids = len(case["prompt_ids_before_image"]) + len(case["prompt_ids_after_image"])
                assert outputs[key].prompt_tokens == case["vision_tokens"] + ids


def test_without_the_plugin_it_reads_in_gundam_only(
    servers: Path, small: Vllm, table: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "lora_filesystem_resolver")
    # With another option it is another server.
    with vllm(
        servers, small.directory, f"{TRUST_REQUESTS} --max-num-batched-tokens 4096"
    ) as server:
        engine = server.engine(Decoding(4))
        assert engine.modes() == ("gundam",)
        with pytest.raises(ConfigurationError, match="airflow-deepseek-ocr-vllm"):
            list(engine.read([PageRequest(key=1, image=table, prompt="free", resolution="small")]))
