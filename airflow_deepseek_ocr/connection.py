"""The connection's fields: defined once, for the form in Airflow's UI, the provider's metadata, the
hook and the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.errors import ConfigurationError
from airflow_deepseek_ocr.model.source import DEFAULT_MODEL, default_cache_dir, default_revision
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.identity import Recipe
from airflow_deepseek_ocr.ocr.ladder import (
    AUTO,
    DEFAULT_REREAD,
    LayerUse,
    ladder_text,
    parse_ladder,
    parse_layer_use,
)
from airflow_deepseek_ocr.ocr.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT, PROMPTS
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
        "Hub id (owner/name), folder on the workers (/path) or mirror (s3://bucket/prefix); for a "
        "server at Host the name it serves the model by",
        default=DEFAULT_MODEL,
    ),
    ConnectionField(
        "revision",
        "Revision",
        f"Commit of a hub model; pinned by default for {DEFAULT_MODEL}. For folders and mirrors: any "
        "name that changes with the weights",
    ),
    ConnectionField(
        "cache_dir",
        "Cache folder",
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
        "reread",
        "Reading again",
        "How a page is read again whose text is found degenerate: guard, halves, quarters, a mode's name, "
        "text_layer, with commas between them; or none",
        default=DEFAULT_REREAD,
    ),
    ConnectionField(
        "text_layer",
        "Text of PDFs",
        "off; compare readings with it; or first: pages whose own text is sound are not read by the model",
        default=LayerUse.COMPARE.value,
        enum=tuple(use.value for use in LayerUse),
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


@dataclass(frozen=True)
class Settings:
    """A connection's settings.

    :param host: a server's host name or URL; empty if the model runs on the workers.
    :param port: the server's port.
    :param login: its user name, if it wants basic authentication.
    :param hub_token: access token for private hub models, from the connection's password.
    :param server_secret: what the server at ``host`` wants to hear, from the connection's password.
    """

    model: str = DEFAULT_MODEL
    revision: str = ""
    cache_dir: Path | None = None
    aws_conn_id: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    prompt: str = DEFAULT_PROMPT
    resolution: str = DEFAULT_RESOLUTION
    reread: str = DEFAULT_REREAD
    text_layer: str = LayerUse.COMPARE
    max_output_length: int = Decoding.max_output_length
    batch_size: int | None = None
    engine: str = "auto"
    idle_seconds: int = 900
    page_timeout: int = 1800
    server_python: str = ""
    vllm_command: str = "vllm"
    vllm_options: str = ""
    host: str = ""
    port: int | None = None
    login: str = ""
    hub_token: str | None = field(default=None, repr=False, compare=False)
    server_secret: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        extra: Mapping[str, Any],
        password: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        login: str | None = None,
    ) -> Settings:
        """Settings from a connection; absent, null and empty fields take their defaults.

        :param extra: the connection's extra.
        :param password: the secret of the server at ``host``; without one, a token for the hub.
        :raises ConfigurationError: ``connection`` if a field has a value it cannot have.
        """
        values = {
            each.name: _checked(each, extra[each.name])
            for each in FIELDS
            if extra.get(each.name) not in (None, "")
        }
        if "cache_dir" in values:
            values["cache_dir"] = Path(values["cache_dir"]).expanduser()
        model = values.get("model", DEFAULT_MODEL)
        host = (host or "").strip()
        engine = values.get("engine", "auto")
        if bool(host) != (engine == "remote") and engine != "auto":
            raise ConfigurationError(
                "connection",
                "Engine remote needs the server's host in the connection."
                if engine == "remote"
                else f"The connection has a host, {host}, and engine {engine}, which runs on the worker: "
                "empty the host, or choose engine remote.",
            )
        values.setdefault("revision", default_revision(model))
        if not host:
            return cls(**values, hub_token=password or None)
        return cls(
            **values,
            host=host,
            port=port or None,
            login=login or "",
            server_secret=password or None,
        )

    @property
    def cache_folder(self) -> Path:
        """Where fetched models are kept."""
        return self.cache_dir or default_cache_dir()

    @property
    def decoding(self) -> Decoding:
        """How text is generated."""
        return Decoding(max_output_length=self.max_output_length)

    def recipe(
        self,
        *,
        prompt: str | None = None,
        resolution: str | None = None,
        pages: str | None = None,
        dpi: int = DEFAULT_DPI,
        reread: str | Sequence[str] | None = None,
        text_layer: str | None = None,
        min_score: float = Recipe.min_score,
    ) -> Recipe:
        """The recipe of reading with these settings.

        :param prompt: a prompt's name; the connection's default if None.
        :param resolution: a resolution mode's name, or ``auto``; the connection's default if None.
        :param pages: pages to read, such as ``1-3,10-``; all if None.
        :param dpi: resolution at which PDF pages are rendered, in dots per inch.
        :param reread: steps by which a page is read again; the connection's default if None.
        :param text_layer: what pages' own text is used for; the connection's default if None.
        :param min_score: the score from which on a reading is accepted, 0 to 1.
        :raises ConfigurationError: ``dpi``, ``page_selection``, ``reread``, ``guard``, ``text_layer``,
            ``min_score``.
        """
        if isinstance(dpi, bool) or not isinstance(dpi, int) or not 18 <= dpi <= 1200:
            raise ConfigurationError(
                "dpi", f"dpi must be a whole number from 18 to 1200, not {dpi!r}."
            )
        if isinstance(min_score, bool) or not isinstance(min_score, int | float):
            min_score = -1
        if not 0 <= min_score <= 1:
            raise ConfigurationError("min_score", "min_score must be a number from 0 to 1.")
        decoding = self.decoding
        return Recipe(
            model=self.model,
            revision=self.revision,
            prompt=prompt or self.prompt,
            resolution=resolution or self.resolution,
            pages=str(PageSelection.parse(pages)),
            dpi=dpi,
            max_output_length=decoding.max_output_length,
            ngram_size=decoding.ngram_size,
            ngram_window=decoding.ngram_window,
            reread=ladder_text(parse_ladder(self.reread if reread is None else reread)),
            text_layer=parse_layer_use(text_layer or self.text_layer).value,
            min_score=float(min_score),
        )


def _checked(each: ConnectionField, value: Any) -> Any:
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
        "connection",
        f"Field {each.label!r} ({each.name}) of the connection is {value!r}; it must be {wanted}.",
    )


#: The standard fields of the form. ``port`` is shown even where there is no host: the Test button of
#: Airflow 3.3.2 sends a port of 0 for a saved connection that has none, and is refused.
FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden_fields": ["schema"],
    "relabeling": {
        "host": "Host of a server",
        "login": "Login on the server",
        "password": "Secret of the server, or access token of the hub",
    },
    "placeholders": {
        "host": "empty: the model runs on the workers; else a host or https://... of a server",
        "login": "only for basic authentication",
        "password": "of a server; without a host: only for private hub models",
        "port": "of the server; without a host not used: enter 1 to test",
    },
}


def conn_fields() -> dict[str, dict[str, Any]]:
    """The fields for the provider's metadata (``conn-fields``, Airflow 3.2 and later)."""
    return {
        each.name: {
            "label": each.label,
            "description": each.description,
            "schema": {
                "type": [each.type, "null"],
                **({"default": each.default} if each.default is not None else {}),
                **({"enum": list(each.enum)} if each.enum else {}),
                **({"minimum": each.minimum} if each.minimum is not None else {}),
            },
        }
        for each in FIELDS
    }


def form_widgets() -> dict[str, Any]:
    """The fields as form widgets (Airflow 3.1, which has no ``conn-fields``)."""
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional, any_of

    return {
        each.name: (IntegerField if each.type == "integer" else StringField)(
            each.label,
            validators=[Optional(), *([any_of(list(each.enum))] if each.enum else [])],
            description=each.description,
            default=each.default,
        )
        for each in FIELDS
    }
