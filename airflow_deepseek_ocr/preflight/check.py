"""Result of one preflight check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """Result of a check.

    :param name: subject of the check, such as ``weights``.
    :param level: outcome.
    :param message: one line: the finding, and the action it needs.
    """

    name: str
    level: Level
    message: str
