"""TLS of clients: the certificate authorities that a server's certificate is verified against."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import certifi

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.regular_file import read_regular_file

#: Variables of OpenSSL that name other authorities than the system's.
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
#: Largest file of authorities, in bytes: Mozilla's bundle, of all public ones, has 0.3 MB.
_MAX_BYTES = 16 << 20


def client_context(ca_certificates: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and name. There is none that does not.

    :param ca_certificates: PEM file with the only authorities to trust; None for those of ``SSL_CERT_FILE``
        or ``SSL_CERT_DIR``, else the system's and certifi's.
    :raises ConfigurationError: ``connection`` if the file is missing, cannot be read, or has no certificate.
    """
    if ca_certificates is None:
        context = ssl.create_default_context()
        if not any(os.environ.get(name) for name in _VARIABLES):
            # Small images have no authorities of the system.
            context.load_verify_locations(certifi.where())
        return context
    try:
        # OpenSSL would wait for a pipe.
        read_regular_file(ca_certificates, _MAX_BYTES)
        return ssl.create_default_context(cafile=str(ca_certificates))
    # A subclass of OSError, which has no useful strerror.
    except ssl.SSLError as error:
        raise _refused(ca_certificates, "it holds no certificate in PEM format") from error
    except OSError as error:
        raise _refused(ca_certificates, error.strerror or str(error)) from error
    except ValueError as error:
        raise _refused(ca_certificates, f"it {error}") from error


def _refused(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.CONNECTION,
        f"The connection's CA certificates, {path}, cannot be used on this host: {reason}. Put the "
        "certificate of the authority that signed the server's certificate there, or correct the path.",
    )
