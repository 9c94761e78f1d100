"""The exports that an operator makes, from its arguments and the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.exports.formats import parse_formats, require_packages
from airflow_deepseek_ocr.targets.address import parse_address

if TYPE_CHECKING:
    from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan


def export_plan(
    formats: Sequence[str] | None,
    export_to: str | None,
    settings: Settings,
    s3_client: Callable[[], Any],
    *,
    uris: Iterable[str] = (),
    prefix: str | None = None,
) -> ExportPlan | None:
    """Return the exports to make; None for none.

    :param formats: names of formats; None takes the connection's.
    :param export_to: the place; None takes the connection's.
    :param settings: the connection's settings.
    :param s3_client: returns a boto3 S3 client.
    :param uris: addresses of the documents.
    :param prefix: ``s3://bucket/prefix`` whose documents are read.
    :raises ConfigurationError: ``export_format``, ``export_to``, ``s3_uri``.
    :raises MissingExtraError: ``missing_extra`` if a format needs a package that is not installed.
    """
    names = settings.exports.split(",") if formats is None else formats
    wanted = parse_formats([name.strip() for name in names if name.strip()])
    if not wanted:
        return None
    place = export_to or settings.export_to
    if not place:
        raise ConfigurationError(
            ErrorCode.EXPORT_TO,
            f"The exports {', '.join(wanted)} have no place. Set export_to to s3://bucket/prefix, or to the "
            "absolute path of a directory that all workers share, here or in the connection.",
        )
    address = parse_address(place)
    address.require_apart(uris, prefix)
    require_packages(wanted)
    from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan

    return ExportPlan(address.open(s3_client), wanted)
