"""The error budget: how many pages of a document may fail."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: One page in 250: ``--max_page_error_rate`` of ``olmocr/pipeline.py`` (allenai/olmocr).
DEFAULT_MAX_FAILED_PAGES = 0.004


@dataclass(frozen=True)
class ErrorBudget:
    """A limit on the failed pages of a document.

    :param max_failed_pages: a share of the document's pages (float, 0 to 1), a number of pages
        (int), or None for any number.
    :raises ConfigurationError: ``max_failed_pages`` if it is of another type or out of range.
    """

    max_failed_pages: int | float | None = DEFAULT_MAX_FAILED_PAGES

    def __post_init__(self) -> None:
        most = self.max_failed_pages
        is_share = isinstance(most, float) and 0 <= most <= 1
        is_number = isinstance(most, int) and not isinstance(most, bool) and most >= 0
        if most is not None and not is_share and not is_number:
            raise ConfigurationError(
                ErrorCode.MAX_FAILED_PAGES,
                f"max_failed_pages is {most!r}; give a share such as 0.004, a whole number of pages, "
                "or None for any number.",
            )

    @classmethod
    def of(cls, value: int | float | str | None) -> ErrorBudget:
        """Return the budget of a setting, or of its text as a template renders it.

        :raises ConfigurationError: ``max_failed_pages`` if it is neither a share nor a number of pages.
        """
        if isinstance(value, str):
            text = value.strip()
            if text in ("", "None"):
                return cls(None)
            try:
                return cls(int(text) if text.isdecimal() else float(text))
            except ValueError:
                pass  # the constructor rejects the text
        return cls(value)  # type: ignore[arg-type]

    def is_exceeded(self, failed_pages: int, pages: int) -> bool:
        """Return whether ``failed_pages`` of ``pages`` exceed the budget."""
        most = self.max_failed_pages
        if most is None:
            return False
        return failed_pages > (most * pages if isinstance(most, float) else most)
