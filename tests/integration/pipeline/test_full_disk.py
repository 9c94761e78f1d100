"""A full disk where documents, or the model, are copied to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.model.weights.mirror import fetch_mirror
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.store.results_store import Store
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fakes.batch_engine import FakeEngine, rows
from tests.support.servers.disk import Disk, small_disk_or_skip


@pytest.fixture
def disk() -> Iterator[Disk]:
    with small_disk_or_skip(8) as made:
        yield made


@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_documents_wait_for_space_to_be_copied_to(
    scheme: str,
    disk: Disk,
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = ROOT / "demo" / "documents" / "letter.tiff"
    client.upload_file(str(source), bucket, source.name)
    uri = f"s3://{bucket}/{source.name}" if scheme == "s3" else source.as_uri()
    monkeypatch.setenv("TMPDIR", str(disk.path))
    disk.fill()
    summary = pipeline().run([DocumentRef.of(uri)])
    assert rows(store) == {source.name: ("failed", "local_disk", True)}
    assert summary.retryable == [uri]
    assert engine.pages == 0
    disk.free()
    pipeline().run([DocumentRef.of(uri)])
    assert rows(store) == {source.name: ("done", None, False)}


def test_without_a_temporary_directory_nothing_is_claimed(
    pipeline: Callable[..., Pipeline],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(UnavailableError, match="gone") as caught:
        pipeline().run([DocumentRef.of("file:///a.pdf")])
    assert caught.value.code == "local_disk"
    assert rows(store) == {}


def test_a_mirror_waits_for_space(client: Any, bucket: str, disk: Disk) -> None:
    for name in ("config.json", "tokenizer.json"):
        client.upload_file(str(TINY_MODEL / name), bucket, f"model/{name}")
    client.put_object(Bucket=bucket, Key="model/model.safetensors", Body=b"weights")
    fetch = (f"s3://{bucket}/model", "", disk.path, lambda: client)
    disk.fill()
    with pytest.raises(UnavailableError, match="Free disk space") as caught:
        fetch_mirror(*fetch)
    assert caught.value.code == "local_disk"
    disk.free()
    assert (fetch_mirror(*fetch) / "config.json").exists()
