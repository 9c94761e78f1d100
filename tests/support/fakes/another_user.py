"""What another user of the host gets to see."""

from __future__ import annotations

import json
import os
import pwd
import signal
from collections.abc import Callable, Mapping

_USER = "nobody"
_TIMEOUT_S = 60


def as_another_user(actions: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    """What each action returns, or what it raises, in a process of the user ``nobody``.

    For root alone. The process is a copy of this one: another user need not be able to run this Python.

    :param actions: by name; they import nothing.
    """
    user = pwd.getpwnam(_USER)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        signal.alarm(_TIMEOUT_S)
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            said = {}
            for name, action in actions.items():
                try:
                    said[name] = action()
                except Exception as error:
                    said[name] = f"{type(error).__name__}: {error}"
            with os.fdopen(write_end, "w") as pipe:
                json.dump(said, pipe)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer: dict[str, str] = json.loads(text)
    return answer
