"""Airflow's client of metrics in the process of a test, whose releases keep it in different places."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats

#: Seconds after which a packet that was sent to the same host is lost.
PATIENCE_S = 5


@contextmanager
def statsd_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Yield a StatsD server's socket, to which Airflow's client sends until the test ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(PATIENCE_S)
        send_to(listening.getsockname()[1], monkeypatch)
        yield listening


def send_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow's client send to a port of this host until the test ends."""
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(port))
    _renew(monkeypatch)


def packets(server: socket.socket) -> dict[str, str]:
    """Return what has been sent, by name; a last packet of the test ends it."""
    Stats.incr("end")
    received: dict[str, str] = {}
    while "airflow.end" not in received:
        name, _, value = server.recv(2000).decode().partition(":")
        assert name not in received
        received[name] = value
    del received["airflow.end"]
    return received


def _renew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client be made from the configuration at its next use, as at a task's start."""
    try:
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
    except ImportError:
        # Airflow 3.1: the factory is a method of the metaclass, chosen when the module is imported.
        from airflow.metrics.statsd_logger import get_statsd_logger

        monkeypatch.setattr(type(Stats), "factory", get_statsd_logger, raising=False)
        monkeypatch.setattr(Stats, "instance", None)
        return
    if hasattr(Stats, "factory"):  # Airflow 3.2
        monkeypatch.setattr(Stats, "factory", staticmethod(get_stats_factory(Stats)))
        monkeypatch.setattr(Stats, "instance", None)
        return
    from airflow.sdk._shared.observability.metrics import stats

    factory: Callable[[], Any] = get_stats_factory()
    monkeypatch.setattr(stats, "_factory", factory)
    monkeypatch.setattr(stats, "_backend", None)
