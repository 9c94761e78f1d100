"""The settings that a connection holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.connection.fields import DEFAULTS, FIELDS, check
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.server_address import parse_server_address, split_hosts
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model.weights.source import default_cache_dir, default_revision
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import family_of_model, get_family
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    AUTO,
    RetryStep,
    parse_retry_with,
    parse_text_layer_use,
    retry_with_text,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A connection's settings, with the defaults of :data:`~.fields.FIELDS`.

    :param host: host name, URL or Unix socket (``unix:///path``) of a server, or several separated by commas;
        empty if the model runs on the workers.
    :param port: the server's port.
    :param login: user name, if the server requires basic authentication.
    :param hub_token: access token for private hub models, from the connection's password.
    :param api_key: bearer token of the server at ``host``, from the connection's password.

    The other parameters are described in :data:`~.fields.FIELDS`.
    """

    engine: str = DEFAULTS["engine"]
    model: str = DEFAULTS["model"]
    model_family: str = DEFAULTS["model_family"]
    revision: str = ""
    cache_dir: Path | None = None
    aws_conn_id: str | None = None
    device: str = DEFAULTS["device"]
    dtype: str = DEFAULTS["dtype"]
    prompt: str = DEFAULTS["prompt"]
    resolution: str = DEFAULTS["resolution"]
    retry_with: str = DEFAULTS["retry_with"]
    text_layer: str = DEFAULTS["text_layer"]
    figures: str = DEFAULTS["figures"]
    exports: str = ""
    export_to: str = ""
    sandbox: str = DEFAULTS["sandbox"]
    render_processes: int | None = None
    max_output_length: int = DEFAULTS["max_output_length"]
    batch_size: int | None = None
    idle_seconds: int = DEFAULTS["idle_seconds"]
    page_timeout: int = DEFAULTS["page_timeout"]
    ca_certificates: Path | None = None
    server_python: str = ""
    vllm_command: str = DEFAULTS["vllm_command"]
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
        """Return the settings of a connection; absent, null and empty fields take their defaults.

        :param extra: the connection's extra.
        :param password: API key of the server at ``host``; without ``host``, an access token of the hub.
        :param host: host name, URL or Unix socket of a server, or several separated by commas.
        :param port: the server's port.
        :param login: the server's user name.
        :raises ConfigurationError: ``connection`` if a field has an invalid value, if host and port are no
            address, or if host and engine contradict each other; ``unknown_resolution`` if the model lacks
            the resolution mode.
        """
        values = {
            each.name: check(each, extra[each.name])
            for each in FIELDS
            if extra.get(each.name) is not None and str(extra[each.name]).strip()
        }
        for name in ("cache_dir", "ca_certificates"):
            if name in values:
                values[name] = _path(name, values[name])
        model = values.get("model", cls.model)
        host = (host or "").strip()
        for each in split_hosts(host):
            parse_server_address(each, port)
        engine = values.get("engine", cls.engine)
        if bool(host) != (engine == "remote") and engine != "auto":
            raise ConfigurationError(
                ErrorCode.CONNECTION,
                "Engine remote needs the server's host in the connection; enter it."
                if engine == "remote"
                else f"The connection has a host, {host}, and engine {engine}, which runs on the worker. "
                "Empty the host, or choose engine remote.",
            )
        values.setdefault("revision", default_revision(model))
        if not host:
            settings = cls(**values, hub_token=password or None)
        else:
            settings = cls(
                **values,
                host=host,
                port=port or None,
                login=login or "",
                api_key=password or None,
            )
        settings.check_resolution(settings.resolution)
        return settings

    def each_server(self) -> tuple[Settings, ...]:
        """Return the settings with one of the host's servers each; empty without a host."""
        return tuple(replace(self, host=each) for each in split_hosts(self.host))

    @property
    def cache_directory(self) -> Path:
        """Directory of fetched models."""
        return self.cache_dir or default_cache_dir()

    @property
    def decoding(self) -> Decoding:
        """Parameters of text generation."""
        return self.family.decoding(self.max_output_length)

    @property
    def family(self) -> ModelFamily:
        """The model's family, as the settings tell it; the model itself may contradict at the first page."""
        if self.model_family == AUTO:
            return family_of_model(self.model)
        return get_family(self.model_family)

    def check_resolution(self, resolution: str) -> None:
        """Raise unless the model has that mode.

        :param resolution: a resolution mode's name, or ``auto``.
        :raises ConfigurationError: ``unknown_resolution``.
        """
        if resolution != AUTO:
            self.family.resolution(resolution)

    def _steps(self, value: str | Sequence[str]) -> tuple[RetryStep, ...]:
        """Return the retry steps, if the model has the modes that they name."""
        steps = parse_retry_with(value)
        for step in steps:
            if step.resolution is not None and step.resolution not in self.family.modes:
                raise ConfigurationError(
                    ErrorCode.RETRY_WITH,
                    f"retry_with has {step.name!r}, a resolution mode that {self.family.title} lacks. Use "
                    f"of its modes: {', '.join(self.family.modes)}.",
                )
        return steps

    def processing_config(self, options: OcrOptions | None = None) -> ProcessingConfig:
        """Return the processing configuration of reading with these settings.

        :param options: how documents are read; the defaults if None.
        :raises ConfigurationError: ``unknown_resolution``, ``retry_with`` if the model lacks a mode;
            ``retry_with``, ``no_repeat_ngram`` if the connection's own steps are wrong.
        """
        options = options or OcrOptions()
        decoding = self.decoding
        retry_with = self.retry_with if options.retry_with is None else options.retry_with
        resolution = options.resolution or self.resolution
        self.check_resolution(resolution)
        return ProcessingConfig(
            model=self.model,
            revision=self.revision,
            prompt=options.prompt or self.prompt,
            resolution=resolution,
            pages=str(PageSelection.parse(options.pages)),
            dpi=options.dpi,
            max_output_length=decoding.max_output_length,
            ngram_size=decoding.ngram_size,
            ngram_window=decoding.ngram_window,
            retry_with=retry_with_text(self._steps(retry_with)),
            text_layer=parse_text_layer_use(options.text_layer or self.text_layer).value,
            min_score=float(options.min_score),
            figures=options.figures or self.figures,
        )


def _path(name: str, value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            ErrorCode.CONNECTION,
            f"The connection's {name} begins with the home directory of a user that this host does not have: "
            f"{value}. Give the whole path.",
        ) from None
