"""Options of reading and of discovery: names, defaults and checks for every caller.

The operator, the sensor, the triggers, the hook and the command line build one of these classes. A
value that cannot be used is refused when the object is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from typing import Any, Self

from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.families.registry import check_resolution_name
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    parse_retry_with,
    parse_text_layer_use,
)
from airflow_deepseek_ocr.sources.s3 import Listing, check_bucket, lower_suffixes

#: Resolutions at which PDF pages may be rendered: PDF user space has 72 dpi, scanners end at 1200.
MIN_DPI, MAX_DPI = 18, 1200
#: Longest duration in seconds, 100 years: databases cannot add longer ones to a time.
_LONGEST_S = 100 * 365.25 * 86400


class _Options:
    """Construction from an object with attributes of the same names, and conversion of values."""

    @classmethod
    def of(cls, owner: object) -> Self:
        """Return the options that ``owner`` holds as attributes of the same names.

        :param owner: an operator, a sensor or parsed arguments; what it lacks takes the default.
        :raises ConfigurationError: as the class does.
        """
        names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: getattr(owner, name) for name in names if hasattr(owner, name)})

    def _convert(self, kinds: Mapping[str, values.Convert]) -> None:
        """Convert the values, which templates may have rendered to text."""
        for name, convert in kinds.items():
            object.__setattr__(self, name, convert(name, getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class OcrOptions(_Options):
    """How documents are read; all of it is part of the processing configuration.

    :param prompt: ``markdown``, ``ocr``, ``free``, ``figure``, ``describe`` or ``locate:TEXT``; None
        takes the connection's default.
    :param resolution: ``tiny``, ``small``, ``base``, ``large``, ``gundam``, or ``auto``, which starts
        with the cheapest mode that shows the page's print large enough, and moves up when the output
        fails the quality checks; None takes the connection's default. DeepSeek-OCR-2 has no ``tiny``
        and no ``large``.
    :param retry_with: steps tried in order when a page's output fails the quality checks, in a list or
        separated by commas: ``no_repeat_ngram``, ``no_repeat_ngram:SIZE/WINDOW`` (tokens),
        ``slices_2``, ``slices_4``, resolution modes, ``text_layer``, ``turn``; ``none`` for no retry;
        None takes the connection's default.
    :param text_layer: use of the text that PDF pages embed: ``off``, ``compare`` (with the output) or
        ``first`` (pages with a usable text layer skip the model); None takes the connection's default.
    :param figures: ``describe`` to read each picture on a page once more, with the prompt ``figure``, and to
        store what it shows in ``ocr_regions.description``; ``off``; None takes the connection's default.
    :param pages: pages of each document, such as ``1-3,10-``; None takes all.
    :param dpi: resolution at which PDF pages are rendered, 18 to 1200 dpi. The default is that of
        ``run_dpsk_ocr_pdf.py`` of the published scripts.
    :param min_score: quality score from which output is accepted, 0 (accepts all) to 1.
    :raises ConfigurationError: ``unknown_prompt``, ``prompt_text``, ``unknown_resolution``,
        ``retry_with``, ``no_repeat_ngram``, ``text_layer``, ``page_selection``, ``dpi``, ``min_score``.
    """

    prompt: str | None = None
    resolution: str | None = None
    retry_with: str | Sequence[str] | None = None
    text_layer: str | None = None
    figures: str | None = None
    pages: str | None = None
    dpi: int = DEFAULT_DPI
    min_score: float = DEFAULT_MIN_SCORE

    def __post_init__(self) -> None:
        self._convert(_OCR_VALUES)
        if self.prompt:
            prompt_line(self.prompt)
        if self.resolution and self.resolution != AUTO:
            check_resolution_name(self.resolution)
        if self.retry_with is not None:
            parse_retry_with(self.retry_with)
        if self.text_layer:
            parse_text_layer_use(self.text_layer)
        if not isinstance(self.pages, str | None):
            raise ConfigurationError(
                ErrorCode.PAGE_SELECTION,
                f"pages is {self.pages!r}; write a text such as '1-3,5,10-'.",
            )
        PageSelection.parse(self.pages)
        if not MIN_DPI <= self.dpi <= MAX_DPI:
            raise values.invalid("dpi", self.dpi, _VALID_DPI, ErrorCode.DPI)
        if not 0 <= self.min_score <= 1:
            raise values.invalid("min_score", self.min_score, "from 0 to 1", ErrorCode.MIN_SCORE)


@dataclass(frozen=True, kw_only=True)
class DiscoveryOptions(_Options):
    """Which objects of a bucket count as new documents, and how many are emitted at once.

    :param bucket: name of the S3 bucket, or the ARN of an access point.
    :param prefix: prefix of the keys.
    :param suffixes: endings of the keys, in any case; a string is one ending; None takes all keys.
    :param glob: pattern of the keys, in which ``*`` matches ``/`` too (``fnmatch``); None takes all
        keys.
    :param minimum_age: least time since the last modification, for writers that overwrite a key
        several times. A timedelta, or seconds.
    :param with_version_ids: identify versions by the bucket's version ids instead of ETags. The bucket
        must be versioned, and the AWS connection must be allowed to list versions.
    :param requester_pays: pay for requests to a bucket whose requesters pay; the operator needs it too.
    :param batch_size: documents per batch, and so per mapped task.
    :param max_documents: most documents per poll; the others follow at a later poll.
    :param retry_failed_after: time after which a document that failed for a reason outside it, such as
        denied access, counts as new again. A timedelta, or seconds.
    :raises ConfigurationError: ``discovery_options``.
    """

    bucket: str
    prefix: str = Listing.prefix
    suffixes: str | Sequence[str] | None = Listing.suffixes
    glob: str | None = Listing.glob
    minimum_age: timedelta | float = Listing.minimum_age
    with_version_ids: bool = Listing.with_version_ids
    requester_pays: bool = False
    # Batches of 16 pages leave 9 of 10 slots of a GPU empty (docs/measurements/pipeline.md).
    batch_size: int = 128
    max_documents: int = 1024
    retry_failed_after: timedelta | float = timedelta(hours=1)

    def __post_init__(self) -> None:
        self._convert(_DISCOVERY_VALUES)
        check_bucket(self.bucket)
        lower_suffixes(self.suffixes)

    @property
    def listing(self) -> Listing:
        """The part that selects keys."""
        return Listing(
            bucket=self.bucket,
            prefix=self.prefix,
            suffixes=lower_suffixes(self.suffixes),
            glob=self.glob,
            minimum_age=timedelta(seconds=seconds("minimum_age", self.minimum_age)),
            with_version_ids=self.with_version_ids,
        )


def seconds(name: str, value: timedelta | float) -> float:
    """Return a duration in seconds.

    :param name: name of the option, for the message.
    :param value: a timedelta, a number of seconds, or the text of either.
    :raises ConfigurationError: ``discovery_options`` if it is none of these, negative, or beyond 100 years.
    """
    value = values.duration(name, value, code=_DISCOVERY).total_seconds()
    if value > _LONGEST_S:
        raise ConfigurationError(
            ErrorCode.DISCOVERY_OPTIONS,
            f"{name} is {value!r}; it must be a timedelta or a number of seconds, not negative and at most "
            "100 years.",
        )
    return value


def positive_seconds(name: str, value: timedelta | float) -> float:
    """Return a duration that is not zero in seconds.

    :param name: name of the option, for the message.
    :param value: a timedelta, a number of seconds, or the text of either.
    :raises ConfigurationError: ``discovery_options`` if it is none of these, or zero.
    """
    if (duration := seconds(name, value)) == 0:
        raise ConfigurationError(
            ErrorCode.DISCOVERY_OPTIONS, f"{name} is {value!r}; it must be longer than 0 seconds."
        )
    return duration


def _retry_steps(name: str, value: Any) -> Any:
    value = values.literal(name, value)
    if isinstance(value, set | frozenset):
        raise values.invalid(
            name, value, "a list: the steps are tried in order", ErrorCode.RETRY_WITH
        )
    if isinstance(value, list | tuple):
        return [values.rendered(name, each) for each in value]
    return value


def _suffixes(name: str, value: Any) -> Any:
    value = values.literal(name, value)
    if isinstance(value, str) and "," in value:
        return values.texts(name, value)
    if isinstance(value, str) and value:
        return values.optional(values.text)(name, value)
    if isinstance(value, list | tuple | set | frozenset):
        for each in value:
            values.rendered(name, each)
    return value


def _duration(name: str, value: Any) -> timedelta:
    return timedelta(seconds=seconds(name, value))


def _prefix(name: str, value: Any) -> str:
    return values.optional(values.text)(name, value) or ""


_VALID_DPI = f"a whole number from {MIN_DPI} to {MAX_DPI}"
_DISCOVERY = ErrorCode.DISCOVERY_OPTIONS
_optional_text = values.optional(values.text)
_count = partial(values.count, code=_DISCOVERY)

_OCR_VALUES: dict[str, values.Convert] = {
    "prompt": _optional_text,
    "resolution": _optional_text,
    "retry_with": values.optional(_retry_steps),
    "text_layer": _optional_text,
    "figures": values.optional(values.figures),
    "pages": values.optional(values.page_selection),
    "dpi": partial(values.integer, valid=_VALID_DPI, code=ErrorCode.DPI),
    "min_score": partial(values.number, valid="from 0 to 1", code=ErrorCode.MIN_SCORE),
}
_DISCOVERY_VALUES: dict[str, values.Convert] = {
    "bucket": values.optional(values.rendered),
    "prefix": _prefix,
    "suffixes": _suffixes,
    "glob": _optional_text,
    "minimum_age": _duration,
    "with_version_ids": values.boolean,
    "requester_pays": values.boolean,
    "batch_size": _count,
    "max_documents": _count,
    "retry_failed_after": _duration,
}
