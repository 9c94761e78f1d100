"""The resident server with a scripted engine, which starts in a second and so can be killed often.

Command line, process, routes and queue are the real server's.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.ocr.decoding import Decoding
from tests.chaos.engine import EventLog, ScriptedEngine
from tests.conftest import ROOT

ENGINE = "airflow_deepseek_ocr.engines.in_process.engine"
#: Pages in flight at once, of all tasks.
SLOTS = 8


class ScriptedModel(ScriptedEngine):
    """Replaces :class:`InProcessEngine`, which needs torch."""

    page_length, decoding = 8192, Decoding()

    def __init__(self, *_: Any, device: str, **__: Any) -> None:
        # The device that is asked for, so that a host without GPUs has servers for several.
        self.device, self.dtype = ("cpu", "float32") if device == "auto" else (device, "bfloat16")
        event_log, seconds = (
            Path(os.environ["CHAOS_EVENT_LOG"]),
            float(os.environ["CHAOS_PAGE_S"]),
        )
        super().__init__(EventLog(event_log), seconds, "model", SLOTS)
        self.clock = SimpleNamespace(seconds=dict)
        self.preempted_pages = 0

    def plan(self) -> Any:
        return SimpleNamespace(slots=SLOTS)

    def occupancy(self) -> Occupancy:
        return Occupancy(slots=SLOTS)

    def works(self) -> bool:
        return True


def starter(directory: Path, event_log: Path, page_s: float) -> Path:
    """Write a program for a connection's ``server_python``, which starts this server instead of the real one.

    :param page_s: seconds a page takes.
    """
    program = directory / "server_python"
    variables = {"PYTHONPATH": ROOT, "CHAOS_EVENT_LOG": event_log, "CHAOS_PAGE_S": page_s}
    settings = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    program.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != serve ]; do shift; done  # how Python is to start\n'
        f'exec env {settings} {shlex.quote(sys.executable)} -m {__spec__.name} "$@"\n'
    )
    program.chmod(0o755)
    return program


def replace_module(name: str, **content: Any) -> None:
    """Put a stand-in for a module where imports find it.

    :param content: the stand-in's names; each must be defined by the module.
    :raises ImportError: there is no such module, or it does not define a name. Else the real engine would
        run, which is slow and logs no pages.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"There is no module {name}.")
    source = Path(spec.origin).read_text()
    if missing := [each for each in content if each not in source]:
        raise ImportError(f"{name} does not define {missing}.")
    sys.modules[name] = module = ModuleType(name)
    vars(module).update(content)


if __name__ == "__main__":
    replace_module(ENGINE, InProcessEngine=ScriptedModel)
    replace_module("torch", get_num_threads=lambda: 1)
    from airflow_deepseek_ocr.cli.main import main

    sys.exit(main())
