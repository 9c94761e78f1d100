"""vLLM on this host: started and supervised like the resident server, from its own environment."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.chat_completions import PUBLISHED_TABLE_CELLS
from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL
from airflow_deepseek_ocr.engines.supervisor.server_identity import ServerIdentity
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command, split_options
from airflow_deepseek_ocr.hardware.gpu import host_device
from airflow_deepseek_ocr.model.weights.files import TOKENIZER

#: Options that vLLM's documentation gives for DeepSeek-OCR: its no-repeat-n-gram logits processor for this
#: model, and no caches for prefixes and images, because each page is processed once.
_FLAGS = (
    *("--logits-processors", "vllm.model_executor.models.deepseek_ocr:NGramPerReqLogitsProcessor"),
    "--no-enable-prefix-caching",
    *("--mm-processor-cache-gb", "0"),
)
#: Variables without which vLLM 0.30 to 0.33 does not start: model runner V2, the default, has no such
#: logits processors (``vllm/v1/worker/gpu/sample/logits_processor/loader.py``), and a Triton kernel of this
#: model reads a plain float (``vllm/model_executor/models/deepencoder.py``).
_ENVIRONMENT = {"VLLM_USE_V2_MODEL_RUNNER": "0", "TRITON_ALLOW_NON_CONSTEXPR_GLOBALS": "1"}


@dataclass(frozen=True, kw_only=True)
class VllmServerSpec(ServerIdentity):
    """A vLLM server; with device ``cuda:N`` it sees that GPU alone, without a batch size vLLM decides.

    :param command: the program, with arguments that precede ``serve``.
    :param options: further options of ``serve``.
    """

    command: str = "vllm"
    options: str = ""

    kind = "vllm"

    @property
    def identity(self) -> tuple[object, ...]:
        """See :class:`ServerIdentity`; another command or other options mean another server."""
        return (*super().identity, self.command, self.options)

    @property
    def description(self) -> str:
        """See :class:`~.server_spec.ServerSpec`."""
        return f"{self.name} in vLLM"

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        """Return the command that starts vLLM under its watchdog; see :class:`~.server_spec.ServerSpec`.

        vLLM listens on the socket in the private directory, not on a port: another user of the host could
        bind the port first and receive the API key, and vLLM answers some paths without the key.

        :param paths: files that the supervisor provides.
        :raises ConfigurationError: ``connection`` if command or options cannot be parsed, or an option is
            refused.
        """
        program, options = split_command(self.command), split_options(self.options)
        arguments = [
            *(sys.executable, "-P", "-m", "airflow_deepseek_ocr.engines.supervisor.vllm_watchdog"),
            *("--record", str(paths.record_file)),
            *("--api-key-file", str(paths.api_key_file)),
            *("--socket", str(paths.socket)),
            *("--log-file", str(paths.log_file)),
            *("--idle-seconds", str(self.idle_s)),
            "--",
            *program,
            *("serve", str(self.model_directory.resolve())),
            *("--served-model-name", self.model),
            *("--uds", str(paths.socket)),
            *("--dtype", self.dtype),
            *_FLAGS,
            *(("--max-num-seqs", str(self.batch_size)) if self.batch_size else ()),
            *options,
        ]
        # A variable that the worker sets wins: its administrator may have tested another vLLM.
        environment = {name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()}
        if self.device.startswith("cuda:"):
            environment["CUDA_VISIBLE_DEVICES"] = host_device(self.device).partition(":")[2]
        return LaunchCommand(
            arguments=arguments, url=SOCKET_URL, socket=paths.socket, environment=environment
        )


def table_cells(model_directory: Path) -> tuple[int, ...]:
    """Return the token ids of ``<td>`` and ``</td>``, which the no-repeat-n-gram constraint ignores.

    :param model_directory: complete directory of the model.
    :return: ids in that model's tokenizer, or the published ones if its tokenizer has neither.
    """
    added = json.loads((model_directory / TOKENIZER).read_bytes()).get("added_tokens", [])
    ids = {each["content"]: int(each["id"]) for each in added}
    cells = tuple(ids[name] for name in ("<td>", "</td>") if name in ids)
    return cells or PUBLISHED_TABLE_CELLS
