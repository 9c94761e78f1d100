"""The answer of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class Level(StrEnum):
    """How good an answer is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """An answer.

    :param name: what was looked at.
    :param level: how good it is.
    :param message: one line: what is there, and what to do.
    """

    name: str
    level: Level
    message: str
