"""A child gets the variables that it needs, and no secrets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.rendering.child_environment import child_environment

SECRETS = (
    "AIRFLOW_CONN_RESULTS", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "DB_PASSWORD", "GOOGLE_APPLICATION_CREDENTIALS",
    "PIP_INDEX_URL", "HTTPS_PROXY", "SSH_AUTH_SOCK", "KUBECONFIG", "HOME", "XLC_ALL", "PYTHONSTARTUP",
)  # fmt: skip
KEPT = {
    "PATH": "/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "LC_CTYPE": "C", "TZ": "UTC", "TMPDIR": "/scratch",
    "LD_LIBRARY_PATH": "/opt/lib", "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1",
    "NUMEXPR_NUM_THREADS": "3",
}  # fmt: skip


def test_variables_are_kept_by_name() -> None:
    environment = child_environment(dict.fromkeys(SECRETS, "hunter2") | KEPT)
    added = {"PYTHONPATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"}
    assert environment.keys() == KEPT.keys() | added
    assert {name: environment[name] for name in KEPT} == KEPT


def test_it_imports_as_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/opt/packages"])
    path = child_environment({"PYTHONPATH": "/elsewhere"})["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(Path.cwd()), "/opt/packages"]


def test_threads_are_limited_whatever_the_task_has() -> None:
    assert child_environment({"OMP_NUM_THREADS": "64"})["OMP_NUM_THREADS"] == "1"
