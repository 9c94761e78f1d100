"""How many pages fit into the device's free memory: slots, vision batches and cache blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_deepseek_ocr.engines.in_process.block_pool import BLOCK

#: Pages at once on a CPU; more share the same cores and finish no sooner.
CPU_SLOTS = 4
#: Most slots: 384 instead of 256 took 2,500 pages of 795 tokens in base mode from 29.8 to 32.1 a second on an
#: H200, at the published size; pages wait longer for each other the more there are.
MAX_SLOTS = 384
#: Most pages whose views go through the vision tower together; twice as many make it a tenth faster in gundam
#: mode, and those that are being written wait for them.
MAX_VISION_PAGES = 8
#: Share of the free memory that is left to the vision tower, the prompts and the allocator; and the least
#: that they need for a page.
_RESERVE, _MIN_RESERVE = 0.25, 400_000_000
#: Tokens of a page's text that are written at a time, on average: half of a text of 800; and the share by
#: which pages hold more columns of the cache than that, since they do not end evenly.
_TEXT_TOKENS, _UNEVEN = 400, 4 / 3
#: Share of the available memory that the engine uses where CPU and GPU share one memory. The other half is
#: for the operating system, the tasks that render pages, databases and the page cache: without swap, a host
#: that runs out of shared memory hangs instead of raising an error. Estimated, not measured on such a host.
_UNIFIED_SHARE = 0.5
#: Numbers in the keys of one layer that 32 bits can count. With more of them, as a card of 141 GB has room
#: for, torch 2.11 writes a kernel of flex attention that triton refuses to compile (64 bits here, 32 there).
_MAX_NUMBERS = 2**31 - 1


@dataclass(frozen=True)
class Capacity:
    """Numbers of pages and blocks that are in progress at once.

    :param slots: pages whose text is being written.
    :param vision_pages: pages that go through the vision tower together.
    :param blocks: of the key-value cache; None for as many as all slots can fill.
    """

    slots: int
    vision_pages: int
    blocks: int | None = None


def unified_budget(available_bytes: int) -> int:
    """Return the bytes that the engine may use of a memory that CPU and GPU share.

    On such hosts (NVIDIA GB10) CUDA reports the kernel's ``MemFree``, which counts cached files as used; the
    weights that were just read are cached files.

    :param available_bytes: ``MemAvailable`` of the host, which counts cached files as available.
    """
    return int(available_bytes * _UNIFIED_SHARE)


@dataclass(frozen=True)
class Occupancy:
    """What a call of the engine uses now.

    :param slots: pages that can be decoded at once.
    :param running: pages that are decoded now.
    :param blocks: blocks of the key-value cache.
    :param used_blocks: those that pages hold.
    """

    slots: int = 0
    running: int = 0
    blocks: int = 0
    used_blocks: int = 0


def capacity(
    *,
    free_bytes: int | None,
    column_bytes: int,
    key_size: int,
    row_blocks: int,
    page_prompt: int,
    vision_bytes: int,
    limit: int | None,
) -> Capacity:
    """Return how many pages fit.

    :param free_bytes: the GPU's free memory with the model loaded, or :func:`unified_budget`; None on a CPU,
        which gives memory when it is written to.
    :param column_bytes: size of a token's keys and values in all layers.
    :param key_size: numbers in a token's keys of one layer.
    :param row_blocks: blocks of the longest page; the cache never has fewer.
    :param page_prompt: tokens of the prompt of a usual page in the mode with the most tokens, image included.
    :param vision_bytes: what the views of the largest page take in the vision tower.
    :param limit: most pages at once, set by the user; None for no limit.
    """
    if free_bytes is None:
        slots = limit or CPU_SLOTS
        return Capacity(slots, min(slots, CPU_SLOTS))
    reserve = max(_MIN_RESERVE, int(free_bytes * _RESERVE))
    # The cache has one more block, the null block.
    countable = _MAX_NUMBERS // (BLOCK * key_size) - 1
    blocks = max(row_blocks, min((free_bytes - reserve) // (BLOCK * column_bytes), countable))
    page_blocks = math.ceil((page_prompt + _TEXT_TOKENS) * _UNEVEN / BLOCK)
    slots = max(1, min(blocks // page_blocks, limit or MAX_SLOTS))
    pages = max(1, min(reserve // vision_bytes, MAX_VISION_PAGES, slots))
    return Capacity(slots, pages, min(blocks, slots * row_blocks))
