"""The connection's vLLM command and vLLM options as arguments, and the options that it may set."""

from __future__ import annotations

import itertools
import re
import shlex

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Options that this package sets, with the connection's field that sets them instead.
_SET_HERE = {
    "model": "Model",
    "served-model-name": "Model",
    "revision": "Revision",
    "dtype": "Data type",
    "max-num-seqs": "Batch size",
    "device": "Device",
    "logits-processors": "",
    "enable-prefix-caching": "",
    "no-enable-prefix-caching": "",
    "mm-processor-cache-gb": "",
    "host": "",
    "port": "",
    "uds": "",
    "api-key": "",
}
#: Options of memory, speed, parallelism and logging (vLLM 0.9 to 0.32, ``vllm/engine/arg_utils.py`` and
#: ``vllm/entrypoints/openai/cli_args.py``). Others open the server to hosts and files, or name code to
#: import, and each version of vLLM has new ones: only these are passed on.
_ALLOWED = frozenset(
    {
        *(
            "gpu-memory-utilization",
            "kv-cache-memory-bytes",
            "kv-cache-dtype",
            "calculate-kv-scales",
        ),
        *("block-size", "swap-space", "cpu-offload-gb", "num-gpu-blocks-override", "max-model-len"),
        *("max-num-batched-tokens", "max-num-partial-prefills", "max-long-partial-prefills"),
        *("long-prefill-token-threshold", "enable-chunked-prefill", "scheduling-policy"),
        *("scheduler-reserve-full-isl", "async-scheduling", "stream-interval", "enforce-eager"),
        *("cudagraph-capture-sizes", "max-cudagraph-capture-size", "max-seq-len-to-capture"),
        *("optimization-level", "performance-mode", "attention-backend", "moe-backend"),
        *(
            "compilation-config.mode",
            "compilation-config.level",
            "compilation-config.cudagraph-mode",
        ),
        *("compilation-config.cudagraph-capture-sizes", "mm-encoder-attn-backend"),
        *("mm-encoder-tp-mode", "mm-processor-cache-type", "mm-shm-cache-max-object-size-mb"),
        *("skip-mm-profiling", "trust-request-mm-kwargs", "limit-mm-per-prompt"),
        *("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size"),
        *(
            "data-parallel-size-local",
            "decode-context-parallel-size",
            "prefill-context-parallel-size",
        ),
        *("distributed-executor-backend", "distributed-timeout-seconds", "enable-expert-parallel"),
        *("disable-custom-all-reduce", "max-parallel-loading-workers", "api-server-count"),
        *("enable-dbo", "enable-eplb", "all2all-backend", "renderer-num-workers", "numa-bind"),
        *("disable-cascade-attn", "disable-sliding-window", "disable-hybrid-kv-cache-manager"),
        *("quantization", "load-format", "safetensors-load-strategy", "use-tqdm-on-load"),
        *("seed", "model-impl", "disable-frontend-multiprocessing", "fail-on-environ-validation"),
        *("uvicorn-log-level", "disable-uvicorn-access-log", "enable-log-requests"),
        *("disable-log-requests", "max-log-len"),
    }
)
#: Short names of the same options, and ``-O3``. ``-O`` may not have other values: they can name code.
_ALLOWED_SHORT = re.compile(r"-(tp|pp|dp|dcp|pcp|dpl|asc|ep|q|O[0-3])")
#: Values of options that also accept the name of a class, which vLLM would import.
_VALUES = {"distributed-executor-backend": ("mp", "uni")}
_NUMBER = re.compile(r"-\d+(\.\d+)?")


def split_command(text: str) -> list[str]:
    """Return the connection's vLLM command as program and arguments.

    :param text: as a shell reads it.
    :raises ConfigurationError: ``connection`` if it is empty or has an open quotation.
    """
    words = _split(text, "vLLM command")
    if not words or not words[0].strip():
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            "The connection's vLLM command names no program. Enter the path of the program vllm, or empty "
            "the field.",
        )
    return words


def split_options(text: str) -> list[str]:
    """Return the connection's vLLM options as arguments.

    :param text: as a shell reads it.
    :raises ConfigurationError: ``connection`` if it has an open quotation, or an option that a connection may
        not set.
    """
    words = _split(text, "vLLM options")
    for word, following in itertools.pairwise([*words, ""]):
        if word.startswith("-") and not _NUMBER.fullmatch(word):
            _require_allowed(word, following)
    return words


def _split(text: str, label: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The connection's {label} cannot be parsed: {error}. Close the quotation.",
        ) from error


def _require_allowed(word: str, following: str) -> None:
    """Raise unless the option is allowed; the value, which may be a secret, is not quoted."""
    option, equals, value = word.partition("=")
    # vLLM accepts underscores for dashes, and the beginning of a name, which stays refused.
    name = option.removeprefix("--").replace("_", "-")
    if _ALLOWED_SHORT.fullmatch(option):
        return
    if option.startswith("--") and name.removeprefix("no-") in _ALLOWED:
        values = _VALUES.get(name)
        if values is None or (value if equals else following) in values:
            return
        reason = f"which a connection may set to {' or '.join(values)} only. Correct it"
    elif name in _SET_HERE:
        field = _SET_HERE[name]
        remedy = f"Remove it, and use the field {field}" if field else "Remove it"
        reason = f"which this package sets. {remedy}"
    else:
        reason = (
            "which is none of those that a connection may set, written in full. Correct it. If you need it, "
            "let a program of the worker add it, or run vLLM as a separate server and enter its Host"
        )
    raise ConfigurationError(
        ErrorCode.CONNECTION, f"The connection's vLLM options have {option}, {reason}."
    )
