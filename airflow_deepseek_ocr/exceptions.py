"""Every error this package raises on purpose.

The classes say who can mend it: a :class:`DocumentError` is a fault of one document and ends as a row
with status ``failed``; a :class:`ConfigurationError` stays until somebody changes a setting; an
:class:`UnavailableError` (storage, database, model files out of reach) may be gone at the next try.
"""

from __future__ import annotations

import errno

#: What the kernel says where there is no space, or none left of a quota.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class DeepSeekOCRError(Exception):
    """Base of all errors of this package.

    :param code: a short, stable, machine-readable name such as ``password_protected``; it is what
        the column ``error_code`` holds.
    :param message: what happened and what to do about it, without secrets.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[DeepSeekOCRError], tuple[str, str]]:
        return type(self), (self.code, str(self))


class DocumentError(DeepSeekOCRError):
    """One document, or one page of it, cannot be read; the others can."""


class ConfigurationError(DeepSeekOCRError):
    """A setting is wrong; trying again with the same settings fails again."""


class UnavailableError(DeepSeekOCRError):
    """Something outside is missing or out of reach; nothing is wrong with the document itself."""


def local_disk(what: str, error: OSError) -> UnavailableError:
    """The error of a file that cannot be written on this host, most often for lack of space.

    :param what: what cannot be done, with the path; the beginning of a sentence.
    :param error: why.
    """
    mend = "Free disk space" if is_full(error) else "Check the folder and its permissions"
    return UnavailableError(
        "local_disk", f"{what}: {error.strerror or error}. {mend} on this host, and try again."
    )


def is_full(error: BaseException) -> bool:
    """Whether a disk of this host is full, or a quota on it used up."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


class MissingExtraError(ConfigurationError):
    """A feature needs packages that the light installation leaves out.

    :param package: the missing package's import name.
    :param extra: the extra of ``airflow-deepseek-ocr`` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            "missing_extra",
            f"{package} is not installed here. On workers that run the model: "
            f"pip install 'airflow-deepseek-ocr[{extra}]'",
        )
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.package, self.extra)
