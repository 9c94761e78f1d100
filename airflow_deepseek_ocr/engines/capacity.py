"""How many pages fit: slots and chunks from the device's free memory."""

from __future__ import annotations

from dataclasses import dataclass

#: Pages at once on a CPU, where more only wait for each other.
CPU_SLOTS = 4
#: Most slots: a step of 256 takes 1.8 times as long as one of 64, measured on one H200 at the
#: published size; beyond, pages wait longer for each other than they gain.
MOST_SLOTS = 256
#: Most pages whose views go through the vision tower together; twice as many make it a tenth faster in gundam
#: mode, and those that are being written wait for them.
MOST_PAGES_IN_VISION = 8
#: What a page's views take in the vision tower at the published size, in bytes: 9 tiles and a view
#: of 1024 pixels with their activations in bfloat16.
_VISION_BYTES_PER_PAGE = 1_200_000_000
#: Share of the free memory that is left to the vision tower, the prompts and the allocator.
_RESERVE = 0.25


@dataclass(frozen=True)
class Capacity:
    """What is worked on at once.

    :param slots: pages whose text is being written.
    :param vision_pages: pages that go through the vision tower together.
    """

    slots: int
    vision_pages: int


def capacity(free_bytes: int | None, row_bytes: int, limit: int | None) -> Capacity:
    """What fits.

    :param free_bytes: the GPU's free memory with the model loaded; None on a CPU.
    :param row_bytes: what a slot takes in the key-value cache.
    :param limit: most pages at once, as the user set it; None leaves it open.
    """
    if free_bytes is None:
        slots = limit or CPU_SLOTS
        return Capacity(slots, min(slots, CPU_SLOTS))
    reserve = int(free_bytes * _RESERVE)
    slots = max(1, min((free_bytes - reserve) // row_bytes, limit or MOST_SLOTS))
    pages = max(1, min(reserve // _VISION_BYTES_PER_PAGE, MOST_PAGES_IN_VISION, slots))
    return Capacity(slots, pages)
