"""The resident server with a script instead of its model: ready in a second, so that it can be killed often.

All but the engine is the real server's: command line, process, routes, queue.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.chaos.engine import EventLog, ScriptedEngine
from tests.conftest import ROOT

_ENGINE = "airflow_deepseek_ocr.engines.in_process.engine"
#: Pages in the server's hands at once, of all tasks.
SLOTS = 8


class ScriptedModel(ScriptedEngine):
    """In place of the class of that name which needs torch."""

    device, dtype, page_length, decoding = "cpu", "float32", 8192, Decoding()

    def __init__(self, *_: Any, **__: Any) -> None:
        event_log, seconds = (
            Path(os.environ["FAULTS_EVENT_LOG"]),
            float(os.environ["FAULTS_PAGE_S"]),
        )
        super().__init__(EventLog(event_log), seconds, "model", SLOTS)
        self.clock, self.begun_anew = SimpleNamespace(seconds=dict), 0

    def plan(self) -> Any:
        return SimpleNamespace(slots=SLOTS)

    def works(self) -> bool:
        return True


def starter(directory: Path, event_log: Path, page_s: float) -> Path:
    """A program for a connection's ``server_python``, which starts this server instead of the real one.

    :param page_s: seconds a page takes.
    """
    program = directory / "server_python"
    variables = {"PYTHONPATH": ROOT, "FAULTS_EVENT_LOG": event_log, "FAULTS_PAGE_S": page_s}
    settings = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    program.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != serve ]; do shift; done  # how Python is to start\n'
        f'exec env {settings} {shlex.quote(sys.executable)} -m {__spec__.name} "$@"\n'
    )
    program.chmod(0o755)
    return program


def _replace(name: str, **content: Any) -> None:
    """Put something in a module's place that is imported at once."""
    sys.modules[name] = module = ModuleType(name)
    vars(module).update(content)


if __name__ == "__main__":
    _replace(_ENGINE, InProcessEngine=ScriptedModel)
    _replace("torch", get_num_threads=lambda: 1)
    from airflow_deepseek_ocr.cli.main import main

    sys.exit(main())
