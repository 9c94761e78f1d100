"""System calls for which Python has no functions."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

#: Constants of ``linux/prctl.h`` and ``linux/capability.h``.
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Program(ctypes.Structure):
    """``struct sock_fprog`` of ``linux/filter.h``."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def call(number: int, *arguments: object) -> int:
    """Make a system call.

    :param arguments: numbers, ctypes objects and None.
    :return: its result.
    :raises OSError: the kernel refused it.
    """
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def forbid_new_privileges() -> None:
    """Keep programs with the set-user-id bit from giving privileges; filters without privileges need this.

    :raises OSError: the kernel refused.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)


def drop_capabilities() -> None:
    """Give up all capabilities of this thread, which root in a container has.

    :raises OSError: the kernel refused.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc.capset(ctypes.byref(header), ctypes.byref(none)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def set_filter(instructions: bytes) -> None:
    """Install a seccomp filter in this thread and the threads that it starts.

    :param instructions: 8 bytes each.
    :raises OSError: the kernel refused.
    """
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _prctl(option: int, second: int, third: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(second), ctypes.c_ulong(third), zero, zero):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
