"""The variables that servers receive, and those that they do not."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.engines.supervisor.server_environment import server_environment

SECRETS = (
    *("AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW__CORE__FERNET_KEY", "_AIRFLOW_PROCESS_CONTEXT"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "DB_PASSWORD", "PGPASSWORD"),
    *(
        "VLLM_API_KEY",
        "NVIDIA_API_KEY",
        "NGC_API_KEY",
        "TORCH_HUB_TOKEN",
        "PYTHON_KEYRING_PASSWORD",
    ),
    *("GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET", "VAULT_TOKEN", "GITHUB_TOKEN"),
    *("SQLALCHEMY_URL", "DATABASE_URL", "REDIS_URL", "https_proxy", "HTTP_PROXY", "SSH_AUTH_SOCK"),
    *("KUBERNETES_SERVICE_HOST", "DEEPSEEK_OCR_API_KEY", "SENTRY_DSN", "OPENAI_API_KEY"),
)
NEEDED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "HF_HOME"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE"),
    *("VLLM_USE_V2_MODEL_RUNNER", "VLLM_PLUGINS", "VLLM_CPU_OMP_THREADS_BIND", "HF_HUB_OFFLINE"),
    *("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TORCH_CUDA_ARCH_LIST", "OMP_NUM_THREADS"),
    *("PYTORCH_CUDA_ALLOC_CONF", "TOKENIZERS_PARALLELISM", "CC", "DEEPSEEK_OCR_SERVERS"),
    "PYTHONDONTWRITEBYTECODE",
)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_passed(name: str) -> None:
    assert server_environment({}, {name: "secret"}) == {}


@pytest.mark.parametrize("name", NEEDED)
def test_a_variable_that_servers_need_is_passed(name: str) -> None:
    assert server_environment({}, {name: "value"}) == {name: "value"}


def test_changes_are_made() -> None:
    given = {"PYTHONPATH": "/p", "PATH": "/bin"}
    changes = {"PYTHONPATH": None, "MADE_HERE": "1", "MISSING": None}
    assert server_environment(changes, given) == {"PATH": "/bin", "MADE_HERE": "1"}
