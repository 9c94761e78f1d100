"""Which tasks can share a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware import gpu
from tests.conftest import TINY_MODEL

RESIDENT = ResidentServerSpec(model_directory=TINY_MODEL, model="m", device="cuda:0", idle_s=60)
VLLM = VllmServerSpec(model_directory=TINY_MODEL, model="m", device="cuda:0", idle_s=60)


@pytest.mark.parametrize("spec", [RESIDENT, VLLM], ids=lambda spec: spec.kind)
def test_other_weights_and_devices_are_other_servers(
    spec: ResidentServerSpec | VllmServerSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    keys = {spec.key}
    for change in (
        {"device": "cuda:1"},
        {"dtype": "float16"},
        {"revision": "b"},
        {"model": "n"},
        {"model_directory": tmp_path},
    ):
        keys.add(replace(spec, **change).key)  # type: ignore[arg-type]
    assert len(keys) == 6
    assert all(len(key) == 16 for key in keys)
    assert replace(spec, idle_s=1, batch_size=9).key == spec.key
    (tmp_path / "link").symlink_to(TINY_MODEL)
    assert replace(spec, model_directory=tmp_path / "link").key == spec.key


def test_the_kind_is_part_of_the_key() -> None:
    assert RESIDENT.key != VLLM.key


def test_the_name_shows_the_revision() -> None:
    assert RESIDENT.name == "m"
    assert replace(RESIDENT, revision="abc").name == "m at abc"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("auto", None), ("cuda:0", None)),
        (("auto", None), ("cuda", "0")),
        (("cuda:1", None), ("auto", "1,0")),
        (("cuda:1", "GPU-a, GPU-b"), ("cuda", "GPU-b")),
        (("auto", ""), ("cpu", None)),
        (("auto", "-1"), ("cpu", "0")),
        (("auto", " -1"), ("cpu", "0")),
    ],
)
def test_a_gpu_has_one_server_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch, one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda *_: True)

    def key(device: str, visible: str | None, dtype: str = "auto") -> str:
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return replace(RESIDENT, device=device, dtype=dtype).key

    assert key(*one) == key(*other)
    assert key(*one, "bfloat16") == key(*other, "bfloat16") != key(*one, "float16")
    assert key("cuda:7", None) != key(*one)


@pytest.mark.parametrize("spec", [RESIDENT, VLLM], ids=lambda spec: spec.kind)
@pytest.mark.parametrize(
    ("device", "visible"),
    [("cuda:2", "0,1"), ("cuda:1", "GPU-a"), ("cuda:1", "0,-1,1"), ("cuda:0", ""), ("cuda", "-1")],
)
def test_a_hidden_gpu_is_refused(
    spec: ResidentServerSpec | VllmServerSpec,
    device: str,
    visible: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    message = f"{device}'.*CUDA_VISIBLE_DEVICES is '{visible}'"
    with pytest.raises(ConfigurationError, match=message) as caught:
        _ = replace(spec, device=device).key
    assert caught.value.code is ErrorCode.DEVICE
