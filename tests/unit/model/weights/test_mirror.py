"""The copy of an S3 mirror in the cache: complete, resumed, fetched by one process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import IncompleteReadError

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.weights.mirror import fetch_mirror, is_fetched, mirror_directory
from tests.support.servers.moto_s3 import moto_s3

URI = "s3://models/ocr"
FILES = {"config.json": b"{}", "tokenizer.json": b"[1, 2]", "model.safetensors": bytes(5000)}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with moto_s3() as server:
        made = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
        )
        made.create_bucket(Bucket="models")
        for name, content in (FILES | {"modeling.py": b"x", "old/config.json": b"{}"}).items():
            made.put_object(Bucket="models", Key=f"ocr/{name}", Body=content)
        yield made


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_only_model_files_of_the_prefix_are_copied(client: Any, tmp_path: Path) -> None:
    directory = fetch_mirror(URI, "main", tmp_path, lambda: client)
    copied = contents(directory)
    assert copied.pop("mirror.json")
    assert copied == FILES


def test_revisions_and_prefixes_have_separate_directories(tmp_path: Path) -> None:
    directory = mirror_directory(URI, "main", tmp_path)
    assert directory == mirror_directory(f"{URI}/", "main", tmp_path)
    assert directory != mirror_directory(URI, "v2", tmp_path)
    assert directory != mirror_directory("s3://other/ocr", "main", tmp_path)


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"config.json": {}}', "3"])
def test_a_directory_without_a_whole_manifest_is_incomplete(
    tmp_path: Path, manifest: str | None
) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    if manifest is not None:
        (tmp_path / "mirror.json").write_text(manifest)
    assert not is_fetched(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_fetched_again(client: Any, tmp_path: Path, name: str) -> None:
    directory = fetch_mirror(URI, "main", tmp_path, lambda: client)
    (directory / name).write_bytes(b"x")
    assert not is_fetched(directory)
    fetch_mirror(URI, "main", tmp_path, lambda: client)
    assert (directory / name).read_bytes() == FILES[name]


def test_the_rest_of_a_killed_fetch_is_replaced(client: Any, tmp_path: Path) -> None:
    directory = mirror_directory(URI, "main", tmp_path)
    directory.mkdir(parents=True)
    (directory / "model.safetensors.part").write_bytes(b"half")
    assert fetch_mirror(URI, "main", tmp_path, lambda: client) == directory
    assert not list(directory.glob("*.part"))
    assert (directory / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_one_fetches_while_the_others_wait(client: Any, tmp_path: Path) -> None:
    clients = []

    def s3_client() -> Any:
        clients.append(client)
        return client

    with ThreadPoolExecutor(4) as pool:
        fetches = [pool.submit(fetch_mirror, URI, "main", tmp_path, s3_client) for _ in range(4)]
        directories = {fetch.result() for fetch in fetches}
    assert directories == {mirror_directory(URI, "main", tmp_path)}
    assert len(clients) == 1


def test_an_empty_prefix_holds_no_model(client: Any, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="holds no model") as caught:
        fetch_mirror("s3://models/none", "main", tmp_path, lambda: client)
    assert caught.value.code == ErrorCode.MODEL_INCOMPLETE
    assert not is_fetched(mirror_directory("s3://models/none", "main", tmp_path))


class Interrupted:
    """A client whose connection ends within the weights."""

    def __init__(self, client: Any, after: int) -> None:
        self._client, self._after = client, after
        self.ranges: list[str | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **arguments: Any) -> Any:
        self.ranges.append(arguments.get("Range"))
        response = self._client.get_object(**arguments)
        content = response["Body"].read()
        if len(content) > self._after:
            response["Body"] = SimpleNamespace(iter_chunks=lambda _: self._chunks(content))
        else:
            response["Body"] = SimpleNamespace(iter_chunks=lambda _: [content])
        return response

    def _chunks(self, content: bytes) -> Iterator[bytes]:
        yield content[: self._after]
        raise IncompleteReadError(actual_bytes=self._after, expected_bytes=len(content))


def test_an_interrupted_fetch_continues_within_the_file(
    client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DeepSeekOCRError):
        fetch_mirror(URI, "main", tmp_path, lambda: Interrupted(client, 2000))
    directory = mirror_directory(URI, "main", tmp_path)
    assert not is_fetched(directory)
    (part,) = directory.glob("*.part")
    assert part.stat().st_size == 2000
    caplog.set_level(logging.INFO)
    caplog.clear()  # of the first fetch, if another test has lowered the level
    whole = Interrupted(client, 10**6)
    assert fetch_mirror(URI, "main", tmp_path, lambda: whole) == directory
    assert contents(directory).keys() == FILES.keys() | {"mirror.json"}
    assert (directory / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    # config.json precedes the weights and was not fetched again.
    assert whole.ranges == ["bytes=2000-", None]
    lines = [each.getMessage() for each in caplog.records if "weights" in each.name]
    assert lines[0] == f"Fetching {URI} into {directory}: 3 kB"
    assert "Resuming model.safetensors at 2 kB" in lines
    assert lines[-1].startswith(f"Fetched {URI} into {directory}: 3 kB in ")


def test_a_changed_file_is_not_continued(client: Any, tmp_path: Path) -> None:
    uri = "s3://models/changing"
    for name, content in FILES.items():
        client.put_object(Bucket="models", Key=f"changing/{name}", Body=content)
    with pytest.raises(DeepSeekOCRError):
        fetch_mirror(uri, "main", tmp_path, lambda: Interrupted(client, 2000))
    newer = bytes(reversed(range(250))) * 30
    client.put_object(Bucket="models", Key="changing/model.safetensors", Body=newer)
    directory = fetch_mirror(uri, "main", tmp_path, lambda: client)
    assert (directory / "model.safetensors").read_bytes() == newer
    assert not list(directory.glob("*.part"))


def test_a_damaged_part_is_fetched_again_from_its_start(client: Any, tmp_path: Path) -> None:
    with pytest.raises(DeepSeekOCRError):
        fetch_mirror(URI, "main", tmp_path, lambda: Interrupted(client, 2000))
    (part,) = mirror_directory(URI, "main", tmp_path).glob("*.part")
    part.write_bytes(b"x" * 2000)
    with pytest.raises(UnavailableError, match="arrived changed"):
        fetch_mirror(URI, "main", tmp_path, lambda: client)
    assert is_fetched(fetch_mirror(URI, "main", tmp_path, lambda: client))


def test_the_manifest_of_another_cache_is_not_fetched(client: Any, tmp_path: Path) -> None:
    client.put_object(Bucket="models", Key="copied/config.json", Body=b"{}")
    client.put_object(Bucket="models", Key="copied/mirror.json", Body=b"{}")
    directory = fetch_mirror("s3://models/copied", "", tmp_path, lambda: client)
    assert is_fetched(directory)
    assert set(json.loads((directory / "mirror.json").read_text())) == {"config.json"}
