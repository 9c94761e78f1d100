"""Redis, from the system's packages."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from .process import (
    LOOPBACK,
    START_TIMEOUT_S,
    Process,
    data_directory,
    find_program,
    free_port,
    wait_until,
)


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL, password included, of a Redis server that keeps nothing on disk.

    Raises ServerUnavailable where Redis is not installed, and RuntimeError or TimeoutError where it
    does not start.
    """
    server = find_program("redis-server", "redis-server")
    with data_directory() as directory:
        password, port = secrets.token_hex(16), free_port()
        config = directory / "redis.conf"
        config.write_text(
            f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\ndir {directory}\nsave ""\n'
        )
        url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        process = Process([server, str(config)], directory, directory / "server.log")

        def answers() -> bool:
            try:
                with redis.Redis.from_url(url, socket_timeout=5) as client:
                    return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

        try:
            process.start()
            wait_until(answers, START_TIMEOUT_S, "Redis answers", process)
            yield url
        finally:
            process.stop()
