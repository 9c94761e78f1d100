"""UTF-8 bytes of tokens.

The vocabulary is byte-level, as GPT-2's: a token's name spells its bytes with one printable character each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Bytes that are spelled by the character of the same number: those that print in Latin-1
#: (``bytes_to_unicode`` of GPT-2's encoder.py). The others are spelled by characters from U+0100, in order.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))


def _byte_of_character() -> dict[str, int]:
    others = (byte for byte in range(256) if byte not in _PRINTABLE)
    spelled = {chr(0x100 + number): byte for number, byte in enumerate(others)}
    return spelled | {chr(byte): byte for byte in _PRINTABLE}


_BYTE = _byte_of_character()


def token_bytes(name: str) -> bytes:
    """Return the UTF-8 bytes of a token.

    :param name: as the vocabulary spells it; special tokens such as ``<|ref|>`` spell themselves.
    """
    try:
        return bytes([_BYTE[character] for character in name])
    except KeyError:
        # Names of special tokens may have characters that spell no byte.
        return name.encode()


class TokenPieces:
    """The UTF-8 bytes of token ids.

    :param names: returns the vocabulary's names of ids, None for ids without a token.
    """

    def __init__(self, names: Callable[[list[int]], Sequence[str | None]]) -> None:
        self._names = names
        self._known: dict[int, bytes] = {}

    def __call__(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return the bytes of each token; ids without a token have none.

        :param ids: token ids.
        """
        unknown = list({each for each in ids if each not in self._known})
        for each, name in zip(unknown, self._names(unknown), strict=True):
            # The model may have more ids than the vocabulary.
            self._known[each] = token_bytes(name) if name is not None else b""
        return tuple(self._known[each] for each in ids)
