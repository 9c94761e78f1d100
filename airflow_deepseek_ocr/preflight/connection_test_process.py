"""The process that asks a connection's server for the Test button.

It reads the settings from stdin and writes the result to stdout.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.protocol.client_tls import client_context
from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError
from airflow_deepseek_ocr.preflight.connection_test import (
    MAX_MESSAGE,
    settings_from_json,
    untested,
)
from airflow_deepseek_ocr.preflight.server import QUICK, describe_remote_server


def main() -> None:
    """Read the settings of a connection, ask its server, and write whether it can be used, and the reason."""
    settings = Settings(**settings_from_json(sys.stdin.buffer.read()))
    good, message = ask_server(settings)
    json.dump([good, message[: MAX_MESSAGE + 1]], sys.stdout)


def ask_server(settings: Settings) -> tuple[bool, str]:
    """Return whether all servers of the connection's host can be used, and the reasons.

    :param settings: settings of the connection, with a host.
    """
    if settings.ca_certificates is not None:
        try:
            client_context(settings.ca_certificates)
        except ConfigurationError:
            # One answer whatever is there: users of the form learn nothing about files of the API server.
            return False, untested(
                f"the API server, where this test runs, cannot use {settings.ca_certificates}, which "
                "workers need to verify the server's certificate."
            )
    servers = settings.each_server()
    # All at once: the button's time is that of one server.
    with ThreadPoolExecutor(len(servers)) as pool:
        answers = list(pool.map(_ask_one, servers))
    return all(good for good, _ in answers), " ".join(message for _, message in answers)


def _ask_one(settings: Settings) -> tuple[bool, str]:
    try:
        return True, describe_remote_server(settings, QUICK, probe_no_repeat_ngram=False)
    except DeepSeekOCRError as error:
        return False, str(error)


if __name__ == "__main__":
    main()
