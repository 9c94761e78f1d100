"""The start of a child process, and the check of its sandbox."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.child_environment import child_environment
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport

log = logging.getLogger(__name__)

#: The program of the child.
WORKER = "airflow_deepseek_ocr.ocr.rendering.worker"


def start_child(
    connection: int, limits: Limits, sandbox: Sandbox, module: str = WORKER
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a child, which inherits one descriptor.

    :param connection: its socket.
    :param limits: limits of each document.
    :param sandbox: restrictions of the child.
    :param module: the program.
    :return: the process, and a pipe with its standard error, which the caller closes.
    :raises OSError: no process can be started.
    """
    output, theirs = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 -- a module of this package
            [
                sys.executable,
                "-P",  # nothing is imported from the current directory
                "-m",
                module,
                str(connection),
                sandbox.value,
                json.dumps(asdict(limits)),
            ],
            pass_fds=(connection,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=child_environment(),
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(theirs)
    return process, output


def check_sandbox(sandbox: Sandbox, report: SandboxReport) -> None:
    """Log which restrictions hold: missing ones as a warning, once in a process.

    :param report: of a child that has started.
    :raises ConfigurationError: ``sandbox_unavailable`` if restrictions are required and missing.
    """
    if sandbox is Sandbox.OFF:
        _warn_once(
            "The sandbox of the rendering process is off (setting sandbox of the connection)."
        )
    elif not report.missing:
        log.info("Sandbox of the rendering process: %s.", report)
    elif sandbox is Sandbox.AUTO:
        _warn_once(
            f"The sandbox of the rendering process is incomplete ({report}). A document that exploits a "
            "defect of a decoder may use the rights of this task."
        )
    else:
        raise ConfigurationError(
            ErrorCode.SANDBOX_UNAVAILABLE,
            f"The connection requires the sandbox of the rendering process, but it is incomplete on this "
            f"host ({report}). Mend that, or set sandbox to auto.",
        )


@cache
def _warn_once(message: str) -> None:
    log.warning(message)
