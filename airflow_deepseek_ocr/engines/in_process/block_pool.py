"""Which blocks of the key-value cache belong to which slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Columns of a block: keys and values that the fused kernel reads or skips together (flex attention's
#: own default).
BLOCK = 128
#: The block that belongs to nobody: what slots that are done write goes there.
NULL_BLOCK = 0


@dataclass(frozen=True)
class Grant:
    """A block that a slot gets.

    :param slot: the slot.
    :param place: the block's place in the slot's row: 0 holds the first columns.
    :param block: its number in the cache.
    """

    slot: int
    place: int
    block: int


class BlockPool:
    """Hands out blocks as pages grow, so that a page takes what it has written and not what it might.

    :param blocks: in the cache, :data:`SCRAP` among them.
    """

    def __init__(self, blocks: int) -> None:
        self._free = list(range(blocks - 1, NULL_BLOCK, -1))
        self._held: dict[int, list[int]] = {}

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    def grant(self, columns: Mapping[int, int]) -> list[Grant] | None:
        """Blocks for so many columns of each slot, besides those it has; None if they are not there.

        :param columns: by slot.
        """
        missing = {
            slot: count_blocks(wanted) - len(self._held.get(slot, ()))
            for slot, wanted in columns.items()
        }
        if sum(max(0, number) for number in missing.values()) > len(self._free):
            return None
        grants = []
        for slot, number in missing.items():
            held = self._held.setdefault(slot, [])
            for _ in range(number):
                block = self._free.pop()
                grants.append(Grant(slot, len(held), block))
                held.append(block)
        return grants

    def release(self, slot: int) -> None:
        """Take back all that a slot holds."""
        self._free.extend(reversed(self._held.pop(slot, [])))


def count_blocks(columns: int) -> int:
    """Blocks that so many columns take."""
    return -(-columns // BLOCK)
