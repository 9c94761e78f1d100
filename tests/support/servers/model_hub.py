"""A Hugging Face hub for one repository, by HTTP: what huggingface_hub asks when it fetches a snapshot."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ModelHub:
    """A repository of files.

    :param directory: its files.
    :param model: hub id.
    :param failing: names of files that are not delivered.
    :param etags: ETags of files that have others than that of a Git blob.
    :param downloads: names of the files that were delivered.
    """

    directory: Path
    model: str
    failing: set[str] = field(default_factory=set)
    etags: dict[str, str] = field(default_factory=dict)
    downloads: list[str] = field(default_factory=list)
    url: str = ""

    def siblings(self) -> list[dict[str, object]]:
        return [
            {"rfilename": path.name, "size": path.stat().st_size, "blobId": _etag(path)}
            for path in sorted(self.directory.iterdir())
        ]

    def tree(self) -> list[dict[str, object]]:
        return [
            {
                "type": "file",
                "path": path.name,
                "size": path.stat().st_size,
                "oid": _etag(path),
            }
            for path in sorted(self.directory.iterdir())
        ]


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def model_hub(directory: Path, model: str) -> Iterator[ModelHub]:
    """Run a hub that has the files of a directory.

    :param directory: the files.
    :param model: hub id.
    """
    hub = ModelHub(directory, model)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if re.fullmatch(rf"/api/models/{hub.model}(/revision/[^/]+)?", path):
                answer = {"id": hub.model, "sha": COMMIT, "siblings": hub.siblings()}
                self._send(json.dumps(answer).encode())
            elif path.startswith(f"/api/models/{hub.model}/tree/"):
                self._send(json.dumps(hub.tree()).encode())
            elif path.startswith(f"/{hub.model}/resolve/"):
                self._file(hub.directory / path.rpartition("/")[2])
            else:
                self._send(b"", HTTPStatus.NOT_FOUND)

        def _file(self, file: Path) -> None:
            if not file.is_file():
                self._send(b"", HTTPStatus.NOT_FOUND)
                return
            if self.command == "GET" and file.name in hub.failing:
                self._send(b"", HTTPStatus.FORBIDDEN)
                return
            if self.command == "GET":
                hub.downloads.append(file.name)
            self._send(file.read_bytes(), etag=hub.etags.get(file.name) or _etag(file))

        def _send(
            self, body: bytes, status: HTTPStatus = HTTPStatus.OK, etag: str | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            if etag:
                self.send_header("ETag", f'"{etag}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
