"""Characters of a PDF page that the page shows.

A page can contain text that it does not show: switched-off layers, invisible and transparent text, text
clipped away, outside of the page, in the colour of its background or under a picture. PDFium extracts all of
it. The page is rendered again without its text. A character is visible if the pixels at its place change.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.ocr.documents.pdf_content.pdfium_calls import (
    address_of,
    get_char_box,
    get_text_object,
    get_unicode,
    is_generated,
    page_object,
)

#: Smallest difference of a colour channel (0 to 255) that shows a character: half of ``MIN_EDGE`` of the
#: quality checks, as anti-aliasing halves thin lines.
_MIN_DIFFERENCE = 16
#: Pixels of the compared images, at most: A4 at 150 dpi. Larger pages are compared at a smaller scale: the
#: comparison takes about 60 MB.
_MAX_COMPARED_PIXELS = 2_200_000
#: Share of an object's place that other text takes, from which they are compared one after the other.
_OVERLAP = 0.3
#: Comparisons of a page, at most: pages in several languages have a layer for each at the same place.
_MAX_COMPARISONS = 6
#: Pixels of the image to a field of the map of occupied places.
_FIELD = 4
#: Share of visible characters from which all characters of an object inside of the page are visible: thin
#: characters such as full stops can be lost in a small image.
_MOSTLY = 0.8
#: Rows that are compared at once; 64 of A4 at 144 dpi take 300 kB.
_BAND_ROWS = 64
_INVISIBLE_MODES = frozenset(
    {pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP}
)


@dataclass(frozen=True)
class Characters:
    """The characters of a page, one element each in the order of the file.

    :param text: the characters.
    :param printed: whether the character has a place; white space and what PDFium inserted have none.
    :param objects: number of the text object that draws the character; -1 without one.
    :param points: left, top, right and bottom in points of the page, shape (n, 4); 0 without a place.
    :param pixels: the same in pixels of the page image; may lie outside.
    :param handles: the text objects.
    """

    text: list[str]
    printed: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.int64]
    points: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.float64]
    handles: list[pdfium.FPDF_PAGEOBJECT]


@dataclass(frozen=True)
class Visibility:
    """The visible characters of a page.

    :param visible: whether the page shows the character; white space follows the character before it.
    :param outside: whether the character lies outside of the page.
    """

    visible: npt.NDArray[np.bool_]
    outside: npt.NDArray[np.bool_]


def read_characters(textpage: pypdfium2.PdfTextPage, positions: pypdfium2.PdfPosConv) -> Characters:
    """Return the characters of a page with their places.

    :param textpage: the text of the page.
    :param positions: converts the coordinates of the page to those of its image.
    """
    page, count = address_of(textpage), textpage.count_chars()
    codes = [get_unicode(page, index) for index in range(count)]
    text = [chr(code) if 0 < code <= 0x10FFFF else "\ufffd" for code in codes]
    boxes = np.zeros((count, 4))
    objects = np.full(count, -1, dtype=np.int64)
    numbers: dict[int, int] = {}
    first, row, side = boxes.ctypes.data, boxes.strides[0], boxes.itemsize
    for index, character in enumerate(text):
        if character.isspace() or is_generated(page, index) == 1:
            continue
        address, left = get_text_object(page, index), first + index * row
        right, bottom, top = left + 2 * side, left + 3 * side, left + side
        if not address or not get_char_box(page, index, left, right, bottom, top):
            continue
        objects[index] = numbers.setdefault(address, len(numbers))
    handles = [page_object(address) for address in numbers]
    pixels = _to_pixels(boxes, positions)
    return Characters(text, objects >= 0, objects, boxes, pixels, handles)


def find_visible(
    page: pypdfium2.PdfPage, bitmap: pypdfium2.PdfBitmap, scale: float, characters: Characters
) -> Visibility:
    """Return which characters the page shows.

    The text objects of the page are inactive afterwards: it must not be rendered again.

    :param page: the page.
    :param bitmap: its image.
    :param scale: pixels per point of the image.
    :param characters: its characters.
    """
    width, height = bitmap.width, bitmap.height
    pixels = characters.pixels
    outside = characters.printed & (
        (pixels[:, 2] <= 0)
        | (pixels[:, 3] <= 0)
        | (pixels[:, 0] >= width)
        | (pixels[:, 1] >= height)
    )
    visible = np.zeros(len(characters.text), dtype=bool)
    groups = _groups(characters, outside, (width, height))
    if groups:
        visible |= _compare(page, bitmap, scale, characters, groups)
    visible &= ~outside
    _round_up(visible, characters, outside)
    return Visibility(_with_spaces(visible, characters.printed), outside)


def _to_pixels(
    boxes: npt.NDArray[np.float64], positions: pypdfium2.PdfPosConv
) -> npt.NDArray[np.float64]:
    """Return boxes (left, top, right, bottom in points) in pixels; the conversion is affine."""
    reach = 10_000
    origin, right, up = (
        np.array(positions.to_bitmap(*point), dtype=float)
        for point in ((0, 0), (reach, 0), (0, reach))
    )
    x, y = (right - origin) / reach, (up - origin) / reach
    corners = [origin + boxes[:, [i]] * x + boxes[:, [j]] * y for i, j in ((0, 1), (2, 3))]
    # Rotation of the page swaps the corners.
    return np.hstack([np.minimum(*corners), np.maximum(*corners)])


def _groups(
    characters: Characters, outside: npt.NDArray[np.bool_], size: tuple[int, int]
) -> list[list[int]]:
    """Return text objects that may be visible, in groups without objects at the same place."""
    occupied = np.zeros((size[1] // _FIELD + 1, size[0] // _FIELD + 1), dtype=np.int8)
    groups: dict[int, list[int]] = defaultdict(list)
    for number, (x1, y1, x2, y2) in _places(characters, outside).items():
        mode = pdfium.FPDFTextObj_GetTextRenderMode(characters.handles[number])
        if mode in _INVISIBLE_MODES:
            continue
        place = occupied[
            max(0, int(y1)) // _FIELD : max(0, int(y2)) // _FIELD + 1,
            max(0, int(x1)) // _FIELD : max(0, int(x2)) // _FIELD + 1,
        ]
        group = 1
        if np.count_nonzero(place) > _OVERLAP * place.size:
            group = min(_MAX_COMPARISONS, int(place.max()) + 1)
        np.maximum(place, group, out=place)
        groups[group].append(number)
    return [groups[group] for group in sorted(groups)]


def _places(
    characters: Characters, outside: npt.NDArray[np.bool_]
) -> dict[int, npt.NDArray[np.float64]]:
    """Return the place of each text object of which a part is inside of the page."""
    inside = np.flatnonzero(characters.printed & ~outside)
    if not len(inside):
        return {}
    inside = inside[np.argsort(characters.objects[inside], kind="stable")]
    objects = characters.objects[inside]
    # Not numpy.unique, which imports modules when it is first called.
    starts = np.flatnonzero(np.diff(objects, prepend=-1))
    boxes = characters.pixels[inside]
    low = np.minimum.reduceat(boxes[:, :2], starts)
    high = np.maximum.reduceat(boxes[:, 2:], starts)
    # Numbers ascend in the order of the file, which decides which of two texts at one place is upper.
    return dict(zip(objects[starts].tolist(), np.hstack([low, high]), strict=True))


def _compare(
    page: pypdfium2.PdfPage,
    bitmap: pypdfium2.PdfBitmap,
    scale: float,
    characters: Characters,
    groups: list[list[int]],
) -> npt.NDArray[np.bool_]:
    """Return the characters at whose place the image changes when their object is left out.

    Each group is left out in addition to those before it, lowest first. Of a text that is printed twice at
    one place, the upper one is then visible.
    """
    smaller = min(1.0, math.sqrt(_MAX_COMPARED_PIXELS / (bitmap.width * bitmap.height)))
    before = bitmap.to_numpy() if smaller == 1 else _rendered(page, scale * smaller)
    visible = np.zeros(len(characters.text), dtype=bool)
    for group in groups:
        for number in group:
            pdfium.FPDFPageObj_SetIsActive(characters.handles[number], False)
        after = _rendered(page, scale * smaller)
        mine = characters.printed & np.isin(characters.objects, group)
        visible[mine] = _changed_in(before, after, characters.pixels[mine] * smaller)
        before = after
    return visible


def _rendered(page: pypdfium2.PdfPage, scale: float) -> npt.NDArray[np.uint8]:
    bitmap = page.render(scale=scale, prefer_bgrx=True, rev_byteorder=True)
    try:
        # The array has the bitmap's memory, which Python allocates and PDFium does not free.
        return np.asarray(bitmap.to_numpy())
    finally:
        bitmap.close()


def _changed_in(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return for each box whether the images differ in it."""
    changed = _changed(before, after)
    height, width = changed.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    np.cumsum(changed, axis=1, dtype=np.int32, out=sums[1:, 1:])
    # Row by row: NumPy's own sum down the columns takes five times as long.
    for row in range(height):
        sums[row + 1] += sums[row]
    # Anti-aliasing spreads glyphs to the pixels that a box touches.
    x1, x2 = (np.clip(each, 0, width) for each in _touched(boxes[:, 0], boxes[:, 2]))
    y1, y2 = (np.clip(each, 0, height) for each in _touched(boxes[:, 1], boxes[:, 3]))
    return np.asarray(sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1] > 0)


def _changed(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return for each pixel whether a channel changed enough to show a character.

    :param before: of four channels, shape (height, width, 4).
    :param after: the same.
    """
    changed = np.empty(before.shape[:2], dtype=bool)
    # In bands that stay in the processor's cache.
    for top in range(0, len(changed), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        one, other = before[band], after[band]
        difference = np.maximum(one, other)
        difference -= np.minimum(one, other)
        # The four channels as one number, which is not 0 if any of them changed.
        np.not_equal((difference >= _MIN_DIFFERENCE).view(np.uint32)[:, :, 0], 0, out=changed[band])
    return changed


def _touched(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.floor(low).astype(np.int64), np.ceil(high).astype(np.int64) + 1


def _round_up(
    visible: npt.NDArray[np.bool_], characters: Characters, outside: npt.NDArray[np.bool_]
) -> None:
    """Make all characters of a mostly visible object visible, unless they are outside of the page."""
    inside = characters.printed & ~outside
    numbers = characters.objects[inside]
    size = len(characters.handles)
    shown = np.bincount(numbers, weights=visible[inside], minlength=size)
    mostly = shown >= _MOSTLY * np.maximum(1, np.bincount(numbers, minlength=size))
    visible[inside] |= mostly[numbers]


def _with_spaces(
    visible: npt.NDArray[np.bool_], printed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return ``visible`` where white space has the value of the printed character before it."""
    last = np.maximum.accumulate(np.where(printed, np.arange(len(printed)), -1))
    first = int(printed.argmax()) if printed.any() else 0
    return visible[np.where(last < 0, first, last)] if len(printed) else visible
