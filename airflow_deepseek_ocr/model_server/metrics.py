"""The server's metrics in Prometheus' text format; ``docs/reference/metrics.md`` explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput

#: Bounds of the histogram, in seconds: a page takes 0.1 s on a GPU and minutes on a CPU.
_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counters and gauges of one server, in a separate registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.responses = Counter(
            "deepseek_ocr_http_responses",
            "Responses to chat completions by HTTP status; 499: the client closed the connection",
            ["status"],
            registry=self._registry,
        )
        self.pending_pages = Gauge(
            "deepseek_ocr_pending_pages",
            "Pages admitted and not answered yet",
            registry=self._registry,
        )
        self.pending_tokens = Gauge(
            "deepseek_ocr_pending_tokens",
            "Estimated tokens of the pending pages",
            registry=self._registry,
        )
        self._pages = Counter(
            "deepseek_ocr_pages",
            "Pages by resolution mode and result: stop, length, or an error code",
            ["resolution", "result"],
            registry=self._registry,
        )
        self._vision_tokens = Counter(
            "deepseek_ocr_vision_tokens", "Vision tokens processed", registry=self._registry
        )
        self._generated_tokens = Counter(
            "deepseek_ocr_generated_tokens", "Text tokens generated", registry=self._registry
        )
        self._page_seconds = Histogram(
            "deepseek_ocr_page_duration_seconds",
            "Seconds from a page's arrival to its response",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self.ready = Gauge(
            "deepseek_ocr_ready", "1 if the model is loaded, otherwise 0", registry=self._registry
        )

    def watch_engine(
        self, seconds: Callable[[], dict[str, float]], preempted: Callable[[], int]
    ) -> None:
        """Add the device's time and the number of preempted pages.

        :param seconds: returns the seconds so far by phase.
        :param preempted: returns the number of preempted pages so far.
        """
        self._registry.register(_EngineMetrics(seconds, preempted))

    def count(self, resolution: str, output: PageOutput, seconds: float) -> None:
        """Count a page that was read, or failed.

        :param resolution: resolution mode.
        :param output: output of the page.
        :param seconds: from arrival to response.
        """
        result = output.error.code if output.error else str(output.finish_reason)
        self._pages.labels(resolution, result).inc()
        self._vision_tokens.inc(output.vision_tokens)
        self._generated_tokens.inc(output.text_tokens)
        self._page_seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)


class _EngineMetrics(Collector):
    def __init__(
        self, seconds: Callable[[], dict[str, float]], preempted: Callable[[], int]
    ) -> None:
        self._seconds, self._preempted = seconds, preempted

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "deepseek_ocr_device_seconds",
            "Time of the GPU (or CPU) by phase; idle: it had nothing to do",
            labels=["phase"],
        )
        for phase, seconds in self._seconds().items():
            family.add_metric([phase], seconds)
        yield family
        yield CounterMetricFamily(
            "deepseek_ocr_pages_preempted",
            "Pages that were stopped and restarted later because the key-value cache was full",
            value=self._preempted(),
        )
