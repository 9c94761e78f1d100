"""The package's errors.

A :class:`DocumentError` is a fault of one document, which gets a row with status ``failed``. A
:class:`ConfigurationError` needs a changed setting. An :class:`UnavailableError` (storage, database or model
out of reach) may be gone at the next try. Subclasses are for callers that branch on one cause.
"""

from __future__ import annotations

import errno
from enum import StrEnum

#: The kernel's errors for a full disk and an exhausted quota.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class ErrorCode(StrEnum):
    """Stable, machine-readable name of an error; the column ``error_code`` holds it.

    A page whose output fails the quality checks has the name of a
    :class:`~airflow_deepseek_ocr.ocr.quality.flags.Flag` instead. ``docs/reference/error_codes.md`` explains
    both.
    """

    # The document itself
    ARCHIVED = "archived"
    CRASHED = "crashed"
    DAMAGED = "damaged"
    DAMAGED_PAGE = "damaged_page"
    EMPTY_FILE = "empty_file"
    ENCRYPTED_ELSEWHERE = "encrypted_elsewhere"
    EXPORT_PROTECTED = "export_protected"
    EXPORT_SIGNED = "export_signed"
    EXPORT_TOO_LARGE = "export_too_large"
    MISSING_FILE = "missing_file"
    MISSING_KEY = "missing_key"
    NO_SUCH_PAGE = "no_such_page"
    OVERWRITTEN = "overwritten"
    PAGE_TOO_LARGE = "page_too_large"
    PAGES_FAILED = "pages_failed"
    PASSWORD_PROTECTED = "password_protected"  # noqa: S105 -- a code
    STORAGE_REFUSED = "storage_refused"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PAGES = "too_many_pages"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MUCH_MEMORY = "too_much_memory"
    TOO_SLOW = "too_slow"
    UNREADABLE = "unreadable"
    UNSTORABLE = "unstorable"
    UNSUPPORTED_ENCRYPTION = "unsupported_encryption"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    UNSUPPORTED_TYPE = "unsupported_type"

    # Storage and this host
    ACCESS_DENIED = "access_denied"
    CHANGING_FILE = "changing_file"
    EXPIRED_CREDENTIALS = "expired_credentials"
    LOCAL_DISK = "local_disk"
    MISSING_BUCKET = "missing_bucket"
    EXPORT_FAILED = "export_failed"
    QUEUE_MESSAGE = "queue_message"
    QUEUE_UNAVAILABLE = "queue_unavailable"
    RENDERER_KILLED = "renderer_killed"
    RENDERER_UNAVAILABLE = "renderer_unavailable"
    STANDARD_OUTPUT = "standard_output"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    WRONG_REGION = "wrong_region"

    # The results database
    DATABASE_BUSY = "database_busy"
    DATABASE_CONNECTION = "database_connection"
    DATABASE_FOREIGN = "database_foreign"
    DATABASE_FULL = "database_full"
    DATABASE_LOCKED = "database_locked"
    DATABASE_NEWER = "database_newer"
    DATABASE_OUTDATED = "database_outdated"
    DATABASE_RIGHTS = "database_rights"
    DATABASE_SCHEMA = "database_schema"
    DATABASE_SLOW = "database_slow"
    DATABASE_SQL = "database_sql"
    DATABASE_TYPE = "database_type"
    DATABASE_UNAVAILABLE = "database_unavailable"
    LEASE_LOST = "lease_lost"
    REVIEW_CONFLICT = "review_conflict"

    # The model and what runs it in this process
    CANCELLED = "cancelled"
    DEVICE = "device"
    DTYPE = "dtype"
    ENGINE_ERROR = "engine_error"
    MISSING_EXTRA = "missing_extra"
    MODEL_CONFIG = "model_config"
    MODEL_FAMILY = "model_family"
    MODEL_INCOMPLETE = "model_incomplete"
    MODEL_MISSING = "model_missing"
    MODEL_NAME = "model_name"
    MODEL_REVISION = "model_revision"
    MODEL_TOKENIZER = "model_tokenizer"
    MODEL_UNAVAILABLE = "model_unavailable"
    NO_DRIVER = "no_driver"
    OUT_OF_MEMORY = "out_of_memory"

    # Servers
    SERVER_ADDRESS = "server_address"
    SERVER_API_KEY = "server_api_key"
    SERVER_BROKEN = "server_broken"
    SERVER_COMMAND = "server_command"
    SERVER_CRASHES = "server_crashes"
    SERVER_DEVICE = "server_device"
    SERVER_ELSEWHERE = "server_elsewhere"
    SERVER_END = "server_end"
    SERVER_ERROR = "server_error"
    SERVER_FAILED = "server_failed"
    SERVER_FULL = "server_full"
    SERVER_KEY = "server_key"
    SERVER_MODE = "server_mode"
    SERVER_MODEL = "server_model"
    SERVER_NO_REPEAT_NGRAM = "server_no_repeat_ngram"
    SERVER_PROMPT = "server_prompt"
    SERVER_REFUSED = "server_refused"
    SERVER_RESPONSE = "server_response"
    SERVER_REVISION = "server_revision"
    SERVER_START_TIMEOUT = "server_start_timeout"
    SERVER_TIMEOUT = "server_timeout"
    SERVER_TLS = "server_tls"
    SERVER_UNREACHABLE = "server_unreachable"
    SERVERS_DIRECTORY = "servers_directory"

    # Settings and arguments
    ARGUMENT = "argument"
    CONNECTION = "connection"
    DISCOVERY_OPTIONS = "discovery_options"
    DOCUMENT_LIST = "document_list"
    DOCUMENT_REFERENCE = "document_reference"
    DPI = "dpi"
    EXPORT_FORMAT = "export_format"
    EXPORT_TO = "export_to"
    FORGET = "forget"
    LIMITS = "limits"
    MAX_FAILED_PAGES = "max_failed_pages"
    MIN_SCORE = "min_score"
    NO_REPEAT_NGRAM = "no_repeat_ngram"
    PAGE_SELECTION = "page_selection"
    PROMPT_TEXT = "prompt_text"
    RETRY_WITH = "retry_with"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    S3_URI = "s3_uri"
    TEXT_LAYER = "text_layer"
    UNKNOWN_PROMPT = "unknown_prompt"
    UNKNOWN_RESOLUTION = "unknown_resolution"


class DeepSeekOCRError(Exception):
    """Base of all errors of this package.

    :param code: the cause.
    :param message: the event and its remedy, without secrets.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[DeepSeekOCRError], tuple[object, ...]]:
        return type(self), (self.code, str(self))


class DocumentError(DeepSeekOCRError):
    """One document or page cannot be processed; others are not affected."""


class ConfigurationError(DeepSeekOCRError):
    """A setting is invalid; a retry with the same settings fails again."""


class UnavailableError(DeepSeekOCRError):
    """Infrastructure is missing or out of reach; a later try may succeed."""


class DatabaseError(UnavailableError):
    """The results database is out of reach, full, locked, lacks rights, or has tables of another version."""


class OverwrittenError(DocumentError):
    """The requested version of the document no longer exists: a newer one replaced it."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.OVERWRITTEN, message)

    def __reduce__(self) -> tuple[type[OverwrittenError], tuple[object, ...]]:
        return type(self), (str(self),)


class ServerUnreachableError(UnavailableError):
    """The server that runs the model does not accept connections."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.SERVER_UNREACHABLE, message)

    def __reduce__(self) -> tuple[type[ServerUnreachableError], tuple[object, ...]]:
        return type(self), (str(self),)


def error_code(value: str | None, default: ErrorCode) -> ErrorCode:
    """Return the code that another process or server named, or ``default`` if there is none of that name."""
    try:
        return ErrorCode(value or "")
    except ValueError:
        return default


def local_disk(what: str, error: OSError) -> UnavailableError:
    """Return the error of a file that cannot be written on this host, most often for lack of space.

    :param what: the failed action with its path, as the beginning of a sentence.
    :param error: the cause.
    """
    mend = "Free disk space" if is_full(error) else "Check the directory and its permissions"
    return UnavailableError(
        ErrorCode.LOCAL_DISK,
        f"{what}: {error.strerror or error}. {mend} on this host, and try again.",
    )


def is_full(error: BaseException) -> bool:
    """Return whether the error means a full disk of this host or an exhausted quota."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


class MissingExtraError(ConfigurationError):
    """A feature needs packages that the light installation does not contain.

    :param package: the missing package's import name.
    :param extra: the extra of ``airflow-deepseek-ocr`` that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            ErrorCode.MISSING_EXTRA,
            f"{package} is not installed here. On workers that run the model: "
            f"pip install 'airflow-deepseek-ocr[{extra}]'",
        )
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[object, ...]]:
        return type(self), (self.package, self.extra)
