"""Error codes that the model server answers to requests and the HTTP engine may compare."""

from __future__ import annotations

from enum import StrEnum


class RequestErrorCode(StrEnum):
    """Code of a refused request, in the field ``error.code`` of the response.

    Errors that both a task and a request can meet, such as ``server_full``, have their code in
    :class:`~airflow_deepseek_ocr.exceptions.ErrorCode`. ``docs/reference/server_api.md`` explains both.
    """

    BAD_IMAGE = "bad_image"
    BAD_REQUEST = "bad_request"
    MODEL_NOT_FOUND = "model_not_found"
    NO_PAGE_FILE = "no_page_file"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    SERVER_NOT_READY = "server_not_ready"
