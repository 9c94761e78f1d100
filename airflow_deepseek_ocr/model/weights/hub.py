"""A model of a Hugging Face hub, fetched into the cache or found there."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
    is_full,
    local_disk,
)
from airflow_deepseek_ocr.model.weights.files import INDEX, SINGLE_FILE, SMALL_FILES, weight_files
from airflow_deepseek_ocr.model.weights.progress import FetchProgress
from airflow_deepseek_ocr.quiet_loggers import quiet_loggers

log = logging.getLogger(__name__)

#: Seconds to wait for the hub's answer about a file or a repository.
_ANSWER_TIMEOUT_S = 10
#: The HTTP library of huggingface_hub 1 and of 2.
_HTTP_LOGGERS = ("httpx", "httpx2")
#: huggingface_hub names files in large-file storage by the hub's ETag, their SHA-256 (its docs, "Understand
#: caching"), and others by the SHA-1 of a Git blob.
_SHA256 = re.compile(r"[0-9a-f]{64}")


def cached_hub_directory(model: str, revision: str, cache_dir: Path) -> Path | None:
    """Return the directory of a hub model in the cache, found without network; None if it is missing.

    :param model: hub id.
    :param revision: commit, tag or branch.
    :param cache_dir: directory of fetched models.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        where = _where(revision, cache_dir) | {"allow_patterns": list(SMALL_FILES)}
        return Path(snapshot_download(model, local_files_only=True, **where))
    except LocalEntryNotFoundError:
        return None


def fetch_from_hub(model: str, revision: str, cache_dir: Path, token: str | None) -> Path:
    """Return the directory in the cache after fetching the files that are missing there.

    Files that arrived before an interruption are not fetched again. Weights are those that the model's index
    names, and have the SHA-256 that the hub gives.

    :param model: hub id.
    :param revision: commit, tag or branch.
    :param cache_dir: directory of fetched models.
    :param token: access token for private models.
    :raises UnavailableError: ``model_unavailable``; ``model_incomplete`` if the index names something else
        than weights beside it, or a file arrives changed; ``local_disk`` if the cache cannot be written.
    """
    from huggingface_hub import snapshot_download

    what = f"{model} at {revision} into {cache_dir}"
    blobs = cache_dir / "hub" / f"models--{model.replace('/', '--')}" / "blobs"
    before, known = _directory_bytes(blobs), _names(blobs)
    where = _where(revision, cache_dir) | {"token": token or None}
    try:
        with _quiet():
            directory = Path(snapshot_download(model, allow_patterns=list(SMALL_FILES), **where))
            weights = [SINGLE_FILE]
            if (directory / INDEX).exists():
                weights = [path.name for path in weight_files(directory)]
            names = (*SMALL_FILES, *weights)
            total = _repository_bytes(model, revision, token, names)
            missing = None if total is None else max(0, total - before)
            with FetchProgress(what, missing, lambda: _directory_bytes(blobs) - before):
                directory = Path(snapshot_download(model, allow_patterns=list(names), **where))
        _verify(blobs, _names(blobs) - known)
        return directory
    except DeepSeekOCRError:
        raise
    except Exception as error:
        # Besides its own errors it raises those of its HTTP library, which differs between its versions.
        if isinstance(error, OSError) and is_full(error):
            raise local_disk(f"{model} cannot be written to {cache_dir}", error) from error
        raise UnavailableError(
            ErrorCode.MODEL_UNAVAILABLE,
            f"{model} at {revision} is not in the cache {cache_dir} and cannot be fetched "
            f"({type(error).__name__}: {error}). Check network, name, revision and token. Without network: "
            f"run airflow-deepseek-ocr pull {model} --revision {revision} on a host that has it and copy "
            "the cache, or name a directory or an s3:// mirror as the model.",
        ) from None


def _where(revision: str, cache_dir: Path) -> dict[str, Any]:
    return {
        "revision": revision,
        "cache_dir": cache_dir / "hub",
        "etag_timeout": _ANSWER_TIMEOUT_S,
    }


def _verify(blobs: Path, names: set[str]) -> None:
    """Compare the content of fetched files with their SHA-256; remove one that differs."""
    for name in sorted(names):
        if not _SHA256.fullmatch(name):
            continue
        with (blobs / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != name:
            (blobs / name).unlink()
            raise UnavailableError(
                ErrorCode.MODEL_INCOMPLETE,
                f"A file of the model arrived changed: its SHA-256 is {found}, the hub gives {name}. Try "
                "again.",
            )


def _repository_bytes(
    model: str, revision: str, token: str | None, names: Collection[str]
) -> int | None:
    """Return the size of the files that are fetched; None if the hub does not tell it."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(
            model,
            revision=revision,
            files_metadata=True,
            timeout=_ANSWER_TIMEOUT_S,
            token=token or None,
        )
    except Exception as error:
        # The fetch itself reports the cause, if it fails as well.
        log.debug("The size of %s is unknown: %s", model, error)
        return None
    return sum(file.size or 0 for file in info.siblings or () if file.rfilename in names)


def _names(directory: Path) -> set[str]:
    try:
        return {path.name for path in directory.iterdir()}
    except OSError:
        return set()  # made by the fetch


def _directory_bytes(directory: Path) -> int:
    """Return the bytes of a directory's files, those that are being fetched included."""
    total = 0
    try:
        for path in directory.iterdir():
            try:
                total += path.stat().st_size
            except OSError:
                continue  # renamed since it was listed
    except OSError:
        return 0  # made by the fetch
    return total


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch off huggingface_hub's progress bars and its HTTP library's line for each request.

    The bars fill a log with control characters, and the lines have signed addresses of files.
    """
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    bars = not are_progress_bars_disabled()
    if bars:
        disable_progress_bars()
    try:
        with quiet_loggers(*_HTTP_LOGGERS):
            yield
    finally:
        if bars:
            enable_progress_bars()
