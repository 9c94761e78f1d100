"""The numbers of system calls, compared with the kernel's headers where they are installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.syscalls import (
    ALLOWED,
    CLONE3,
    CONDITIONAL,
    architecture,
)

X86_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC_HEADER = Path("/usr/include/asm-generic/unistd.h")

#: Calls that would undo the sandbox.
DANGEROUS = {
    "socket", "connect", "sendto", "sendmsg", "execve", "execveat", "fork", "vfork", "ptrace", "unshare",
    "setns", "mount", "bpf", "io_uring_setup", "process_vm_readv", "process_vm_writev", "pidfd_open",
    "pidfd_getfd", "memfd_create", "open_by_handle_at", "openat2", "unlink", "rename", "chmod", "truncate",
    "prctl", "personality", "tkill", "rt_sigqueueinfo", "pkey_mprotect", "setrlimit", "kexec_load",
}  # fmt: skip


@pytest.mark.skipif(not X86_HEADER.exists(), reason="headers of the kernel are not installed")
def test_numbers_of_x86_64() -> None:
    known = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", X86_HEADER.read_text()))
    for name, (number, _) in (ALLOWED | CONDITIONAL).items():
        assert known.get(name) == str(number), name
    assert known["clone3"] == str(CLONE3)


@pytest.mark.skipif(not GENERIC_HEADER.exists(), reason="headers of the kernel are not installed")
def test_numbers_of_aarch64() -> None:
    source = (
        "#define __BITS_PER_LONG 64\n#define __ARCH_WANT_NEW_STAT\n#define __ARCH_WANT_SET_GET_RLIMIT\n"
        "#define __ARCH_WANT_SYS_CLONE3\n#include <asm-generic/unistd.h>\n"
    )
    done = subprocess.run(
        ["gcc", "-E", "-dM", "-xc", "-"], input=source, capture_output=True, text=True, check=True
    )
    defined = dict(re.findall(r"#define (__NR\w*) (\w+)", done.stdout))

    def number(name: str) -> int | None:
        value = defined.get(f"__NR_{name}")
        while value is not None and not value.isdigit():
            value = defined.get(value)
        return None if value is None else int(value)

    for name, (_, arm) in (ALLOWED | CONDITIONAL).items():
        assert number(name) == arm, name


def test_no_dangerous_call_is_allowed() -> None:
    assert not DANGEROUS & (ALLOWED.keys() | CONDITIONAL.keys())
    assert not ALLOWED.keys() & CONDITIONAL.keys()


@pytest.mark.parametrize(("machine", "read"), [("x86_64", 0), ("aarch64", 63)])
def test_an_architecture_has_its_column(machine: str, read: int) -> None:
    found = architecture(machine)
    assert found is not None
    assert read in found.allowed
    assert len(set(found.allowed)) == len(found.allowed)
    assert "openat" in found.conditional
    assert ("open" in found.conditional) == (machine == "x86_64")


def test_other_architectures_are_unknown() -> None:
    assert architecture("riscv64") is None
