"""The setting of the sandbox, and the report of a child about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sandbox(StrEnum):
    """Restrictions of the process that decodes documents."""

    #: As far as the kernel allows; a warning names the missing ones.
    AUTO = "auto"
    #: A host without them opens no document.
    REQUIRED = "required"
    #: None but the limits of time and memory.
    OFF = "off"


@dataclass(frozen=True)
class SandboxReport:
    """The restrictions that hold in a child.

    :param landlock: version of the kernel's interface for Landlock; 0 if Landlock does not hold.
    :param missing: the restrictions that do not hold, each with its reason and remedy.
    """

    landlock: int
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.missing:
            return f"missing: {'; '.join(self.missing)}"
        return f"Landlock (ABI {self.landlock}), seccomp filter, no capabilities, no new privileges"
