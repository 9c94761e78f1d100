"""The server's figures, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counters and gauges of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.responses = Counter(
            "deepseek_ocr_responses",
            "Answers to chat completions by HTTP status; 499: the client had gone",
            ["status"],
            registry=self._registry,
        )
        self.pending = Gauge(
            "deepseek_ocr_pages_pending",
            "Pages accepted and not answered yet",
            registry=self._registry,
        )
        self.pending_tokens = Gauge(
            "deepseek_ocr_tokens_pending",
            "Tokens that those pages are estimated to take",
            registry=self._registry,
        )
        self._pages = Counter(
            "deepseek_ocr_pages",
            "Pages by resolution mode and end: stop, length, or an error's code",
            ["resolution", "end"],
            registry=self._registry,
        )
        self._vision = Counter(
            "deepseek_ocr_vision_tokens", "Tokens that stood for images", registry=self._registry
        )
        self._text = Counter("deepseek_ocr_text_tokens", "Tokens written", registry=self._registry)
        self._seconds = Histogram(
            "deepseek_ocr_page_seconds",
            "Seconds from a page's arrival to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.ready = Gauge(
            "deepseek_ocr_ready", "1 when the model is loaded", registry=self._registry
        )

    def watch_engine(
        self, seconds: Callable[[], dict[str, float]], begun_anew: Callable[[], int]
    ) -> None:
        """Show what the device's time goes into, and how often a page was begun in vain.

        :param seconds: gives the seconds so far by phase.
        :param begun_anew: gives the pages so far that made room in the key-value cache for others.
        """
        self._registry.register(_EngineFigures(seconds, begun_anew))

    def count(self, resolution: str, reading: PageOutput, seconds: float) -> None:
        """Add a page that was read, or failed.

        :param resolution: its mode.
        :param reading: what became of it.
        :param seconds: from its arrival to its answer.
        """
        end = reading.error.code if reading.error else str(reading.finish_reason)
        self._pages.labels(resolution, end).inc()
        self._vision.inc(reading.vision_tokens)
        self._text.inc(reading.text_tokens)
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)


class _EngineFigures(Collector):
    def __init__(
        self, seconds: Callable[[], dict[str, float]], begun_anew: Callable[[], int]
    ) -> None:
        self._seconds, self._begun_anew = seconds, begun_anew

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "deepseek_ocr_device_seconds",
            "The GPU's (or CPU's) time by phase; waiting: nothing was asked of it",
            labels=["phase"],
        )
        for phase, seconds in self._seconds().items():
            family.add_metric([phase], seconds)
        yield family
        yield CounterMetricFamily(
            "deepseek_ocr_pages_begun_anew",
            "Pages that made room in the key-value cache for others and were begun anew",
            value=self._begun_anew(),
        )
