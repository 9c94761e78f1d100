"""The filter, run by an interpreter of its instructions: every decision, on both architectures."""

from __future__ import annotations

import errno
import struct

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.seccomp import build_filter
from airflow_deepseek_ocr.ocr.rendering.sandbox.syscalls import (
    CONDITIONAL,
    Architecture,
    architecture,
)

OWN = 4242
ALLOW, KILL = "allow", "kill"
REFUSE, MISSING = errno.EPERM, errno.ENOSYS


def run(program: bytes, number: int, audit: int, *arguments: int) -> str | int:
    """Return the decision about a system call."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *(each & (1 << 64) - 1 for each in padded))
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = 0
    while True:
        operation, yes, no, value = instructions[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x06:
            break
        else:
            tests = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }
            position += yes if tests[operation] else no
    if value == 0x7FFF0000:
        return ALLOW
    return KILL if value == 0x80000000 else value & 0xFFFF


@pytest.fixture(params=["x86_64", "aarch64"])
def numbers(request: pytest.FixtureRequest) -> Architecture:
    found = architecture(request.param)
    assert found is not None
    return found


def decide(numbers: Architecture, name: str, *arguments: int) -> str | int:
    program = build_filter(numbers, OWN)
    return run(program, numbers.conditional[name], numbers.audit, *arguments)


def test_listed_calls_are_allowed_and_all_others_refused(numbers: Architecture) -> None:
    program = build_filter(numbers, OWN)
    conditional = set(numbers.conditional.values())
    for number in range(452):
        if number in conditional or number == 435:
            continue
        expected = ALLOW if number in numbers.allowed else REFUSE
        assert run(program, number, numbers.audit) == expected, number


def test_newer_calls_and_clone3_seem_to_be_missing(numbers: Architecture) -> None:
    program = build_filter(numbers, OWN)
    for number in (435, 452, 600, 0x3FFFFFFF):
        assert run(program, number, numbers.audit) == MISSING


def test_other_interfaces_end_the_process(numbers: Architecture) -> None:
    program = build_filter(numbers, OWN)
    assert run(program, 0x40000000, numbers.audit) == KILL
    assert run(program, 0xFFFFFFFF, numbers.audit) == KILL
    for audit in (0x40000003, 0x40000028, 0):  # i386, 32-bit ARM
        assert run(program, 0, audit) == KILL


@pytest.mark.parametrize(
    ("name", "arguments", "decision"),
    [
        ("openat", (-100, 1, 0o2000000), ALLOW),
        ("openat", (-100, 1, 1), REFUSE),
        ("openat", (-100, 1, 2), REFUSE),
        ("openat", (-100, 1, 0o100), REFUSE),
        ("openat", (-100, 1, 0o1000), REFUSE),
        ("openat", (-100, 1, 0o20200001), REFUSE),
        ("mmap", (0, 4096, 1, 2), ALLOW),
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x01), ALLOW),
        ("mmap", (0, 4096, 3, 0x21), REFUSE),
        ("mmap", (0, 4096, 3, 0x23), REFUSE),
        ("mmap", (0, 4096, 5, 2), REFUSE),
        ("mprotect", (0, 4096, 3), ALLOW),
        ("mprotect", (0, 4096, 5), REFUSE),
        ("mprotect", (0, 4096, 7), REFUSE),
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (17,), REFUSE),
        ("clone", (0x10000000,), REFUSE),
        ("kill", (OWN, 9), ALLOW),
        ("kill", (OWN - 1, 9), REFUSE),
        ("kill", (0, 9), REFUSE),
        ("kill", (-1, 9), REFUSE),
        ("kill", (-OWN, 9), REFUSE),
        ("tgkill", (OWN, 1, 6), ALLOW),
        ("tgkill", (1, 1, 6), REFUSE),
        ("fcntl", (3, 1), ALLOW),
        ("fcntl", (3, 1030), ALLOW),
        ("fcntl", (3, 8), REFUSE),
        ("fcntl", (3, 10), REFUSE),
        ("fcntl", (3, 1033), REFUSE),
        ("ioctl", (3, 0x5401), ALLOW),
        ("ioctl", (3, 0x5412), REFUSE),
        ("prlimit64", (0, 2, 0, 1), ALLOW),
        ("prlimit64", (0, 2, 1, 0), REFUSE),
        ("prlimit64", (0, 2, 1 << 32, 0), REFUSE),
    ],
)
def test_arguments_decide(
    numbers: Architecture, name: str, arguments: tuple[int, ...], decision: str | int
) -> None:
    assert decide(numbers, name, *arguments) == decision


def test_open_decides_by_its_second_argument() -> None:
    numbers = architecture("x86_64")
    assert numbers is not None
    assert decide(numbers, "open", 1, 0o2000000) == ALLOW
    assert decide(numbers, "open", 1, 0o101) == REFUSE


def test_all_conditional_calls_have_conditions(numbers: Architecture) -> None:
    """Every one of them is refused for some arguments."""
    worst = (1, 0xFFF, 0xFFFF, 0xFFFF, 0, 0)
    for name in CONDITIONAL:
        if name in numbers.conditional and name != "clone":
            assert decide(numbers, name, *worst) == REFUSE, name
