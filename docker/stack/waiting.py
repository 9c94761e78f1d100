"""Waiting until every service is healthy, and what to show if one is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from stack.compose import Compose, Container
from stack.errors import StackError

_POLL_S = 2.0
#: Lines of the log of a service that failed: an exception of Airflow with its cause fits.
LOG_LINES = 40


def wait_until_ready(
    containers: Callable[[], Iterable[Container]],
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Container]:
    """Wait for all services; return those that failed or were not ready in time, none if all are.

    :param containers: lists the containers.
    :param timeout_s: longest wait in seconds.
    :param clock: seconds that pass.
    :param sleep: waits for seconds.
    """
    deadline = clock() + timeout_s
    said: list[str] = []
    while True:
        waiting = [container for container in containers() if not container.is_ready]
        failed = [container for container in waiting if container.has_failed]
        if failed or not waiting:
            return failed
        if clock() >= deadline:
            return waiting
        names = sorted(container.service for container in waiting)
        if names != said:
            print(f"Waiting for {', '.join(names)}", flush=True)
            said = names
        sleep(_POLL_S)


def report(compose: Compose, failed: Iterable[Container]) -> StackError:
    """Print the last lines of the logs, and return the error that names the services.

    :param compose: the deployment.
    :param failed: services that are not ready.
    """
    failed = list(failed)
    for container in failed:
        print(f"\nLast lines of {container.service}:", flush=True)
        compose.run("logs", "--no-log-prefix", "--tail", str(LOG_LINES), container.service)
    return StackError(
        f"Not ready: {', '.join(map(str, failed))}. Their last lines are above; all of them: "
        f"cd docker && {' '.join(compose.command)} logs SERVICE. Remedies: docs/guides/docker.md. The other "
        "services keep running; after the remedy, run the command again."
    )
