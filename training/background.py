"""A training that runs on while other commands come and go, on a machine that is lent for minutes.

``start`` returns at once: a watcher in a session of its own runs ``python -m training train``. If that fails,
the watcher tries again with less: nobody may be there to do it. ``stop`` ends both once the state is written.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.cards import on_termination

_MOST_ATTEMPTS = 4
#: Exit code of a command whose arguments are wrong: they stay wrong.
_USAGE = 2
#: How long :func:`stop` waits for the step in progress, the state and the workers, in seconds.
_STOP_S = 60.0
#: Lines of the output that :func:`status` shows.
_SHOWN_LINES = 12
#: A training that is left with fewer seconds is not begun again: it would not come to its first step.
_LEAST_S = 60.0


@dataclass(frozen=True)
class Files:
    """What the watcher keeps beside the run's own files.

    :param directory: of the run.
    """

    directory: Path

    @property
    def process(self) -> Path:
        """The watcher's process id."""
        return self.directory / "watcher.pid"

    @property
    def output(self) -> Path:
        """What watcher and training print."""
        return self.directory / "output.txt"

    @property
    def log(self) -> Path:
        """The training's figures."""
        return self.directory / "log.jsonl"


def start(directory: Path, arguments: list[str]) -> int:
    """Begin or continue a run in the background; returns the watcher's process id.

    :param directory: of the run; it is created.
    :param arguments: of ``python -m training train``, without ``--out``.
    :raises RuntimeError: if it is being trained already.
    """
    files = Files(directory)
    if (running := _watcher(files)) is not None:
        raise RuntimeError(f"{directory} is trained already, by process {running}: stop it first")
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "training", "background", "watch", "--out", str(directory)]
    with files.output.open("a") as output:
        watcher = subprocess.Popen(
            [*command, "--", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    files.process.write_text(str(watcher.pid))
    return watcher.pid


def status(directory: Path) -> str:
    """Say whether a run is being trained, and what it printed last."""
    files = Files(directory)
    running = _watcher(files)
    lines = files.output.read_text(errors="replace").splitlines() if files.output.exists() else []
    state = "is not running" if running is None else f"runs as process {running}"
    if files.log.exists():
        age = time.time() - files.log.stat().st_mtime
        state += f"; its last figures are {age:.0f} s old"
    return "\n".join([f"{directory} {state}", *lines[-_SHOWN_LINES:]])


def fall(directory: Path, seconds: float) -> None:
    """Let the rates of a run in the background fall from now on; it ends after so many seconds.

    :raises RuntimeError: if it is not being trained.
    """
    if _watcher(Files(directory)) is None:
        raise RuntimeError(
            f"{directory} is not being trained: start it with --rates fall --seconds {seconds:g}"
        )
    from training.state import RunState  # takes all of transformers, which the others do without

    RunState(directory).ask_to_fall(seconds)


def stop(directory: Path) -> None:
    """End a run in the background when its state is written; nothing if it has ended.

    :raises TimeoutError: if it does not end; what it wrote before is whole.
    """
    files = Files(directory)
    running = _watcher(files)
    if running is None:
        return
    os.kill(running, signal.SIGTERM)
    until = time.monotonic() + _STOP_S
    while _watcher(files) is not None:
        if time.monotonic() > until:
            raise TimeoutError(
                f"process {running} has not ended within {_STOP_S:.0f} s of SIGTERM: "
                f"see {files.output}; its last saved state can be packed"
            )
        time.sleep(0.2)


def watch(directory: Path, arguments: list[str]) -> int:
    """Train, and after a failure again; returns the last training's exit code.

    :param directory: of the run.
    :param arguments: as for :func:`start`.
    """
    began, asked = time.monotonic(), False
    training: subprocess.Popen[bytes] | None = None

    def end() -> None:
        nonlocal asked
        asked = True
        if training is not None:
            training.terminate()

    code = 1
    with on_termination(end):
        for number, wanted in enumerate(attempts(arguments, Files(directory).log), start=1):
            left = _with_seconds_left(wanted, time.monotonic() - began)
            if left is None or asked:
                break
            print(f"attempt {number}: {' '.join(left)}", flush=True)
            command = [sys.executable, "-m", "training", "train", "--out", str(directory)]
            training = subprocess.Popen([*command, *left])
            code = training.wait()
            print(f"attempt {number} ended with {code}", flush=True)
            if code in (0, _USAGE) or asked:
                break
    return code


def attempts(arguments: list[str], log: Path) -> Iterator[list[str]]:
    """The arguments of one attempt after the other, as long as each fails.

    One that came to steps has met with an accident and is repeated. After one that did not, the next does
    without the compiler, and the next with a single card.

    :param log: of the run.
    """
    lines = _lines(log)
    for _ in range(_MOST_ATTEMPTS):
        yield arguments
        if _lines(log) > lines:
            lines = _lines(log)
        elif "--compiler" in arguments:
            place = arguments.index("--compiler")
            arguments = arguments[:place] + arguments[place + 2 :]
        else:
            arguments = [*_without_cards(arguments), "--cards", "1"]


def _lines(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def _without_cards(arguments: list[str]) -> list[str]:
    if "--cards" not in arguments:
        return arguments
    place = arguments.index("--cards")
    return arguments[:place] + arguments[place + 2 :]


def _with_seconds_left(arguments: list[str], passed: float) -> list[str] | None:
    """The arguments with ``--seconds`` less those that have passed; None if too few are left."""
    if "--seconds" not in arguments:
        return arguments
    place = arguments.index("--seconds") + 1
    left = float(arguments[place]) - passed
    if left < _LEAST_S < passed:
        return None
    return [*arguments[:place], f"{left:.0f}", *arguments[place + 1 :]]


def _watcher(files: Files) -> int | None:
    """The watcher's process id, if it runs."""
    if not files.process.exists():
        return None
    number = int(files.process.read_text())
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{number}/cmdline").read_text().split("\0")
    except OSError:
        return None
    # A number may have been given to another process; one that nobody waits for stays as a zombie.
    return number if state != "Z" and "watch" in command else None
