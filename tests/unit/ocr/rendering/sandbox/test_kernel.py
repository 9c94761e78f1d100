"""System calls by number; those that restrict are tried in a process that ends."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys

import pytest

from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import call

MODULE = "airflow_deepseek_ocr.ocr.rendering.sandbox.kernel"


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"from {MODULE} import *\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_a_call_returns_its_result_or_raises() -> None:
    getpid = 39 if os.uname().machine == "x86_64" else 172
    assert call(getpid) == os.getpid()
    with pytest.raises(OSError) as caught:
        call(100_000)
    assert caught.value.errno == errno.ENOSYS


def test_privileges_and_capabilities_are_given_up() -> None:
    code = (
        "forbid_new_privileges(); drop_capabilities()\n"
        "lines = dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines())\n"
        "print(lines['NoNewPrivs'].strip(), *[lines[n].strip() for n in ('CapEff', 'CapPrm', 'CapInh')])"
    )
    assert run(code) == ["1", *["0" * 16] * 3]


def test_a_filter_decides_about_calls() -> None:
    """The filter refuses getppid with error 77 and allows the rest."""
    number = 110 if os.uname().machine == "x86_64" else 173
    program = b"".join(
        struct.pack("=HBBI", *each)
        for each in ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x5004D), (0x06, 0, 0, 0x7FFF0000))
    )  # fmt: skip
    code = (
        f"forbid_new_privileges(); set_filter({program!r})\n"
        f"try: call({number})\nexcept OSError as error: print(error.errno)\nprint(os.getpid() > 0)"
    )
    assert run(code) == ["77", "True"]


def test_a_malformed_filter_is_an_error() -> None:
    code = (
        "forbid_new_privileges()\n"
        "try: set_filter(b'\\xff' * 8)\nexcept OSError as error: print(error.errno)"
    )
    assert run(code) == [str(errno.EINVAL)]
