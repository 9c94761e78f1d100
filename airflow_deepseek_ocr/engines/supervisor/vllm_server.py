"""vLLM on this host, started and kept like the resident server, from an environment of its own."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.chat_completions import PUBLISHED_TABLE_CELLS
from airflow_deepseek_ocr.engines.supervisor.server_identity import ServerIdentity
from airflow_deepseek_ocr.engines.supervisor.supervisor import Launch, Place
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware.gpu import host_device
from airflow_deepseek_ocr.model.weights.files import TOKENIZER

_LOOPBACK = "127.0.0.1"
#: vLLM's own n-gram guard for this model; prefix and image caches are of no use to pages that are
#: read once (vLLM's recipe for DeepSeek-OCR).
_FLAGS = (
    *("--logits-processors", "vllm.model_executor.models.deepseek_ocr:NGramPerReqLogitsProcessor"),
    "--no-enable-prefix-caching",
    *("--mm-processor-cache-gb", "0"),
)
#: From 0.30 on, vLLM runs models with its model runner V2 unless told otherwise, and that one does not
#: start with this guard (``vllm/v1/worker/gpu/sample/logits_processor/loader.py``).
_MODEL_RUNNER = {"VLLM_USE_V2_MODEL_RUNNER": "0"}


@dataclass(frozen=True)
class VllmServerSpec(ServerIdentity):
    """A vLLM server: of a ``cuda:N`` it sees that GPU alone; it has its own default number of pages.

    :param command: the program and what stands before ``serve``.
    :param options: further options of ``serve``.
    """

    command: str = "vllm"
    options: str = ""

    kind = "vllm"

    @property
    def identity(self) -> tuple[object, ...]:
        """See :class:`ServerIdentity`; other options are another server."""
        return (*super().identity, self.command, self.options)

    @property
    def description(self) -> str:
        """See :class:`~airflow_deepseek_ocr.engines.supervisor.supervisor.ServerSpec`."""
        return f"{self.name} in vLLM"

    def launch(self, place: Place) -> Launch:
        """See :class:`~airflow_deepseek_ocr.engines.supervisor.supervisor.ServerSpec`."""
        with socket.create_server((_LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
        url = f"http://{_LOOPBACK}:{port}"
        try:
            program, options = shlex.split(self.command), shlex.split(self.options)
        except ValueError as error:
            raise ConfigurationError(
                ErrorCode.CONNECTION, f"The connection's vLLM command or options: {error}."
            ) from error
        command = [
            *(sys.executable, "-P", "-m", "airflow_deepseek_ocr.engines.supervisor.vllm_watchdog"),
            *("--record", str(place.directory / f"{place.key}.json")),
            *("--api-key-file", str(place.api_key_file)),
            *("--url", url),
            *("--idle-seconds", str(self.idle_s)),
            "--",
            *program,
            *("serve", str(self.directory.resolve())),
            *("--served-model-name", self.model),
            *("--host", _LOOPBACK),
            *("--port", str(port)),
            *("--dtype", self.dtype),
            *_FLAGS,
            *(("--max-num-seqs", str(self.batch_size)) if self.batch_size else ()),
            *options,
        ]
        # A worker that sets the variable knows a vLLM that this project does not.
        environment = {name: os.environ.get(name, value) for name, value in _MODEL_RUNNER.items()}
        if self.device.startswith("cuda:"):
            environment["CUDA_VISIBLE_DEVICES"] = host_device(self.device).partition(":")[2]
        return Launch(command, url, None, environment)


def table_cells(directory: Path) -> tuple[int, ...]:
    """Ids of ``<td>`` and ``</td>`` in that model's tokenizer.

    :param directory: a complete model directory.
    """
    added = json.loads((directory / TOKENIZER).read_text()).get("added_tokens", [])
    ids = {each["content"]: int(each["id"]) for each in added}
    cells = tuple(ids[name] for name in ("<td>", "</td>") if name in ids)
    return cells or PUBLISHED_TABLE_CELLS
