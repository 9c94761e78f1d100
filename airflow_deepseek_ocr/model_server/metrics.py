"""The server's metrics in Prometheus' text format; ``docs/reference/metrics.md`` explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput

#: Bounds of the histogram, in seconds: a page takes 0.1 s on a GPU and minutes on a CPU.
_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the engine and the queue are doing.

    :param device_seconds: seconds of the device so far, by phase.
    :param preempted_pages: pages so far that were restarted for lack of cache blocks.
    :param occupancy: slots and cache blocks, and their use.
    :param queued_pages: admitted pages that the engine has not taken.
    :param oldest_page_s: seconds since the admission of the oldest pending page.
    :param max_pending_tokens: estimated tokens from which pages are refused.
    :param device_memory: total and free bytes of the GPU; None if unknown.
    """

    device_seconds: dict[str, float]
    preempted_pages: int
    occupancy: Occupancy
    queued_pages: int
    oldest_page_s: float
    max_pending_tokens: int
    device_memory: tuple[int, int] | None


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
        self._info = Gauge(
            "deepseek_ocr_info",
            "1, with the server's version and model as labels",
            ["version", "model", "revision", "device", "dtype"],
            registry=self._registry,
        )
        # Memory, open files and start time of the process.
        ProcessCollector(registry=self._registry)
        self.ready = Gauge(
            "deepseek_ocr_ready", "1 if the model is loaded, otherwise 0", registry=self._registry
        )

    def watch(self, load: Callable[[], Load]) -> None:
        """Add what the engine and the queue are doing.

        :param load: returns it; called at each scrape, from any thread.
        """
        self._registry.register(_LoadMetrics(load))

    def describe(self, **labels: str) -> None:
        """Set the labels of ``deepseek_ocr_info``: version, model, revision, device, dtype."""
        self._info.labels(**labels).set(1)

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


class _LoadMetrics(Collector):
    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        used = load.occupancy
        seconds = CounterMetricFamily(
            "deepseek_ocr_device_seconds",
            "Time of the GPU (or CPU) by phase; idle: it had nothing to do",
            labels=["phase"],
        )
        for phase, value in load.device_seconds.items():
            seconds.add_metric([phase], value)
        yield seconds
        yield CounterMetricFamily(
            "deepseek_ocr_pages_preempted",
            "Pages that were stopped and restarted later because the key-value cache was full",
            value=load.preempted_pages,
        )
        for name, text, value in (
            ("slots", "Pages that can be decoded at once", used.slots),
            ("running_pages", "Pages that are decoded now", used.running),
            ("queued_pages", "Admitted pages that the engine has not taken yet", load.queued_pages),
            (
                "oldest_page_seconds",
                "Seconds since the oldest page in work was admitted",
                load.oldest_page_s,
            ),
            (
                "max_pending_tokens",
                "Estimated tokens of pending pages from which pages are refused",
                load.max_pending_tokens,
            ),
            ("cache_blocks", "Blocks of the key-value cache, of 128 tokens each", used.blocks),
            ("cache_blocks_used", "Those of the blocks that pages hold", used.used_blocks),
        ):
            yield GaugeMetricFamily(f"deepseek_ocr_{name}", text, value=value)
        memory = GaugeMetricFamily(
            "deepseek_ocr_device_memory_bytes",
            "Memory of the GPU, with that of other processes: total, free",
            labels=["kind"],
        )
        for kind, size in zip(("total", "free"), load.device_memory or (), strict=False):
            memory.add_metric([kind], size)
        yield memory
