"""A container for tests: a process namespace of its own, whose first process is a task with a server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from tests.conftest import ROOT

_UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_ANSWERS = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def address_string(self):
        return "client"
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    pass
Server(sys.argv[1], Handler).serve_forever()
"""
_LOADS_FOR_EVER = "import time; time.sleep(600)"


@dataclass(frozen=True)
class SmallServer:
    """A server without a model.

    :param answers: whether it ever answers.
    """

    answers: bool = True

    kind = "resident"
    key = "k"
    description = "a small server"

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        script = _ANSWERS if self.answers else _LOADS_FOR_EVER
        arguments = [sys.executable, "-c", script, str(paths.socket)]
        return LaunchCommand(
            arguments=arguments, url=SOCKET_URL, socket=paths.socket, environment={}
        )


def can_unshare() -> bool:
    """Return whether this host lets the tests make a process namespace."""
    try:
        return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def container(
    servers: Path, *, answers: bool = True, timeout_s: float = 60
) -> Iterator[dict[str, str]]:
    """Run a task in a new container, which lives until the block ends.

    :param servers: the directory of servers, shared with other containers.
    :param answers: see :class:`SmallServer`.
    :param timeout_s: seconds for the server's start.
    :return: ``socket`` of the server that the task found, or its ``error``.
    """
    arguments = [sys.executable, "-m", __name__, str(servers), str(int(answers)), str(timeout_s)]
    with subprocess.Popen(
        [*_UNSHARE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(60)


def _main() -> None:
    servers, answers, timeout_s = sys.argv[1:]
    try:
        endpoint = Supervisor(
            SmallServer(bool(int(answers))), Path(servers), float(timeout_s)
        ).find()
        found = {"socket": str(endpoint.socket_path)}
    except DeepSeekOCRError as error:
        found = {"error": str(error)}
    print(json.dumps(found), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _main()
