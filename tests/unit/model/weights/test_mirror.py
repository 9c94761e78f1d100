"""The copy of an S3 mirror in the cache: complete, resumed, fetched by one process."""

from __future__ import annotations

import hashlib
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
            **server.client_arguments,
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
    # Small files precede the weights and were not fetched again.
    assert whole.ranges == ["bytes=2000-"]
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
    uri = put(client, "copied", FILES | {"mirror.json": b"{}"})
    directory = fetch_mirror(uri, "", tmp_path, lambda: client)
    assert is_fetched(directory)
    assert json.loads((directory / "mirror.json").read_text()).keys() == FILES.keys()


SHARDS = {"model-1.safetensors": bytes(3000), "b.safetensors": bytes(2000)}


def put(client: Any, prefix: str, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        client.put_object(Bucket="models", Key=f"{prefix}/{name}", Body=content)
    return f"s3://models/{prefix}"


def sharded(weight_map: Any) -> dict[str, bytes]:
    small = {name: FILES[name] for name in ("config.json", "tokenizer.json")}
    index = json.dumps({"weight_map": weight_map}).encode()
    return small | SHARDS | {"model.safetensors.index.json": index}


def test_a_mirror_made_of_a_workers_cache_is_fetched_once(client: Any, tmp_path: Path) -> None:
    model = sharded({"x": "model-1.safetensors", "y": "b.safetensors"})
    others = dict.fromkeys(
        (
            *("mirror.json", "unfinished.json", "adapter_config.json", "training_args.json"),
            *("adapter_model.safetensors", "model.safetensors.part", "README.md", ".gitattributes"),
            *(".cache/huggingface/download/config.json.metadata", "sub/config.json", "modeling.py"),
            *("consolidated.safetensors", "pytorch_model.bin", "tokenizer.json.new"),
        ),
        b"{}",
    )
    uri = put(client, "cache", model | others)
    counting = Interrupted(client, 10**6)
    for _ in range(3):
        directory = fetch_mirror(uri, "main", tmp_path, lambda: counting)
        assert is_fetched(directory)
    assert contents(directory).keys() == model.keys() | {"mirror.json"}
    assert len(counting.ranges) == len(model)
    # A mirror of that mirror.
    again = put(client, "again", contents(directory))
    copied = fetch_mirror(again, "main", tmp_path, lambda: client)
    assert is_fetched(copied)
    assert contents(copied).keys() == contents(directory).keys()


@pytest.mark.parametrize(
    ("weight_map", "said"),
    [
        ({"x": 1}, "names no files of weights"),
        ([], "names no files of weights"),
        ({"x": "../other/model-1.safetensors"}, "no .safetensors file beside it"),
        ({"x": "sub/model-1.safetensors"}, "no .safetensors file beside it"),
        ({"x": "pytorch_model.bin"}, "no .safetensors file beside it"),
        ({"x": "model-2.safetensors"}, "lacks model-2.safetensors"),
    ],
)
def test_an_index_that_names_other_files_is_refused_before_the_weights_are_fetched(
    client: Any, tmp_path: Path, weight_map: Any, said: str
) -> None:
    uri = put(client, "wrong", sharded(weight_map))
    counting = Interrupted(client, 10**6)
    with pytest.raises(UnavailableError, match=said) as caught:
        fetch_mirror(uri, "main", tmp_path, lambda: counting)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
    assert len(counting.ranges) == 3, "config, tokenizer, index"


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_mirror_that_lacks_a_file_is_not_taken_for_whole(
    client: Any, tmp_path: Path, missing: str
) -> None:
    some = {name: content for name, content in FILES.items() if name != missing}
    uri = put(client, f"lacks-{missing}", some)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=rf"{missing} is missing|lacks {missing}"):
            fetch_mirror(uri, "main", tmp_path, lambda: client)
    put(client, f"lacks-{missing}", FILES)
    assert is_fetched(fetch_mirror(uri, "main", tmp_path, lambda: client))


@pytest.mark.parametrize("index", [b"{", b"[" * 200_000, b"\xff", b""])
def test_an_index_that_is_not_json_is_refused(client: Any, tmp_path: Path, index: bytes) -> None:
    uri = put(client, "no-json", sharded({}) | {"model.safetensors.index.json": index})
    with pytest.raises(UnavailableError, match=r"index\.json is not JSON"):
        fetch_mirror(uri, "main", tmp_path, lambda: client)


def test_a_mirrors_list_of_checksums_is_held_to(client: Any, tmp_path: Path) -> None:
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in FILES.items()]
    right = "\n".join([*lines, f"{'0' * 64} *README.md", ""])
    uri = put(client, "sums", FILES | {"SHA256SUMS": right.encode()})
    assert is_fetched(fetch_mirror(uri, "right", tmp_path, lambda: client))

    put(client, "sums", {"config.json": b'{"changed": 1}'})
    with pytest.raises(UnavailableError, match=r"sums/config\.json has the SHA-256") as caught:
        fetch_mirror(uri, "changed", tmp_path, lambda: client)
    assert caught.value.code is ErrorCode.MODEL_INCOMPLETE
    directory = mirror_directory(uri, "changed", tmp_path)
    assert not is_fetched(directory)
    assert not (directory / "config.json").exists()

    put(client, "sums", FILES | {"SHA256SUMS": "\n".join(lines[:-1]).encode()})
    with pytest.raises(UnavailableError, match="SHA256SUMS does not list it"):
        fetch_mirror(uri, "short", tmp_path, lambda: client)


def test_files_that_the_mirror_no_longer_has_are_removed(client: Any, tmp_path: Path) -> None:
    """The index of other weights beside a single file would be two answers."""
    uri = put(client, "changing", FILES)
    directory = fetch_mirror(uri, "main", tmp_path, lambda: client)
    put(client, "changing", sharded({"x": "model-1.safetensors"}))
    (directory / "mirror.json").unlink()
    fetch_mirror(uri, "main", tmp_path, lambda: client)
    assert "model.safetensors" not in contents(directory)
    assert is_fetched(directory)
