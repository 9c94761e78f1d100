"""TLS of the server: its certificate and private key, checked before the weights are loaded."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from airflow_deepseek_ocr.engines.protocol.secret_file import read_secret_file
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

log = logging.getLogger(__name__)

#: A certificate that expires within this time is logged as a warning: renewals are often weekly jobs.
_SOON = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Files of the server's certificate and private key.

    :param certificate: the server's certificate in PEM format, followed by those of the authorities between
        it and the root.
    :param key: its private key in PEM format, without password.
    """

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return the server's TLS context, of version 1.2 at least.

        :raises ConfigurationError: ``server_tls`` if a file is missing or cannot be read, the key is open
            to other users, has a password or belongs to another certificate, or the certificate is not valid
            now.
        """
        self._check_certificate()
        self._check_key()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Load certificate and key into a context; connections that are open keep theirs.

        :param context: it is left without a usable key if this fails.
        :raises ConfigurationError: ``server_tls``; see :meth:`context`.
        """
        try:
            context.load_cert_chain(self.certificate, self.key, password=self._refuse_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            if reason == "KEY_VALUES_MISMATCH":
                raise _refused(
                    f"The private key {self.key} does not belong to the certificate {self.certificate}. Give "
                    "the key with which the certificate was requested."
                ) from error
            raise _refused(
                f"Certificate {self.certificate} and private key {self.key} cannot be used ({reason}). Both "
                "must be in PEM format."
            ) from error

    def _check_certificate(self) -> None:
        path = self.certificate
        try:
            certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except OSError as error:
            raise _refused(
                f"The certificate {path} cannot be read: {error.strerror}. Check --tls-certificate."
            ) from error
        except ValueError as error:
            raise _refused(f"{path} holds no certificate in PEM format.") from error
        now, end = datetime.now(UTC), certificate.not_valid_after_utc
        if now >= end:
            raise _refused(
                f"The certificate {path} expired at {end:%Y-%m-%d %H:%M} UTC. Renew it, and start the server "
                "again."
            )
        if now < certificate.not_valid_before_utc:
            raise _refused(
                f"The certificate {path} is not valid before "
                f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC. Check this host's clock."
            )
        if now >= end - _SOON:
            log.warning(
                "The certificate %s expires at %s UTC. Renew it, and start the server again.",
                path,
                f"{end:%Y-%m-%d %H:%M}",
            )

    def _check_key(self) -> None:
        def refuse(reason: str) -> ConfigurationError:
            return _refused(
                f"The server's private key: {reason} It must belong to the user of this process (chmod 600) "
                "or to root, and be closed to others; a group of this process may read it (chmod 640)."
            )

        try:
            read_secret_file(self.key, refuse)
        except OSError as error:
            raise _refused(
                f"The private key {self.key} cannot be read: {error.strerror}. Check --tls-key."
            ) from error

    def _refuse_password(self) -> str:
        # Without it, OpenSSL asks for the password on the terminal.
        raise _refused(
            f"The private key {self.key} has a password. Remove it: openssl pkey -in KEY -out NEW_KEY"
        )


class ServerTls:
    """The server's TLS context, which takes renewed files without a restart.

    :param files: certificate and key.
    :raises ConfigurationError: ``server_tls``; see :meth:`TlsFiles.context`.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files, self._state = files, _state(files)
        #: Context of the connections.
        self.context = files.context()

    def renew(self) -> bool:
        """Load the files if they have changed and can be used; return whether that was so."""
        state = _state(self._files)
        if state == self._state:
            return False
        self._state = state
        try:
            # In a separate context first: a failure would take the key from the one in use.
            self._files.context()
            self._files.load(self.context)
        except ConfigurationError as error:
            log.warning(
                "The server keeps its certificate, as the changed files are unusable: %s", error
            )
            return False
        log.info("The server uses the renewed certificate %s", self._files.certificate)
        return True


def _state(files: TlsFiles) -> list[tuple[int, int] | None]:
    """Return what changes when a file, or a link on the way to it, is replaced."""
    states: list[tuple[int, int] | None] = []
    for path in (files.certificate, files.key):
        try:
            status = path.stat()
            states.append((status.st_ino, status.st_mtime_ns))
        except OSError:
            states.append(None)
    return states


def _refused(message: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.SERVER_TLS, message)
