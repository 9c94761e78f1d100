"""A program that writes its arguments, its environment and the numbers of its sockets to standard error."""

from __future__ import annotations

import json
import os
import stat
import sys


def _sockets() -> list[int]:
    found = []
    for number in range(3, 256):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if stat.S_ISSOCK(mode):
            found.append(number)
    return found


if __name__ == "__main__":
    said = {"arguments": sys.argv[1:], "environment": dict(os.environ), "descriptors": _sockets()}
    json.dump(said, sys.stderr)
