"""Landlock: this process may read some files, and do nothing else with files, TCP and other processes.

Interface of the kernel: ``include/uapi/linux/landlock.h``. The numbers of its system calls are the same on
all architectures.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
#: Actions on files that each version of the interface added: 13 with the first, then moving files between
#: directories, truncation, and control of devices.
_FILE_ACTIONS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
#: Version that added TCP, and its actions: bind and connect.
_TCP_VERSION, _TCP_ACTIONS = 4, 0b11
#: Version that added scopes, and these: abstract Unix sockets and signals.
_SCOPE_VERSION, _SCOPES = 6, 0b11


def landlock_abi() -> int:
    """Return the version of the kernel's interface; 0 if Landlock is missing or not enabled."""
    try:
        return call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict_files(readable: Iterable[Path], abi: int) -> None:
    """Refuse everything but reading the given files and directories, for this thread and those it starts.

    Open descriptors stay usable.

    :param readable: files and directories; missing ones are left out.
    :param abi: version of the kernel's interface, at least 1.
    :raises OSError: the kernel refused.
    """
    attributes = [sum(bits for version, bits in _FILE_ACTIONS.items() if abi >= version)]
    if abi >= _TCP_VERSION:
        attributes.append(_TCP_ACTIONS)
    if abi >= _SCOPE_VERSION:
        attributes.append(_SCOPES)
    data = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = call(_CREATE_RULESET, ctypes.create_string_buffer(data, len(data)), len(data), 0)
    try:
        for path in readable:
            _allow(ruleset, path)
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = _READ_FILE | (_READ_DIRECTORY if path.is_dir() else 0)
        rule = struct.pack("=Qi", rights, descriptor)
        call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(descriptor)
