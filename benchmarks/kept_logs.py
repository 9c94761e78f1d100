"""Logs of servers and batches: kept whole beside the figures, and the lines of them that name errors."""

from __future__ import annotations

import re
from pathlib import Path

#: Of an error's quotation: lines from the start and from the end, and characters of each.
_FIRST_LINES, _LAST_LINES, _LINE_LENGTH = 12, 8, 300
#: What a line that names an error has, and the levels of lines that only mention one.
_ERROR = re.compile(r"ERROR|[Ee]rror|Exception")
_LOWER_LEVEL = re.compile(r"\b(?:DEBUG|INFO|WARNING)\b")
#: What vLLM and its processes write before a message: process, level, time, place.
_PREFIX = re.compile(r"(?:\(\w+ pid=\d+\) )?(?:ERROR \S+ \S+ \[[^\]]*\] ?)?")


def log_file(out: Path, way: str) -> Path:
    """Return the file that keeps the log of a way.

    :param out: file of the figures.
    :param way: its name.
    """
    return out.with_suffix(f".{way}.log")


def error_lines(log: Path) -> str:
    """Return the lines of a log that name errors, each once, without frames of tracebacks.

    The first ones come first: an error of a process within often ends the others with errors of their own.

    :param log: of any length; empty if it does not exist.
    """
    if not log.exists():
        return ""
    found: dict[str, None] = {}
    with log.open(errors="replace") as lines:
        for line in lines:
            if _ERROR.search(line) and not _LOWER_LEVEL.search(line):
                message = _PREFIX.sub("", line, count=1).rstrip()
                # Frames are indented, and say no more than the error below them.
                if message and not message[0].isspace() and not message.startswith("Traceback"):
                    found[message[:_LINE_LENGTH]] = None
    messages = list(found)
    left_out = len(messages) - _FIRST_LINES - _LAST_LINES
    if left_out > 0:
        messages[_FIRST_LINES:-_LAST_LINES] = [f"... {left_out} more lines with errors"]
    return "\n".join(messages)
