"""The environment variables of servers, by an allow-list.

A worker's environment has connections with passwords, Airflow's keys and cloud credentials. A server reads
a model from a local directory, so it needs none of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_NAMES = frozenset(
    {
        *(
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TMPDIR",
            "TEMP",
            "TMP",
        ),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "CPATH", "CC", "CXX", "VIRTUAL_ENV"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
        *(
            "HF_HOME",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_MODULES_CACHE",
            "HF_HUB_DISABLE_TELEMETRY",
        ),
        *("DO_NOT_TRACK", "NO_COLOR", "DEEPSEEK_OCR_SERVERS"),
    }
)
#: Variables of CUDA, ROCm, torch, vLLM, Python, and libraries for threads and memory.
_PREFIXES = (
    *("CUDA", "CUDNN_", "CUBLAS_", "NVIDIA_", "NCCL_", "GLOO_", "HIP_", "ROCM_", "ROCR_", "HSA_"),
    *("VLLM_", "TRITON_", "TORCH", "PYTORCH_", "FLASHINFER_", "TRANSFORMERS_", "TOKENIZERS_"),
    *("SAFETENSORS_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "MALLOC_", "LC_"),
    "PYTHON",
)
#: Names that match a prefix and hold a credential, such as ``VLLM_API_KEY`` and ``NVIDIA_API_KEY``.
_SECRET = re.compile(
    r"(^|_)(\w*KEYS?|\w*TOKENS?|\w*SECRETS?|\w*PASS(WORD|WD|PHRASE)?|PWD|AUTH\w*|\w*CREDENTIALS?"
    r"|CONN(ECTION)?_?\w*|DSN|COOKIE)(_|$)"
)


def server_environment(
    changes: Mapping[str, str | None], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment of a server.

    :param changes: variables to set; None removes a variable.
    :param environment: that of this process.
    """
    passed = {name: value for name, value in environment.items() if _is_allowed(name)}
    return {name: value for name, value in {**passed, **changes}.items() if value is not None}


def _is_allowed(name: str) -> bool:
    return name in _NAMES or (name.startswith(_PREFIXES) and not _SECRET.search(name))
