"""The fields of the connection, defined once for the form, the provider metadata and the hook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.hardware.devices import PATTERN as DEVICE_PATTERN
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import (
    DEFAULT_RESOLUTION,
    FAMILIES,
    RESOLUTION_NAMES,
)
from airflow_deepseek_ocr.ocr.fingerprint import FIGURES_DESCRIBED, FIGURES_OFF
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    DEFAULT_RETRY_WITH,
    TextLayerUse,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox

CONN_TYPE = "deepseek_ocr"
HOOK_NAME = "DeepSeek-OCR"
DEFAULT_CONN_ID = "deepseek_ocr_default"

DTYPES = ("auto", "bfloat16", "float16", "float32")
ENGINES = ("auto", "in_process", "resident", "vllm", "remote")

#: Engines that run the model on the worker's host.
_HERE = ("in_process", "resident", "vllm")


@dataclass(frozen=True, kw_only=True)
class ConnectionField:
    """A field of the connection's form, saved in the connection's extra.

    Airflow masks fields whose names contain words such as ``token``, and saves the mask instead of the
    value. Names must not contain them.

    :param name: key in the extra.
    :param label: label in the form, with the unit.
    :param description: help below the field.
    :param type: JSON schema type.
    :param default: value of an empty field; None if the default depends on other fields or the host.
    :param enum: all valid values, if they are few.
    :param minimum: smallest valid number.
    :param pattern: regular expression of valid values; the description lists them.
    :param engines: the engines that use the field; empty for all.
    """

    name: str
    label: str
    description: str
    type: str = "string"
    default: str | int | None = None
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    pattern: str | None = None
    engines: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """The description, and the engines that use the field."""
        if not self.engines:
            return self.description
        return f"{self.description}. Used by: {', '.join(self.engines)}"


def _vision_tokens(family: ModelFamily) -> str:
    """Return the vision tokens of each mode, row separators included, as the model counts them."""
    modes = family.resolutions.items()
    fixed = [f"{name} {mode.vision_tokens()}" for name, mode in modes if not mode.tiles]
    tiled = [f"{name} up to {mode.most_vision_tokens:,}" for name, mode in modes if mode.tiles]
    return f"{family.title}: {', '.join([*fixed, *tiled])}"


FIELDS = (
    ConnectionField(
        name="engine",
        label="Engine",
        description="Runs the model. auto: the server at Host if there is one; else a resident server that "
        "the tasks of a worker share; vLLM only if its command and a GPU are found, and this Python has no "
        "torch with CUDA",
        default="auto",
        enum=ENGINES,
    ),
    ConnectionField(
        name="model",
        label="Model",
        description="Hub id (owner/name), directory on the workers (/path) or mirror (s3://bucket/prefix); "
        "for a server at Host, the name under which it serves the model",
        default=DEFAULT_MODEL,
    ),
    ConnectionField(
        name="model_family",
        label="Model family",
        description="Architecture of the model, which decides about resolution modes. auto: by the model's "
        "name, such as DeepSeek-OCR-2 anywhere in a path; deepseek_ocr for other names. A model of another "
        "family ends the task at its first page",
        default=AUTO,
        enum=(AUTO, *FAMILIES),
    ),
    ConnectionField(
        name="revision",
        label="Revision",
        description="Commit of a hub model; pinned by default for "
        f"{' and '.join(family.hub_id for family in FAMILIES.values())}. For directories and "
        "mirrors: any name that changes with the weights",
    ),
    ConnectionField(
        name="cache_dir",
        label="Cache directory",
        description="Directory of fetched models on the workers; ~/.cache/airflow-deepseek-ocr by default",
        engines=_HERE,
    ),
    ConnectionField(
        name="aws_conn_id",
        label="AWS connection for s3:// models",
        description="Airflow connection that may read the mirror; the worker's own AWS credentials by "
        "default",
        engines=_HERE,
    ),
    ConnectionField(
        name="device",
        label="Device",
        description="auto (the first GPU, else the CPU), cpu, cuda, cuda:N; all, or GPUs separated by "
        "commas (cuda:0,cuda:2), for a server on each",
        default="auto",
        pattern=DEVICE_PATTERN,
        engines=_HERE,
    ),
    ConnectionField(
        name="dtype",
        label="Data type (dtype)",
        description="auto is bfloat16 on a GPU and float32 on a CPU",
        default="auto",
        enum=DTYPES,
        engines=_HERE,
    ),
    ConnectionField(
        name="prompt",
        label="Default prompt",
        description="For operators without a prompt",
        default=DEFAULT_PROMPT,
        enum=tuple(name for name, prompt in PROMPTS.items() if not prompt.takes_text),
    ),
    ConnectionField(
        name="resolution",
        label="Default resolution mode",
        description=f"For operators without a mode. Vision tokens per page: "
        f"{'; '.join(map(_vision_tokens, FAMILIES.values()))}; auto starts with "
        "the cheapest mode that shows the page's print large enough, and moves up when the output fails "
        "the quality checks",
        default=DEFAULT_RESOLUTION,
        enum=(*RESOLUTION_NAMES, AUTO),
    ),
    ConnectionField(
        name="retry_with",
        label="Retry steps for a page",
        description="Tried in order when a page's output fails the quality checks, separated by commas: "
        "no_repeat_ngram, slices_2, slices_4, resolution modes, text_layer, turn; or none",
        default=DEFAULT_RETRY_WITH,
    ),
    ConnectionField(
        name="text_layer",
        label="Text layer of PDFs",
        description="Use of the text that PDF pages embed. off; compare: with the model's output; first: "
        "pages with a usable text layer skip the model",
        default=TextLayerUse.COMPARE.value,
        enum=tuple(use.value for use in TextLayerUse),
    ),
    ConnectionField(
        name="figures",
        label="Pictures on pages",
        description="For operators without figures. off; describe: each is read once more, with the prompt "
        "figure, and what it shows is stored with its region",
        default=FIGURES_OFF,
        enum=(FIGURES_OFF, FIGURES_DESCRIBED),
    ),
    ConnectionField(
        name="exports",
        label="Exports",
        description="For operators without exports: formats of the files made of each document, separated by "
        "commas, such as markdown,pdf,webp; none by default",
    ),
    ConnectionField(
        name="export_to",
        label="Place for exports",
        description="s3://bucket/prefix, or the absolute path of a directory that all workers share; not "
        "beside the documents",
    ),
    ConnectionField(
        name="sandbox",
        label="Sandbox of the rendering process",
        description="Restrictions of the process that decodes documents. auto: as far as the worker's kernel "
        "has them; required: a worker without them opens no document; off",
        default=Sandbox.AUTO.value,
        enum=tuple(mode.value for mode in Sandbox),
    ),
    ConnectionField(
        name="render_processes",
        label="Rendering in parallel (processes)",
        description="Most processes of a task that render pages at the same time; by default the cores that "
        "the worker may use, less one for the task and two for a model on its GPU, at most 8; 1 beside a "
        "model on the CPU. Each takes up to 150 MB, and up to max_page_memory for a page",
        type="integer",
        minimum=1,
    ),
    ConnectionField(
        name="max_output_length",
        label="Maximum output length (tokens)",
        description="Most tokens generated for a page, of about 4 characters each; the model's context of "
        "8,192 tokens includes the image",
        type="integer",
        default=Decoding.max_output_length,
        minimum=1,
    ),
    ConnectionField(
        name="batch_size",
        label="Batch size (pages)",
        description="Most pages decoded at the same time; by default the free memory decides, up to 384 on "
        "a GPU and 4 on a CPU",
        type="integer",
        minimum=1,
    ),
    ConnectionField(
        name="idle_seconds",
        label="Idle timeout of a server (seconds)",
        description="A resident or vLLM server that receives no page for this long stops and frees its "
        "memory",
        type="integer",
        default=900,
        minimum=1,
        engines=("resident", "vllm"),
    ),
    ConnectionField(
        name="page_timeout",
        label="Page timeout of a server (seconds)",
        description="Longest wait for a server's response to one page",
        type="integer",
        default=1800,
        minimum=1,
        engines=("resident", "vllm", "remote"),
    ),
    ConnectionField(
        name="ca_certificates",
        label="CA certificates",
        description="File (PEM) on the workers with the authorities that may sign the certificate of the "
        "server at Host (https://...); the system's by default",
        engines=("remote",),
    ),
    ConnectionField(
        name="server_python",
        label="Python of the resident server",
        description="Path of a Python with this package and its extra transformers; the task's own by "
        "default. The worker's configuration must list it in [deepseek_ocr] allow_commands",
        engines=("resident",),
    ),
    ConnectionField(
        name="vllm_command",
        label="vLLM command",
        description="Path of the program vllm on the workers. Their configuration must list another command "
        "than vllm in [deepseek_ocr] allow_commands",
        default="vllm",
        engines=("vllm",),
    ),
    ConnectionField(
        name="vllm_options",
        label="vLLM options",
        description="Further options of vllm serve for memory, speed and parallelism, such as "
        "--gpu-memory-utilization 0.5",
        engines=("vllm",),
    ),
)

#: Default of each field, by name; None where it depends on other fields or the host.
DEFAULTS: dict[str, Any] = {each.name: each.default for each in FIELDS}


def check(each: ConnectionField, value: Any) -> Any:
    """Return the field's value in its type.

    :raises ConfigurationError: ``connection`` if the field cannot have this value.
    """
    if each.type == "integer":
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = None
        if number is None or (each.minimum is not None and number < each.minimum):
            raise _invalid(each, value, f"a whole number of at least {each.minimum}")
        return number
    text = str(value).strip()
    if each.enum and text not in each.enum:
        raise _invalid(each, value, f"one of {', '.join(each.enum)}")
    if each.pattern and not re.fullmatch(each.pattern, text):
        raise _invalid(each, value, each.description)
    return text


def _invalid(each: ConnectionField, value: Any, valid: str) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.CONNECTION,
        f"Field {each.label!r} ({each.name}) of the connection is {value!r}; it must be {valid}.",
    )
