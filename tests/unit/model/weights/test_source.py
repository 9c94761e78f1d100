"""Models from directories, the hub's cache and S3 mirrors; what is incomplete is noticed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.model.weights.files import check_model_directory
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, DEFAULT_REVISION, fetch_model
from airflow_deepseek_ocr.preflight.weights import describe_weights
from tests.conftest import TINY_MODEL
from tests.support.servers.moto_s3 import moto_s3


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_MODEL, tmp_path / "model"))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with moto_s3() as server:
        yield boto3.client(
            "s3",
            **server.client_arguments,
        )


@pytest.fixture
def mirror(client: Any, request: pytest.FixtureRequest) -> str:
    bucket = f"models-{abs(hash(request.node.name)) % 10**9}"
    client.create_bucket(Bucket=bucket)
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    for path in TINY_MODEL.iterdir():
        client.upload_file(str(path), bucket, f"ocr/{path.name}", Config=parts)
    client.put_object(Bucket=bucket, Key="ocr/modeling.py", Body=b"raise SystemExit")
    return f"s3://{bucket}/ocr"


def shards(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.safetensors"))


def test_a_whole_directory() -> None:
    size = check_model_directory(TINY_MODEL)
    assert size == sum(path.stat().st_size for path in shards(TINY_MODEL))
    assert fetch_model(str(TINY_MODEL)) == TINY_MODEL
    assert "complete" in describe_weights(Settings(model=str(TINY_MODEL)))


def remove(name: str) -> Any:
    return lambda directory: (directory / name).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), "config.json"),
        (remove("tokenizer.json"), "tokenizer.json"),
        (remove("model.safetensors.index.json"), "index"),
        (lambda directory: shards(directory)[0].unlink(), "is missing"),
        (lambda directory: shards(directory)[0].write_bytes(b"x" * 99), "not a safetensors file"),
        (
            lambda directory: shards(directory)[0].write_bytes(
                shards(directory)[0].read_bytes()[:-5]
            ),
            "bytes instead of",
        ),
    ],
)
def test_an_incomplete_directory_names_what_is_missing(
    directory: Path, damage: Any, message: str
) -> None:
    damage(directory)
    with pytest.raises(UnavailableError, match=message) as caught:
        fetch_model(str(directory))
    assert caught.value.code == "model_incomplete"


def test_names_that_are_no_models() -> None:
    for model, code in (("a b", "model_name"), ("owner/name", "model_revision")):
        with pytest.raises(ConfigurationError) as caught:
            fetch_model(model)
        assert caught.value.code == code


def test_a_cached_hub_model_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshots = tmp_path / "hub" / f"models--{DEFAULT_MODEL.replace('/', '--')}" / "snapshots"
    shutil.copytree(TINY_MODEL, snapshots / DEFAULT_REVISION)
    assert fetch_model(DEFAULT_MODEL, cache_dir=tmp_path) == snapshots / DEFAULT_REVISION
    assert "is cached" in describe_weights(Settings.of({"cache_dir": str(tmp_path)}))


def test_a_hub_model_that_is_nowhere_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="airflow-deepseek-ocr pull") as caught:
        fetch_model(DEFAULT_MODEL, cache_dir=tmp_path, hub_token="hf_secret")
    assert "hf_secret" not in str(caught.value)


def test_a_mirror_is_fetched_once(client: Any, mirror: str, tmp_path: Path) -> None:
    settings = Settings(model=mirror, cache_dir=tmp_path)
    assert "answers" in describe_weights(settings, lambda: client)
    fetched = fetch_model(mirror, cache_dir=tmp_path, s3_client=lambda: client)
    assert {path.name for path in fetched.iterdir()} == {
        *(path.name for path in TINY_MODEL.iterdir() if path.suffix in (".json", ".safetensors")),
        "mirror.json",
    }
    etags = json.loads((fetched / "mirror.json").read_text()).values()
    assert any("-" in entry["etag"] for entry in etags)  # a multipart upload was among them

    def no_client() -> Any:
        raise AssertionError("S3 was asked again")

    assert fetch_model(mirror, cache_dir=tmp_path, s3_client=no_client) == fetched
    shards(fetched)[0].write_bytes(b"cut")
    assert fetch_model(mirror, cache_dir=tmp_path, s3_client=lambda: client) == fetched
    other = fetch_model(mirror, "v2", cache_dir=tmp_path, s3_client=lambda: client)
    assert other != fetched


def test_a_mirror_that_arrives_changed_is_refused(client: Any, mirror: str, tmp_path: Path) -> None:
    class Flipping:
        """The client, but for one bit of each object's content."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def get_object(self, **arguments: Any) -> Any:
            response = client.get_object(**arguments)
            content = bytearray(response["Body"].read())
            content[len(content) // 2] ^= 1
            response["Body"] = type(
                "Body", (), {"iter_chunks": lambda self, size: [bytes(content)]}
            )()
            return response

    with pytest.raises(UnavailableError, match="arrived changed"):
        fetch_model(mirror, cache_dir=tmp_path, s3_client=Flipping)


def test_a_cache_that_answers_too_late_is_not_taken_for_s3(
    client: Any, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network file system may."""

    def too_late(descriptor: int) -> None:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    monkeypatch.setattr(os, "fsync", too_late)
    with pytest.raises(UnavailableError) as caught:
        fetch_model(mirror, cache_dir=tmp_path, s3_client=lambda: client)
    assert caught.value.code == "local_disk"


@pytest.mark.parametrize(
    ("uri", "code"),
    [("s3://no-such-bucket-at-all/x", "missing_bucket"), ("{mirror}/empty", "model_incomplete")],
)
def test_mirrors_that_are_not_there(
    client: Any, mirror: str, tmp_path: Path, uri: str, code: str
) -> None:
    with pytest.raises(DeepSeekOCRError) as caught:
        fetch_model(uri.format(mirror=mirror), cache_dir=tmp_path, s3_client=lambda: client)
    assert caught.value.code == code
