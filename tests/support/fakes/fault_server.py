"""A server that does what it is told to a request: a stand-in for faults, not for the model."""

from __future__ import annotations

import base64
import io
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.engines.protocol.chat_completions import VLLM_MAX_TILES
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

TEXT = "read"

_DEEP = b"[" * 300_000


def _completion(content: str = '"read"', tokens: str = "3", more: str = "") -> bytes:
    choice = f'{{"message": {{"content": {content}}}, "finish_reason": "stop"}}'
    usage = f'{{"prompt_tokens": 300, "completion_tokens": {tokens}}}'
    return f'{{"choices": [{choice}], "usage": {usage}{more}}}'.encode()


def _error(code: bytes) -> bytes:
    return b'{"error": {"message": "no\\u0000\\ud800", "code": ' + code + b"}}"


#: Answers with the status that no honest server gives, by the word of a script.
BAD_ANSWERS = {
    "deep": (200, b'{"choices": ' + _DEEP),
    "deep_400": (400, b'{"error": ' + _DEEP),
    "deep_500": (500, b'{"error": ' + _DEEP),
    "deep_text": (200, _completion("[" * 900 + "]" * 900)),
    "code_object": (500, _error(b'{"a": 1}')),
    "code_list": (400, _error(b"[[]]")),
    "code_long": (500, _error(b'"' + b"a" * 100 + b'"')),
    "code_nul": (500, _error(b'"a\\u0000b"')),
    "code_number": (500, _error(b"1e999")),
    "many_tokens": (200, _completion(tokens="1e400")),
    "large_count": (200, _completion(tokens="9" * 30)),
    "no_seconds": (200, _completion(more=', "deepseek_ocr": {"seconds": NaN}')),
    "long_text": (200, _completion('"' + "word " * 220_000 + '"')),
}


@dataclass
class Faults:
    """What happens, and what happened.

    :param script: for each page's line, what its requests meet one after the other; ``ok`` afterwards.
    :param card: the model's card.
    :param api_key: bearer token that requests must have; None for none.
    :param guard: whether forced tokens are kept from repeating.
    :param modes: what becomes of a mode that a request names: as in vLLM ``ignored``, ``refused``
        (without its option), ``read`` (with this package's plugin), a ``500``; or ``uncounted``, by a
        server that counts no tokens of images.
    :param family: family of the model, by which tokens of images are counted.
    :param max_tiles: most tiles of an image.
    :param logprobs: which log-probabilities a request gets that asks for those of two tokens: as in vLLM
        ``raw``, ``processed``, ``refused``; or ``none`` or ``malformed`` ones.
    """

    script: dict[str, list[str]] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=lambda: {"id": "m", "max_model_len": 8192})
    api_key: str | None = None
    no_repeat_ngram: bool = True
    modes: str = "ignored"
    family: ModelFamily = DEEPSEEK_OCR
    max_tiles: int = VLLM_MAX_TILES
    logprobs: str = "raw"
    url: str = ""
    #: Paths that need no secret, with what they answer as text.
    open_paths: dict[str, Callable[[BaseHTTPRequestHandler], str]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Ends waits when the test ends.
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def pages(self) -> list[dict[str, Any]]:
        """Requests that were not probes."""
        return [each for each in self.requests if not is_probe(each)]

    @property
    def probes(self) -> list[dict[str, Any]]:
        """The others."""
        return [each for each in self.requests if is_probe(each)]


def is_probe(body: dict[str, Any]) -> bool:
    """Whether the request asks what the server can do."""
    return "logit_bias" in body or body.get("max_tokens") == 1


def _image_tokens(faults: Faults, body: dict[str, Any], mode: str) -> int:
    """Tokens of the image; that of a page counts as one without tiles."""
    resolution = faults.family.resolution(mode)
    if resolution.tiling is None or not is_probe(body):
        return resolution.vision_tokens()
    tiling = replace(resolution.tiling, most=faults.max_tiles)
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return resolution.vision_tokens(replace(resolution, tiling=tiling).grid(*image.size))


def _logprobs(kind: str, forced: bool) -> Any:
    """Log-probabilities of a token that is forced on the model, or of the text."""
    if kind in ("none", "malformed"):
        return None if kind == "none" else [{"token": "read", "bytes": 10**12, "logprob": "x"}]
    if forced:
        chosen, other = (-9.0, -0.25) if kind == "raw" else (0.0, -90.0)
        return [_position("a", chosen, "b", other)]
    # vLLM counts the end token.
    return [
        _position("re", -0.5, "we", -1.0),
        _position("ad", -0.125, "", -3.0),
        _position("<｜end▁of▁sentence｜>", 0.0, "a", -30.0),
    ]


def _position(token: str, value: float, other: str, other_value: float) -> dict[str, Any]:
    def entry(token: str, value: float) -> dict[str, Any]:
        return {"token": token, "logprob": value, "bytes": list(token.encode())}

    top = [entry(token, value), entry(other, other_value)]
    return {**entry(token, value), "top_logprobs": top}


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128  # more are refused at a Unix socket, where TCP tries again


@contextmanager
def fault_server(faults: Faults, uds: Path | None = None) -> Iterator[Faults]:
    """Answer on a free port of the loopback, or at a Unix socket.

    :param faults: what to do.
    :param uds: path of the socket.
    """
    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)
            faults.connections = len(connections)

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path in faults.open_paths:
                content = faults.open_paths[self.path](self).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            elif self._known():
                self._send(200, {"object": "list", "data": [faults.card]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._known():
                return
            with faults.lock:
                faults.requests.append(body)
                faults.in_flight += 1
                faults.most_in_flight = max(faults.in_flight, faults.most_in_flight)
                line = body["messages"][0]["content"][1]["text"]
                script = [] if is_probe(body) else faults.script.get(line, [])
                what = script.pop(0) if script else "ok"
            try:
                self._do(what, body)
            finally:
                with faults.lock:
                    faults.in_flight -= 1

        def _do(self, what: str, body: dict[str, Any]) -> None:
            if what == "reset":
                self.close_connection = True
                self.connection.close()
            elif what == "half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices": ')
                self.close_connection = True
            elif what == "hang":
                faults.over.wait(20)
                self.close_connection = True
            elif what == "slow":
                time.sleep(0.2)
                self._ok(body)
            elif what == "garbage":
                self._send(200, ["no completion"])
            elif what in BAD_ANSWERS:
                status, content = BAD_ANSWERS[what]
                self._send_bytes(status, content, {"x-should-retry": "false"})
            elif what == "final":
                error = {"error": {"message": "this page", "code": "engine_error"}}
                self._send(500, error, {"x-should-retry": "false"})
            elif what.isdigit():
                said = f"refused {self.headers.get('Authorization')}"
                headers = {"Retry-After": "0"} if what == "429" else {}
                self._send(int(what), {"error": {"message": said}}, headers)
            else:
                self._ok(body)

        def _ok(self, body: dict[str, Any]) -> None:
            repeated = "logit_bias" in body and not faults.no_repeat_ngram
            tokens = ["a", "a", "a" if repeated else "b"]
            content: Any = [{"token": token} for token in tokens]
            if body.get("top_logprobs"):
                if faults.logprobs == "refused":
                    self._send(400, {"error": {"message": "more than max allowed: 1"}})
                    return
                content = _logprobs(faults.logprobs, is_probe(body))
            choice = {
                "message": {"content": TEXT},
                "finish_reason": "stop",
                "logprobs": {"content": content},
            }
            mode = body.get("mm_processor_kwargs", {}).get("resolution")
            if mode and faults.modes in ("refused", "500"):
                status = 500 if faults.modes == "500" else 400
                self._send(status, {"error": {"message": "mm_processor_kwargs are disabled"}})
                return
            read = mode if mode and faults.modes == "read" else "gundam"
            image = _image_tokens(faults, body, read)
            tokens_of_prompt = 11 + (0 if faults.modes == "uncounted" else image)
            usage = {"prompt_tokens": tokens_of_prompt, "completion_tokens": 3}
            self._send(200, {"choices": [choice], "usage": usage})

        def _known(self) -> bool:
            expected = f"Bearer {faults.api_key}" if faults.api_key else None
            if expected in (None, self.headers.get("Authorization")):
                return True
            self._send(401, {"error": {"message": f"not {self.headers.get('Authorization')}"}})
            return False

        def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
            self._send_bytes(status, json.dumps(value).encode(), headers)

        def _send_bytes(
            self, status: int, content: bytes, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, text in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(content)

    tcp = ThreadingHTTPServer
    httpd = _UnixServer(str(uds), Handler) if uds else tcp(("127.0.0.1", 0), Handler)
    faults.url = f"unix://{uds}" if uds else f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield faults
    finally:
        faults.over.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()
        for connection in connections:  # kept alive otherwise
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
