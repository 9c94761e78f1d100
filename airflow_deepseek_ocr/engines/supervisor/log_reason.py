"""The line of a server's log that says why the server ended, wherever it is in the log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

#: Bytes of a log that are searched: a start of vLLM writes some 100 kB, and a traceback of many processes
#: is repeated by each.
_SEARCHED_BYTES = 4 * 2**20
#: Characters of a line that a message quotes: an out-of-memory error of torch has about 500.
_MAX_LENGTH = 600
_TRACEBACK = "Traceback (most recent call last):"
_DIRECT_CAUSE = "The above exception was the direct cause"
_DURING_HANDLING = "During handling of the above exception"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: vLLM begins lines with the process, the level and the place: ``(EngineCore pid=7) ERROR 11-28 07:05:11
#: [core.py:1100] text``.
_PROCESS = re.compile(r"^\(([\w .-]+ pid=\d+)[^)]*\) ?")
_LEVEL = re.compile(
    r"^(?:\[[^\]]*\] )?(DEBUG|INFO|WARNING|ERROR|CRITICAL)(?: +[\d: .,-]*(?:\[[^\]]*\])?:? ?|:)"
)
_PLACE = re.compile(r"^\[\w+\.py:\d+\] ?")
#: Frame of a traceback within an exception group.
_GROUP = re.compile(r"^ *(?:\| ?|\+-[+-]*(?: \d+ -+)?$|\+ (?=Exception Group))")
_EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Failed|OutOfResources)|Exception)(?:: \S|$)"
)
#: Ends of processes that have no traceback: argparse, the dynamic loader, C++, the interpreter, the shell.
_OTHER = re.compile(
    r"^[\w./-]+(?: [\w-]+)*: error: |error while loading shared libraries|^\s*what\(\): |^Fatal Python error"
    r"|: No module named |bad interpreter|: (?:command )?not found$|: cannot execute|: Permission denied$"
    r"|^Segmentation fault|^Bus error|^Killed$|^Illegal instruction"
)
#: Errors that say only that another process has failed, or that this one was asked to end.
_CONSEQUENCE = re.compile(
    r"Engine core initialization failed|EngineDeadError|EngineCore encountered an issue"
    r"|WorkerProc initialization failed|[Ss]ee (?:the )?(?:root cause|stack trace)|EngineGenerateError"
    r"|DPCoordinator|^(?:\w+\.)*(?:SystemExit|KeyboardInterrupt|CancelledError|BrokenPipeError)\b"
    r"|^RuntimeError: (?:Event loop is closed|cancelled)|^(?:\w+\.)*ChildFailedError"
)


def find_reason(log_file: Path) -> str:
    """Return the line of a log that says why the server ended; empty if there is none.

    :param log_file: log of a server.
    """
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _SEARCHED_BYTES))
            return reason_in(file.read().decode(errors="replace"))
    except OSError:
        return ""


def reason_in(text: str) -> str:
    """Return the line that says why the program that wrote the text ended; empty if there is none.

    The last error before the first of those that refer to an error of another process; of an error and its
    direct cause, the cause.

    :param text: output of a program.
    """
    found = _Findings()
    for line in text.splitlines():
        found.add(line)
    return found.reason()[:_MAX_LENGTH]


@dataclass
class _Process:
    """Where the lines of one process are; several write to one log in turn.

    :param in_traceback: a traceback's last line is yet to come.
    :param link: how the next traceback is linked to the one before.
    :param ignored: Python said that it ignores the error of the next traceback.
    :param open_message: the exception's first line has no message, which the next line has.
    """

    in_traceback: bool = False
    link: str = ""
    ignored: bool = False
    open_message: bool = False


@dataclass
class _Findings:
    """Errors found so far.

    :param cause: last error that is no consequence of another one.
    :param consequence: first error that is one.
    :param logged: last line of level ERROR.
    """

    cause: str = ""
    consequence: str = ""
    logged: str = ""
    processes: dict[str, _Process] = field(default_factory=dict)

    def reason(self) -> str:
        return self.cause or self.consequence or self.logged

    def add(self, raw: str) -> None:
        name, level, line = _split(raw)
        process = self.processes.setdefault(name, _Process())
        if level in ("DEBUG", "INFO", "WARNING"):
            return
        if line.startswith("Exception ignored in"):
            process.ignored = True
        elif line.startswith((_DIRECT_CAUSE, _DURING_HANDLING)):
            process.link = line
        elif line.endswith(_TRACEBACK):
            process.in_traceback, process.open_message = True, False
        elif process.open_message and line.strip():
            # pydantic and Triton write their message below the exception's name.
            self._continue(line.strip(), process)
        elif process.in_traceback and line.strip() and not line.startswith(" "):
            process.in_traceback = False
            self._exception(line.strip(), process)
        elif not process.in_traceback and (_EXCEPTION.match(line) or _OTHER.search(line)):
            self._exception(line.strip(), process)
        elif level and line.strip() and not line.startswith(" "):
            self.logged = line.strip()

    def _exception(self, line: str, process: _Process) -> None:
        is_cause_of_this = process.link.startswith(_DIRECT_CAUSE)
        ignored, process.link, process.ignored = process.ignored, "", False
        if _CONSEQUENCE.search(line):
            self.consequence = self.consequence or line
        elif not ignored and not self.consequence and not (is_cause_of_this and self.cause):
            self.cause = line
            process.open_message = line.endswith(":") or "validation error" in line

    def _continue(self, line: str, process: _Process) -> None:
        self.cause += f" {line}"
        # pydantic names the field on a separate line.
        process.open_message = " " not in line


def _split(raw: str) -> tuple[str, str, str]:
    """Return a line's process, level and text; empty where it names none."""
    line = _COLOURS.sub("", raw)
    name = level = ""
    if match := _PROCESS.match(line):
        name, line = match[1], line[match.end() :]
    if match := _LEVEL.match(line):
        level, line = match[1], line[match.end() :]
    line = _PLACE.sub("", line)
    return name, level, _GROUP.sub("", line).rstrip()
