"""The fields of the connection, defined once for the form, the provider metadata and the hook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.weights.source import (
    DEFAULT_MODEL,
)
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    DEFAULT_RETRY_WITH,
    TextLayerUse,
)
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION, RESOLUTIONS

CONN_TYPE = "deepseek_ocr"


HOOK_NAME = "DeepSeek-OCR"


DEFAULT_CONN_ID = "deepseek_ocr_default"


DTYPES = ("auto", "bfloat16", "float16", "float32")


ENGINES = ("auto", "in_process", "resident", "vllm", "remote")


@dataclass(frozen=True)
class ConnectionField:
    """A field of the connection's form, saved in the connection's extra.

    Airflow masks fields whose names contain words such as ``token``, and saves the mask: names must
    not.

    :param name: key in the extra.
    :param label: what the form shows.
    :param description: help below the field.
    :param type: JSON schema type.
    :param default: what is meant where nothing is entered.
    :param enum: the values there are, if they are few.
    :param minimum: smallest number allowed.
    :param pattern: regular expression of the values there are, which the description lists.
    """

    name: str
    label: str
    description: str
    type: str = "string"
    default: str | int | None = None
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    pattern: str | None = None


FIELDS = (
    ConnectionField(
        "engine",
        "Engine",
        "What runs the model. auto: the server at Host if there is one; else vLLM if its command and a "
        "GPU are there; else a resident server that tasks of a worker share",
        default="auto",
        enum=ENGINES,
    ),
    ConnectionField(
        "model",
        "Model",
        "Hub id (owner/name), directory on the workers (/path) or mirror (s3://bucket/prefix); for a "
        "server at Host the name it serves the model by",
        default=DEFAULT_MODEL,
    ),
    ConnectionField(
        "revision",
        "Revision",
        f"Commit of a hub model; pinned by default for {DEFAULT_MODEL}. For directories and mirrors: any "
        "name that changes with the weights",
    ),
    ConnectionField(
        "cache_dir",
        "Cache directory",
        "Where workers keep fetched models; ~/.cache/airflow-deepseek-ocr by default",
    ),
    ConnectionField(
        "aws_conn_id",
        "AWS connection for s3:// models",
        "Airflow connection that may read the mirror; the worker's own AWS credentials by default",
    ),
    ConnectionField(
        "device",
        "Device",
        "auto, cpu, cuda or cuda:N",
        default="auto",
        pattern=r"auto|cpu|cuda(:[0-9]+)?",
    ),
    ConnectionField(
        "dtype",
        "Number format",
        "auto is bfloat16 on a GPU and float32 on a CPU",
        default="auto",
        enum=DTYPES,
    ),
    ConnectionField(
        "prompt",
        "Default prompt",
        "What operators ask the model for if they do not say",
        default=DEFAULT_PROMPT,
        enum=tuple(name for name, prompt in PROMPTS.items() if not prompt.takes_text),
    ),
    ConnectionField(
        "resolution",
        "Default resolution mode",
        "tiny 64, small 100, base 256, large 400, gundam up to 1,156 vision tokens (without row ends); "
        "auto begins with small and takes more where it has to",
        default=DEFAULT_RESOLUTION,
        enum=(*RESOLUTIONS, AUTO),
    ),
    ConnectionField(
        "retry_with",
        "Reading again",
        "How a page is read again whose text is found degenerate: guard, halves, quarters, a mode's name, "
        "text_layer, with commas between them; or none",
        default=DEFAULT_RETRY_WITH,
    ),
    ConnectionField(
        "text_layer",
        "Text of PDFs",
        "off; compare readings with it; or first: pages whose own text is sound are not read by the model",
        default=TextLayerUse.COMPARE.value,
        enum=tuple(use.value for use in TextLayerUse),
    ),
    ConnectionField(
        "max_output_length",
        "Maximum output length",
        "Longest text of a page, in model units of about 4 characters",
        type="integer",
        default=Decoding.max_output_length,
        minimum=1,
    ),
    ConnectionField(
        "batch_size",
        "Pages at once",
        "Most pages the model reads at once; the free memory decides if empty",
        type="integer",
        minimum=1,
    ),
    ConnectionField(
        "idle_seconds",
        "Idle time",
        "Seconds without a page after which a resident or vLLM server leaves and frees its memory",
        type="integer",
        default=900,
        minimum=1,
    ),
    ConnectionField(
        "page_timeout",
        "Time for a page",
        "Seconds after which a server is no longer waited for",
        type="integer",
        default=1800,
        minimum=1,
    ),
    ConnectionField(
        "server_python",
        "Python of the resident server",
        "Path of a Python with this package and its extra transformers; the task's own by default",
    ),
    ConnectionField(
        "vllm_command",
        "vLLM command",
        "Path of the program vllm on the workers",
        default="vllm",
    ),
    ConnectionField(
        "vllm_options",
        "vLLM options",
        "Further options of vllm serve, such as --gpu-memory-utilization 0.5",
    ),
)


def checked(each: ConnectionField, value: Any) -> Any:
    """Return the field's value, or raise if it cannot have it."""
    if each.type == "integer":
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = None
        if number is None or (each.minimum is not None and number < each.minimum):
            raise _wrong(each, value, f"a whole number of at least {each.minimum}")
        return number
    text = str(value).strip()
    if each.enum and text not in each.enum:
        raise _wrong(each, value, f"one of {', '.join(each.enum)}")
    if each.pattern and not re.fullmatch(each.pattern, text):
        raise _wrong(each, value, each.description)
    return text


def _wrong(each: ConnectionField, value: Any, wanted: str) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.CONNECTION,
        f"Field {each.label!r} ({each.name}) of the connection is {value!r}; it must be {wanted}.",
    )
