"""System calls that decoding needs, with their numbers on each architecture.

The list was measured: ``strace`` of the malformed-document corpus and of all supported types. Calls that
other versions of the C library, of Python and of the decoders use for the same purposes were added.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Columns of :data:`ALLOWED` and :data:`CONDITIONAL`, by ``platform.machine()``.
_COLUMNS = {"x86_64": 0, "aarch64": 1}

#: Values of ``AUDIT_ARCH_...`` (``linux/audit.h``).
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

#: Calls that are allowed with all arguments. Numbers of x86-64 (``asm/unistd_64.h``) and of aarch64
#: (``asm-generic/unistd.h``); None where an architecture lacks the call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # Files that are open, and the names and attributes of files that Landlock lets this process read.
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "write": (1, 64),
    "writev": (20, 66),
    "pwrite64": (18, 68),
    "pwritev": (296, 70),
    "lseek": (8, 62),
    "close": (3, 57),
    "close_range": (436, 436),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "stat": (4, None),
    "lstat": (6, None),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # Requests arrive with a descriptor.
    "recvmsg": (47, 212),
    # Memory
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "mincore": (27, 232),
    # Threads of this process
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "rseq": (334, 293),
    "set_tid_address": (218, 96),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "membarrier": (324, 283),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Own signals, timers and clocks
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "alarm": (37, None),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    # Facts about this process and host
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
}

#: Calls that are allowed with some arguments; :mod:`.seccomp` has the conditions.
CONDITIONAL: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "openat": (257, 56),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "clone": (56, 220),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "prlimit64": (302, 261),
}

#: The C library falls back to ``clone`` if the kernel does not have this call. A filter cannot read the
#: arguments of this one.
CLONE3 = 435

#: Newest call that was known when the list was made. Programs have a substitute for newer ones that the
#: kernel does not have.
NEWEST = 451


@dataclass(frozen=True)
class Architecture:
    """Numbers of one architecture.

    :param audit: its identifier in seccomp data.
    :param allowed: numbers of :data:`ALLOWED`.
    :param conditional: numbers of :data:`CONDITIONAL`, by name.
    """

    audit: int
    allowed: tuple[int, ...]
    conditional: dict[str, int]


def architecture(machine: str) -> Architecture | None:
    """Return the numbers of an architecture; None if they are not known.

    :param machine: name of the architecture, as ``platform.machine()`` returns it.
    """
    column = _COLUMNS.get(machine)
    if column is None:
        return None
    return Architecture(
        _AUDIT[machine],
        tuple(number for numbers in ALLOWED.values() if (number := numbers[column]) is not None),
        {
            name: number
            for name, numbers in CONDITIONAL.items()
            if (number := numbers[column]) is not None
        },
    )
