"""The connection's fields: defined once, for the form in Airflow's UI, the provider's metadata, the
hook and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.connection.fields import FIELDS, checked
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.weights.source import (
    DEFAULT_MODEL,
    default_cache_dir,
    default_revision,
)
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.prompts import DEFAULT_PROMPT
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    DEFAULT_RETRY_WITH,
    TextLayerUse,
    parse_retry_with,
    parse_text_layer_use,
    retry_with_text,
)
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION


@dataclass(frozen=True)
class Settings:
    """A connection's settings.

    :param host: a server's host name or URL; empty if the model runs on the workers.
    :param port: the server's port.
    :param login: its user name, if it wants basic authentication.
    :param hub_token: access token for private hub models, from the connection's password.
    :param api_key: what the server at ``host`` wants to hear, from the connection's password.
    """

    model: str = DEFAULT_MODEL
    revision: str = ""
    cache_dir: Path | None = None
    aws_conn_id: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    prompt: str = DEFAULT_PROMPT
    resolution: str = DEFAULT_RESOLUTION
    retry_with: str = DEFAULT_RETRY_WITH
    text_layer: str = TextLayerUse.COMPARE
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
    api_key: str | None = field(default=None, repr=False, compare=False)

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
            each.name: checked(each, extra[each.name])
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
                ErrorCode.CONNECTION,
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
            api_key=password or None,
        )

    @property
    def cache_directory(self) -> Path:
        """Where fetched models are kept."""
        return self.cache_dir or default_cache_dir()

    @property
    def decoding(self) -> Decoding:
        """How text is generated."""
        return Decoding(max_output_length=self.max_output_length)

    def config(
        self,
        *,
        prompt: str | None = None,
        resolution: str | None = None,
        pages: str | None = None,
        dpi: int = DEFAULT_DPI,
        retry_with: str | Sequence[str] | None = None,
        text_layer: str | None = None,
        min_score: float = ProcessingConfig.min_score,
    ) -> ProcessingConfig:
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
                ErrorCode.DPI, f"dpi must be a whole number from 18 to 1200, not {dpi!r}."
            )
        if isinstance(min_score, bool) or not isinstance(min_score, int | float):
            min_score = -1
        if not 0 <= min_score <= 1:
            raise ConfigurationError(ErrorCode.MIN_SCORE, "min_score must be a number from 0 to 1.")
        decoding = self.decoding
        return ProcessingConfig(
            model=self.model,
            revision=self.revision,
            prompt=prompt or self.prompt,
            resolution=resolution or self.resolution,
            pages=str(PageSelection.parse(pages)),
            dpi=dpi,
            max_output_length=decoding.max_output_length,
            ngram_size=decoding.ngram_size,
            ngram_window=decoding.ngram_window,
            retry_with=retry_with_text(
                parse_retry_with(self.retry_with if retry_with is None else retry_with)
            ),
            text_layer=parse_text_layer_use(text_layer or self.text_layer).value,
            min_score=float(min_score),
        )
