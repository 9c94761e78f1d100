"""vLLM for CPUs as the supervisor starts it, in the environment of ``make test-vllm``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import START_TIMEOUT_S, server_spec
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.protocol.chat_completions import TRUST_REQUESTS
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import load_record
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from tests.conftest import ROOT

COMMAND = ROOT / ".venv-vllm" / "bin" / "vllm"
#: Of a server without this package's plugin: vLLM loads the plugins that are named.
WITHOUT_PLUGIN = {"VLLM_PLUGINS": "lora_filesystem_resolver"}
_VARIABLES = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
_PAGE_S = 900
_RETRY_POLICY = RetryPolicy(page_s=_PAGE_S)


@dataclass(frozen=True)
class Vllm:
    directory: Path
    settings: Settings
    supervisor: Supervisor

    def engine(self, decoding: Decoding | None = None) -> HttpEngine:
        """Return an engine that asks this server.

        :param decoding: None for that of the settings.
        """
        return HttpEngine(
            self.supervisor.find,
            model=self.settings.model,
            family=self.settings.family,
            decoding=decoding or self.settings.decoding,
            pages=8,
            retry_policy=_RETRY_POLICY,
        )


@contextmanager
def vllm(
    servers: Path, directory: Path, options: str = TRUST_REQUESTS, **fields: object
) -> Iterator[Vllm]:
    """Provide a server for a checkpoint; it starts at its first use, and is stopped afterwards.

    :param servers: directory of the supervisor.
    :param directory: the checkpoint.
    :param options: for vLLM. Another option makes it another server.
    :param fields: further settings of the connection.
    """
    assert COMMAND.exists(), "make test-vllm makes the environment"
    settings = Settings.of(
        {
            "engine": "vllm",
            "model": str(directory),
            "dtype": "float32",
            "batch_size": 8,
            "max_output_length": 60,
            "idle_seconds": 900,
            "page_timeout": _PAGE_S,
            "vllm_command": str(COMMAND),
            # vLLM profiles memory with the largest image, which takes minutes on a CPU.
            "vllm_options": f"--enforce-eager --max-model-len 4096 --skip-mm-profiling {options}",
            **fields,
        }
    )
    spec = server_spec(settings, "vllm", directory)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _VARIABLES.items():
            patch.setenv(name, value)
        try:
            yield Vllm(directory, settings, Supervisor(spec, servers, START_TIMEOUT_S))
        finally:
            record = load_record(servers, spec.key)
            if record is not None:
                stop_server(record, servers)
                assert record.process() is None


def largest_difference(output: PageOutput, expected: PageOutput) -> float:
    """Return the largest difference between log-probabilities: of a page's tokens, and of their runners-up.

    The bytes of tokens are not compared: vLLM gives those of a split character to its last token.

    :param output: of vLLM.
    :param expected: of the in-process engine, for the same page.
    """
    found, own = output.token_probabilities, expected.token_probabilities
    assert found is not None, output.key
    assert own is not None, expected.key
    assert found.runner_up is not None
    assert own.runner_up is not None
    pairs = zip(
        (*found.log_probabilities, *found.runner_up),
        (*own.log_probabilities, *own.runner_up),
        strict=True,
    )
    return max(abs(one - other) for one, other in pairs)
