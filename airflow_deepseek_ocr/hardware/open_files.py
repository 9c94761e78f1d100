"""The limit of open files of this process."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

#: Open files that are asked for, at most: 8 servers with 416 pages in flight take 3,328. Some systems allow a
#: billion, which programs that close all possible files take minutes for.
_MOST = 65_536


def raise_open_files_limit() -> None:
    """Raise the limit of open files: each page in flight has a connection, on both sides."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if most == resource.RLIM_INFINITY else min(most, _MOST)
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (OSError, ValueError) as error:
        log.warning("The limit of open files cannot be raised from %d: %s", limit, error)
