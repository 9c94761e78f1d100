"""Availability of the model's weights: found in seconds, without torch, and without fetching them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.model.checkpoint_family import checkpoint_family
from airflow_deepseek_ocr.model.weights.files import CONFIG, check_model_directory
from airflow_deepseek_ocr.model.weights.hub import cached_hub_directory
from airflow_deepseek_ocr.model.weights.source import (
    check_model_name,
    is_local,
    local_directory,
    published_family,
)
from airflow_deepseek_ocr.preflight.check import Check, Level

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


def check_weights(settings: Settings, s3_client: Callable[[], Any] | None = None) -> Check:
    """Check the weights; those that are still to be fetched are a warning.

    :param settings: settings of the connection.
    :param s3_client: see :func:`describe_weights`.
    """
    try:
        found = describe_weights(settings, s3_client)
        directory = find_model_directory(settings)
        if directory is None:
            return Check("weights", Level.WARNING, found)
        family = checkpoint_family(directory, settings.family)
    except DeepSeekOCRError as error:
        return Check("weights", Level.FAILURE, str(error))
    return Check("weights", Level.OK, f"{found} The model is {family.title}.")


def describe_weights(settings: Settings, s3_client: Callable[[], Any] | None = None) -> str:
    """Return one line about the weights, as seen from this host.

    :param settings: settings of the connection.
    :param s3_client: return a boto3 S3 client for a mirror; None for the host's credentials.
    :raises ConfigurationError: ``model_name``, ``model_revision``.
    :raises UnavailableError: ``model_missing``, ``model_incomplete``, ``model_unavailable``, or an error of
        S3.
    """
    model, revision = settings.model, settings.revision
    check_model_name(model, revision)
    if is_local(model):
        directory = local_directory(model)
        return f"Settings are valid. {directory} is complete: {_size(directory)}."
    if model.startswith("s3://"):
        return _describe_mirror(settings, s3_client)
    cached = cached_hub_directory(model, revision, settings.cache_directory)
    if cached is None:
        family = published_family(model)
        size = f"{family.download_size} to fetch" if family else "to be fetched"
        return (
            f"{model} at {revision} is not in this host's cache: {size}. The first task fetches it and "
            f"waits; to fetch it now: airflow-deepseek-ocr pull {model} --revision {revision}"
        )
    return f"Settings are valid. {model} at {revision} is cached: {_size(cached)}."


def _describe_mirror(settings: Settings, s3_client: Callable[[], Any] | None) -> str:
    from airflow_deepseek_ocr.model.weights.mirror import (
        default_client,
        is_fetched,
        mirror_directory,
    )
    from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
    from airflow_deepseek_ocr.sources.s3_uri import split_uri

    directory = mirror_directory(settings.model, settings.revision, settings.cache_directory)
    if is_fetched(directory):
        return f"Settings are valid. {settings.model} is cached: {_size(directory)}."
    bucket, prefix = split_uri(settings.model.rstrip("/") + "/")
    with clear_s3_errors(settings.model):
        client = (s3_client or default_client)()
        client.head_object(Bucket=bucket, Key=f"{prefix}{CONFIG}")
    return (
        f"{settings.model} answers, and is not in this host's cache: to be fetched. The first task fetches "
        f"it and waits; to fetch it now: airflow-deepseek-ocr pull {settings.model}"
    )


def _size(directory: Path) -> str:
    size = check_model_directory(directory)
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def find_model_directory(settings: Settings) -> Path | None:
    """Return the model's directory; None if this host lacks it, or it is incomplete.

    :func:`describe_weights` gives the reason.

    :param settings: settings of the connection.
    """
    model, revision, cache = settings.model, settings.revision, settings.cache_directory
    try:
        check_model_name(model, revision)
        if is_local(model):
            directory: Path | None = local_directory(model)
        elif model.startswith("s3://"):
            from airflow_deepseek_ocr.model.weights.mirror import mirror_directory

            directory = mirror_directory(model, revision, cache)
        else:
            directory = cached_hub_directory(model, revision, cache)
        if directory is not None:
            check_model_directory(directory)
    except DeepSeekOCRError:
        return None
    return directory
