"""An S3 server that knows one access key, with a bucket made at its start and a health check."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

PORT = 8333
#: The access key in a header or, of a presigned URL, in the query.
_CREDENTIAL = re.compile(r"Credential=([^/%]+)(?:/|%2F)", re.IGNORECASE)


def main() -> None:
    """Serve until SIGTERM."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        sys.exit("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
    ready = threading.Event()
    moto = DomainDispatcherApplication(create_backend_app)
    server = make_server("0.0.0.0", PORT, _with_checks(moto, key, ready), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if bucket := os.environ.get("S3_BUCKET"):
        boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{PORT}",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
        ).create_bucket(Bucket=bucket)
    ready.set()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    server.shutdown()


def _with_checks(
    application: Any, key: str, ready: threading.Event
) -> Callable[..., Iterable[bytes]]:
    """Return the application behind the health check and the check of the access key.

    moto checks no signatures: a wrong secret is accepted, a wrong key is not.
    """

    def checked(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            start("200 OK" if ready.is_set() else "503 Service Unavailable", [])
            return [b""]
        where = environ.get("HTTP_AUTHORIZATION", "") + "&" + environ.get("QUERY_STRING", "")
        found = _CREDENTIAL.search(where)
        if not found or found[1] != key:
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>InvalidAccessKeyId</Code><Message>Unknown key</Message></Error>"]
        return application(environ, start)

    return checked


if __name__ == "__main__":
    main()
