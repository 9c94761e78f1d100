"""Address and keys of an S3 server."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field

from .process import LOOPBACK


@dataclass(frozen=True)
class S3Server:
    """The endpoint of a running S3 server and the keys of a user who may create buckets."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str

    @property
    def client_arguments(self) -> dict[str, str]:
        """Arguments of a boto3 client of the server."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
        }


def http_answers(port: int) -> bool:
    """Whether a server on a port of the loopback interface answers HTTP requests without an error."""
    # urllib and boto3 would use the proxy settings of the environment.
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
