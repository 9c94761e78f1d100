"""Coroutines in a thread, and blocking functions in threads that hold up no exit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread, run_in_daemon_thread


def test_coroutines_run_in_another_thread() -> None:
    async def thread() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    async def fail() -> None:
        raise OSError("the connection is gone")

    with EventLoopThread() as loop:
        first, second = loop.start(thread()).result(10), loop.start(thread()).result(10)
        with pytest.raises(OSError, match="connection is gone"):
            loop.start(fail()).result(10)
    assert first == second != threading.get_ident()


def test_cancelling_the_future_cancels_the_coroutine() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with EventLoopThread() as loop:
        future = loop.start(wait())
        assert begun.wait(10)
        future.cancel()
        assert cancelled.wait(10)


def test_leaving_cancels_what_still_runs_and_ends_the_thread() -> None:
    begun, cleaned = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    async def wait() -> None:
        threads.append(threading.current_thread())
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    with EventLoopThread() as loop:
        future = loop.start(wait())
        assert begun.wait(10)
    assert cleaned.is_set()
    with pytest.raises(CancelledError):
        future.result(10)
    assert not threads[0].is_alive()


def test_finish_waits_for_the_cleaning_up() -> None:
    done: list[int] = []

    async def clean_up() -> None:
        await asyncio.sleep(0)
        done.append(1)

    with EventLoopThread() as loop:
        loop.finish(clean_up())
        assert done == [1]


def test_a_loop_that_was_never_left_does_not_block_the_exit() -> None:
    code = (
        "import asyncio\n"
        "from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread\n"
        "def pages():\n"
        "    with EventLoopThread() as loop:\n"
        "        loop.start(asyncio.sleep(1000))\n"
        "        yield 1\n"
        "generator = pages()\n"
        "print(next(generator))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_a_blocking_function_leaves_the_loop_free() -> None:
    gate = threading.Event()

    def block() -> int:
        assert gate.wait(10)
        return threading.get_ident()

    async def open_it() -> int:
        waiting = asyncio.ensure_future(run_in_daemon_thread(block))
        await asyncio.sleep(0)  # the loop runs on while the function blocks
        gate.set()
        return await waiting

    assert asyncio.run(open_it()) != threading.get_ident()


def test_the_error_of_a_blocking_function_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_daemon_thread(lambda: 1 // 0))


def test_a_cancelled_caller_does_not_wait_for_the_function() -> None:
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        assert gate.wait(10)
        ended.set()

    async def cancel() -> None:
        waiting = asyncio.ensure_future(run_in_daemon_thread(block))
        while not begun.is_set():
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    assert not ended.is_set()
    gate.set()  # its result is dropped: the loop is closed
    assert ended.wait(10)
