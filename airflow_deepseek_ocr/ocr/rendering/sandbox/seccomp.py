"""The seccomp filter: a program for the kernel that decides about each system call of this process.

All calls are refused except those of :mod:`.syscalls`. The conditions on arguments refuse, among others,
files opened for writing, memory that is executable or shared, processes, signals to other processes, and new
limits. Instructions are those of classic BPF (``linux/bpf_common.h``).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterable

from airflow_deepseek_ocr.ocr.rendering.sandbox.syscalls import CLONE3, NEWEST, Architecture

#: Operations: load a word of ``struct seccomp_data``, logical and, jumps, return.
_LOAD, _AND, _IF_EQUAL, _IF_ABOVE, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = (
    0x20,
    0x54,
    0x15,
    0x25,
    0x35,
    0x45,
    0x06,
)
#: Offsets in ``struct seccomp_data``: number of the call, architecture, first argument of 8 bytes.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

#: Actions (``linux/seccomp.h``).
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_REFUSE, _MISSING = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS

#: Numbers of the x32 interface of x86-64 have this bit.
_X32 = 0x40000000

_PROT_EXEC, _MAP_SHARED, _MAP_ANONYMOUS = 0x4, 0x01, 0x20
_CLONE_THREAD = 0x10000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: Commands of fcntl and ioctl that neither arrange signals to other processes nor control devices.
_FCNTL = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC)
_IOCTL = (termios.TCGETS, termios.FIONREAD, termios.FIOCLEX, termios.FIONCLEX)

_Conditions = list[bytes]


def build_filter(numbers: Architecture, process: int) -> bytes:
    """Return the filter as the kernel takes it, 8 bytes for an instruction.

    :param numbers: the calls of this architecture.
    :param process: this process, which may send signals to itself.
    """
    program = [
        _instruction(_LOAD, _ARCHITECTURE),
        *_unless(_IF_EQUAL, numbers.audit, _KILL),
        _instruction(_LOAD, _NUMBER),
        *_when(_IF_AT_LEAST, _X32, _KILL),
    ]
    for number in numbers.allowed:
        program += _when(_IF_EQUAL, number, _ALLOW)
    for name, conditions in _conditions(process).items():
        if name in numbers.conditional:
            block = [*conditions, _instruction(_RETURN, _ALLOW)]
            program += [_instruction(_IF_EQUAL, numbers.conditional[name], 0, len(block)), *block]
    program += _when(_IF_EQUAL, CLONE3, _MISSING)
    program += _when(_IF_ABOVE, NEWEST, _MISSING)
    program.append(_instruction(_RETURN, _REFUSE))
    return b"".join(program)


def _conditions(process: int) -> dict[str, _Conditions]:
    """Return the instructions that refuse a call for its arguments, by the call's name."""
    # Shared anonymous memory would not count for the limit of memory.
    shared = _MAP_SHARED | _MAP_ANONYMOUS
    return {
        "open": _no_bit(1, _WRITING),
        "openat": _no_bit(2, _WRITING),
        "mmap": _no_bit(2, _PROT_EXEC) + _not_all_bits(3, shared),
        "mprotect": _no_bit(2, _PROT_EXEC),
        "clone": _any_bit(0, _CLONE_THREAD),
        "kill": _one_of(0, [process]),
        "tgkill": _one_of(0, [process]),
        "fcntl": _one_of(1, _FCNTL),
        "ioctl": _one_of(1, _IOCTL),
        "prlimit64": _null(2),
    }


def _no_bit(argument: int, bits: int) -> _Conditions:
    return [_load(argument), *_when(_IF_ANY_BIT, bits, _REFUSE)]


def _any_bit(argument: int, bits: int) -> _Conditions:
    return [_load(argument), *_unless(_IF_ANY_BIT, bits, _REFUSE)]


def _not_all_bits(argument: int, bits: int) -> _Conditions:
    return [_load(argument), _instruction(_AND, bits), *_when(_IF_EQUAL, bits, _REFUSE)]


def _one_of(argument: int, values: Iterable[int]) -> _Conditions:
    known = list(values)
    jumps = [
        _instruction(_IF_EQUAL, value, len(known) - index) for index, value in enumerate(known)
    ]
    return [_load(argument), *jumps, _instruction(_RETURN, _REFUSE)]


def _null(argument: int) -> _Conditions:
    return [
        instruction
        for half in (0, 4)
        for instruction in (_load(argument, half), *_unless(_IF_EQUAL, 0, _REFUSE))
    ]


def _load(argument: int, half: int = 0) -> bytes:
    """Return the instruction that loads half of an argument: 0 for the lower bits, 4 for the upper ones."""
    if sys.byteorder == "big":
        half = 4 - half
    return _instruction(_LOAD, _ARGUMENTS + 8 * argument + half)


def _when(test: int, value: int, action: int) -> list[bytes]:
    return [_instruction(test, value, 0, 1), _instruction(_RETURN, action)]


def _unless(test: int, value: int, action: int) -> list[bytes]:
    return [_instruction(test, value, 1, 0), _instruction(_RETURN, action)]


def _instruction(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value & 0xFFFFFFFF)
