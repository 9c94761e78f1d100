"""A model of a hub, fetched by huggingface_hub from a server on this host."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.weights.hub import cached_hub_directory, fetch_from_hub
from tests.support.servers.model_hub import COMMIT, ModelHub, model_hub

FILES = {"config.json": b"{}", "tokenizer.json": b"[1]", "model.safetensors": bytes(70_000)}
MODEL = "owner/name"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    directory = tmp_path / "repository"
    directory.mkdir()
    for name, content in (FILES | {"modeling.py": b"raise SystemExit"}).items():
        (directory / name).write_bytes(content)
    with model_hub(directory, MODEL) as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield server


def test_size_progress_and_files(
    hub: ModelHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = tmp_path / "cache"
    assert cached_hub_directory(MODEL, COMMIT, cache) is None
    directory = fetch_from_hub(MODEL, COMMIT, cache, None)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == FILES
    lines = [each.getMessage() for each in caplog.records if "weights" in each.name]
    assert lines[0] == f"Fetching {MODEL} at {COMMIT} into {cache}: 70 kB"
    assert lines[-1].startswith(f"Fetched {MODEL} at {COMMIT} into {cache}: 70 kB in ")
    assert not [each for each in caplog.records if "HTTP Request" in each.getMessage()]
    assert cached_hub_directory(MODEL, COMMIT, cache) == directory


def test_files_that_arrived_are_not_fetched_again(
    hub: ModelHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.failing = {"tokenizer.json"}
    with pytest.raises(UnavailableError) as caught:
        fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", "hf_secret")
    assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE
    assert f"airflow-deepseek-ocr pull {MODEL} --revision {COMMIT}" in str(caught.value)
    assert "hf_secret" not in str(caught.value)
    arrived = set(hub.downloads)
    hub.failing, hub.downloads = set(), []
    caplog.set_level(logging.INFO)
    assert fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None).is_dir()
    assert not arrived & set(hub.downloads)
    assert "tokenizer.json" in hub.downloads


def test_only_files_of_the_model_are_fetched(hub: ModelHub, tmp_path: Path) -> None:
    index = {"weight_map": {"x": "a.safetensors"}}
    (hub.directory / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("a.safetensors", "adapter_model.safetensors", "adapter_config.json", "other.json"):
        (hub.directory / name).write_text(name)
    directory = fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None)
    assert {path.name for path in directory.iterdir()} == {
        *("config.json", "tokenizer.json", "model.safetensors.index.json", "a.safetensors")
    }
    assert len(hub.downloads) == 4
    assert cached_hub_directory(MODEL, COMMIT, tmp_path / "cache") == directory
    assert fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None) == directory
    assert len(hub.downloads) == 4


def test_an_index_that_leads_elsewhere_is_refused(hub: ModelHub, tmp_path: Path) -> None:
    index = {"weight_map": {"x": "../../../etc/a.safetensors"}}
    (hub.directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnavailableError, match=r"no \.safetensors file beside it") as caught:
        fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
    assert "model.safetensors" not in hub.downloads


def test_weights_have_the_sha256_that_the_hub_gives(hub: ModelHub, tmp_path: Path) -> None:
    """As files in large-file storage have it."""
    hub.etags = {"model.safetensors": "0" * 64}
    with pytest.raises(UnavailableError, match=f"the hub gives {'0' * 64}") as caught:
        fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
    hub.etags = {"model.safetensors": hashlib.sha256(FILES["model.safetensors"]).hexdigest()}
    directory = fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None)
    assert (directory / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.slow  # the client's own retries take 20 s
def test_a_hub_that_does_not_answer(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="Without network: run airflow-deepseek-ocr pull"):
        fetch_from_hub(MODEL, COMMIT, tmp_path / "cache", None)
