"""Ownership of the blocks of the key-value cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Columns of a block: keys and values that the fused kernel reads or skips together (flex attention's
#: own default).
BLOCK = 128
#: The block that no slot owns: slots that are done write to it.
NULL_BLOCK = 0


@dataclass(frozen=True)
class Grant:
    """A block allocated to a slot.

    :param slot: the slot.
    :param index: the block's index in the slot's row: 0 holds the first columns.
    :param block: its number in the cache.
    """

    slot: int
    index: int
    block: int


class BlockPool:
    """Allocates blocks as pages grow, so memory is used per generated token, not per longest page.

    :param blocks: blocks of the cache, :data:`NULL_BLOCK` included.
    """

    def __init__(self, blocks: int) -> None:
        self._free = list(range(blocks - 1, NULL_BLOCK, -1))
        self._held: dict[int, list[int]] = {}

    @property
    def free(self) -> int:
        """Number of blocks that no slot holds."""
        return len(self._free)

    def grant(self, columns: Mapping[int, int]) -> list[Grant] | None:
        """Allocate the blocks that slots lack; return None, and change nothing, if too few are free.

        :param columns: columns that each slot needs in all, by slot.
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
        """Free all blocks of a slot."""
        self._free.extend(reversed(self._held.pop(slot, [])))


class OwnBlocks:
    """The same for slots that have all their blocks to themselves, one after the other.

    Nothing is shared, so that a slot's columns lie in a row and are read where they are.

    :param slots: number of slots.
    :param row_blocks: blocks of each slot.
    """

    def __init__(self, slots: int, row_blocks: int) -> None:
        self._all, self._row_blocks = slots * row_blocks, row_blocks
        self._held: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Number of blocks that no slot holds."""
        return self._all - sum(self._held.values())

    def grant(self, columns: Mapping[int, int]) -> list[Grant] | None:
        """Allocate the blocks that slots lack; return None, and change nothing, if one has too few.

        :param columns: columns that each slot needs in all, by slot.
        """
        wanted = {slot: count_blocks(number) for slot, number in columns.items()}
        if any(number > self._row_blocks for number in wanted.values()):
            return None
        grants = []
        for slot, number in wanted.items():
            first = NULL_BLOCK + 1 + slot * self._row_blocks
            held = self._held.get(slot, 0)
            grants += [Grant(slot, index, first + index) for index in range(held, number)]
            self._held[slot] = max(held, number)
        return grants

    def release(self, slot: int) -> None:
        """Free all blocks of a slot."""
        self._held.pop(slot, None)


def count_blocks(columns: int) -> int:
    """Return the number of blocks for this many columns."""
    return -(-columns // BLOCK)
