"""Where a model comes from: a local directory, a Hugging Face hub, or a mirror in S3."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.weights.files import check_model_directory
from airflow_deepseek_ocr.model.weights.hub import cached_hub_directory, fetch_from_hub
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import FAMILIES

log = logging.getLogger(__name__)

DEFAULT_MODEL = DEEPSEEK_OCR.hub_id
#: The pinned commit of :data:`DEFAULT_MODEL`.
DEFAULT_REVISION = DEEPSEEK_OCR.revision

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def default_cache_dir() -> Path:
    """Where models are kept if the connection does not say: ``~/.cache/airflow-deepseek-ocr``."""
    return Path.home() / ".cache" / "airflow-deepseek-ocr"


def default_revision(model: str) -> str:
    """The revision that is meant where none is given; empty but for published models with a pinned one."""
    family = published_family(model)
    return family.revision if family else ""


def published_family(model: str) -> ModelFamily | None:
    """The family whose published checkpoint has that hub id; None for any other model."""
    return next((each for each in FAMILIES.values() if each.hub_id == model), None)


def is_local(model: str) -> bool:
    """Whether the model is a directory on this host."""
    return model.startswith(("/", "./", "../", "~", "file://"))


def local_directory(model: str) -> Path:
    """The directory of a local model."""
    return Path(model.removeprefix("file://")).expanduser()


def fetch_model(
    model: str,
    revision: str = "",
    *,
    cache_dir: Path | None = None,
    hub_token: str | None = None,
    s3_client: Callable[[], Any] | None = None,
) -> Path:
    """A local directory with the model, fetched into the cache if need be.

    :param model: a local directory (absolute, or beginning with ``./``), a hub id ``owner/name``, or
        ``s3://bucket/prefix``.
    :param revision: commit, tag or branch of a hub model. Required for hub models, except the
        published one, for which a commit is pinned.
    :param cache_dir: where fetched models are kept.
    :param hub_token: access token for private hub models.
    :param s3_client: makes a boto3 S3 client for mirrors.
    :raises ConfigurationError: ``model_name``, ``model_revision``.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``, ``model_unavailable``.
    """
    cache_dir = cache_dir or default_cache_dir()
    revision = revision or default_revision(model)
    check_model_name(model, revision)
    if is_local(model):
        directory = local_directory(model)
    elif model.startswith("s3://"):
        from airflow_deepseek_ocr.model.weights.mirror import fetch_mirror

        directory = fetch_mirror(model, revision, cache_dir, s3_client)
    else:
        directory = _hub_directory(model, revision, cache_dir, hub_token)
    check_model_directory(directory)
    return directory


def _hub_directory(model: str, revision: str, cache_dir: Path, token: str | None) -> Path:
    cached = cached_hub_directory(model, revision, cache_dir)
    if cached is not None:
        try:
            check_model_directory(cached)
            return cached
        except UnavailableError as error:
            log.info("%s Fetching the rest.", error)
    return fetch_from_hub(model, revision, cache_dir, token)


def check_model_name(model: str, revision: str) -> None:
    """Raise if that cannot be a model.

    :raises ConfigurationError: ``model_name``, or ``model_revision`` for a hub model without one.
    """
    if is_local(model) or model.startswith("s3://"):
        return
    if not _HUB_ID.fullmatch(model):
        raise ConfigurationError(
            ErrorCode.MODEL_NAME,
            f"{model!r} is no model: give a directory (/path or ./path), a hub id (owner/name) or "
            "s3://bucket/prefix.",
        )
    if not revision:
        raise ConfigurationError(
            ErrorCode.MODEL_REVISION,
            f"Set a revision for {model}: the commit to read with. A branch would change the texts "
            "without a trace.",
        )
