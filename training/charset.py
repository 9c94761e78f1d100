"""The characters that pages are printed with and the small checkpoint can spell."""

from __future__ import annotations

#: Everything that a page may contain, apart from the space: what keyboards of western Europe
#: write, and the punctuation of typeset text. Every font has a glyph for each of them.
CHARSET = (
    "".join(map(chr, range(0x21, 0x7F)))
    + "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœ"
    + "€£¥§©®°±·•–—‘’“”…×½¼²³«»¿¡"
)
