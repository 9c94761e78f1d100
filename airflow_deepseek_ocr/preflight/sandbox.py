"""Check of the rendering process: the restrictions that hold on this host, tried from inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.child_start import WORKER
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.preflight.check import Check, Level

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


def check_sandbox(settings: Settings, module: str = WORKER) -> Check:
    """Start a rendering process, let it try forbidden actions, and report those that succeed.

    :param settings: settings of the connection.
    :param module: program of the process; tests pass one for an older kernel.
    """
    sandbox = Sandbox(settings.sandbox)
    try:
        child = ChildProcess(Limits(), sandbox, module=module)
        try:
            probed, report = child.probe(), child.report
        finally:
            child.end()
    except DeepSeekOCRError as error:
        return Check("sandbox", Level.FAILURE, str(error))
    succeeded = f"allowed in the rendering process: {', '.join(probed.allowed) or 'nothing'}"
    if sandbox is Sandbox.OFF:
        return Check("sandbox", Level.WARNING, f"The sandbox is off; {succeeded}.")
    if not probed.allowed and not report.missing:
        refused = ", ".join(probed.refused)
        return Check("sandbox", Level.OK, f"{report}. Tried and refused: {refused}.")
    level = Level.FAILURE if sandbox is Sandbox.REQUIRED else Level.WARNING
    return Check("sandbox", level, f"The sandbox is incomplete ({report}); {succeeded}.")
