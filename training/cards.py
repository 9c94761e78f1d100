"""The GPUs of one machine as one trainer: a process for each, gradients averaged between them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

#: NVLink multicast stays off: on a host that several machines share, it can put GPUs out of service for
#: all of them, and gradients of this size gain nothing from it.
_ENVIRONMENT = {
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
}
#: How long a process waits for the others before it ends with an error that names the call: longer than
#: compiling and measuring take on the slowest of them.
_PATIENCE = timedelta(minutes=3)


class Cards:
    """One process's view of all of them.

    :param rank: number of this process, from 0; the first writes logs and files.
    :param count: how many processes.
    :param device: this process's torch device.
    """

    def __init__(self, rank: int = 0, count: int = 1, device: str | None = None) -> None:
        self.rank, self.count = rank, count
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # Clocks and flags go over the CPU: a word through the GPU would wait for all steps in its queue.
        self._words = dist.new_group(backend="gloo", timeout=_PATIENCE) if count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process writes logs and files."""
        return self.rank == 0

    def average(self, tensor: torch.Tensor) -> None:
        """Make a tensor the mean of all processes', in place.

        :param tensor: of one shape everywhere.
        """
        if self.count > 1:
            dist.all_reduce(tensor)
            tensor /= self.count

    def copy_first(self, tensors: list[torch.Tensor]) -> None:
        """Overwrite tensors with the first process's.

        :param tensors: of the same shapes everywhere.
        """
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The first process's numbers, in all of them.

        :param numbers: as many everywhere.
        """
        if self._words is None:
            return numbers
        shared = torch.tensor(numbers, dtype=torch.float64)
        dist.broadcast(shared, 0, group=self._words)
        return tuple(shared.tolist())


def count_cards() -> int:
    """How many processes a training has by default: one for each GPU, or one without any."""
    return max(1, torch.cuda.device_count())


def on_cards(count: int, task: Callable[[Cards, Any], None], argument: Any) -> None:
    """Run a task in a process for each card; return when all have ended.

    With one card it runs in this process. If one process fails, the others are ended.

    :param count: how many; without a GPU so many processes share the CPU.
    :param task: a function of a module, called with its cards and ``argument``.
    :param argument: something that can be pickled.
    :raises ValueError: if there are fewer GPUs.
    :raises torch.multiprocessing.ProcessRaisedException: with the failed process's traceback.
    """
    os.environ.update(_ENVIRONMENT)
    gpus = torch.cuda.device_count()
    if count < 1 or (gpus and count > gpus):
        raise ValueError(
            f"{count} cards are asked for and there are {gpus}: use --cards 1 to {gpus}"
        )
    if count == 1:
        task(Cards(), argument)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = spawn(_process, (count, port, gpus > 0, task, argument), nprocs=count, join=False)

    def tell_all() -> None:
        for number in processes.pids():
            os.kill(number, signal.SIGTERM)

    with on_termination(tell_all):
        while not processes.join():
            pass


@contextmanager
def on_termination(do: Callable[[], None]) -> Iterator[None]:
    """Do something instead of ending when SIGTERM comes, for as long as the context lasts.

    Without effect outside a process's main thread, where Python handles signals.

    :param do: called between two instructions of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: do())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _process(
    rank: int,
    count: int,
    port: int,
    gpus: bool,
    task: Callable[[Cards, Any], None],
    argument: Any,
) -> None:
    device = f"cuda:{rank}" if gpus else "cpu"
    if gpus:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl" if gpus else "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=count,
        timeout=_PATIENCE,
        device_id=torch.device(device) if gpus else None,
    )
    try:
        task(Cards(rank, count, device), argument)
    finally:
        dist.destroy_process_group()
