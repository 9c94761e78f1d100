"""TIFF files as Pillow opens them, with the directories that are pages, and samples as they are stored."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from airflow_deepseek_ocr.ocr.documents.raster.sample_range import StoredSamples

#: Tags (TIFF 6.0; 330 is from supplement 1).
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _WIDTH, _HEIGHT = 254, 255, 256, 257
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _COLOUR_MAP, _SUB_IFDS, _SAMPLE_FORMAT = (
    258,
    262,
    281,
    320,
    330,
    339,
)

#: NewSubfileType: a smaller version of another image of the file, and a transparency mask.
_REDUCED, _MASK = 1, 4
#: The value of the older SubfileType for a smaller version.
_OLD_REDUCED = 2
#: PhotometricInterpretation.
_MIN_IS_WHITE, _MIN_IS_BLACK, _PALETTE, _MASK_VALUES = 0, 1, 3, 4
#: SampleFormat.
_UNSIGNED, _SIGNED, _REAL, _UNDEFINED = 1, 2, 3, 4

#: A directory may begin behind the header (TIFF 6.0, section 2).
_HEADER_BYTES = 8

#: Directories below one directory that are considered. Cameras write up to 4, pyramids up to 12.
_MOST_SUB_IFDS = 32

# Samples of 12 bits are packed alike in both byte orders (TIFF 6.0, FillOrder); Pillow knows one of them.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 1, (1,), 1, (12,), ()), ("I;16", "I;12"))


#: Unpacking in the file's byte order, and in the machine's.
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}


@dataclass(frozen=True)
class _Directory:
    """An image of the file.

    :param frame: its index among Pillow's frames.
    :param kind: bits of NewSubfileType.
    :param pixels: its width times its height.
    """

    frame: int
    kind: int
    pixels: int


class TiffPages(TiffImageFile):
    """A TIFF file whose pages can be selected.

    Thumbnails, pyramids and masks are no pages. A file that has nothing else has them as pages.

    :ivar page_frames: the frames that are pages.
    :ivar samples: how the samples of the current frame are stored.
    """

    page_frames: list[int]
    samples: StoredSamples

    def __init__(self, file: BinaryIO) -> None:
        self._skims = True
        self.samples = StoredSamples()
        super().__init__(file)
        directories = self._directories()
        if not any(each.pixels for each in directories):
            raise SyntaxError("no directory of the TIFF has an image")
        self.page_frames = _pages(directories)
        self._skims = False

    def select(self, frame: int) -> None:
        """Make a frame the current image, not yet decoded."""
        self._im = None
        self._seek(frame)

    def _directories(self) -> list[_Directory]:
        """Return the images of the file without decoding them."""
        found: list[_Directory] = []
        below: list[int] = []
        while True:
            frame = len(found)
            try:
                self._seek(frame)
            except EOFError:
                break
            except (OSError, ValueError, struct.error):
                # No later directory can be found. The page fails when it is selected.
                found.append(_Directory(frame, 0, 0))
                break
            found.append(self._directory(frame))
            below += self._tag_values(_SUB_IFDS)[:_MOST_SUB_IFDS]
        if any(not each.kind & (_REDUCED | _MASK) for each in found):
            return found
        # Cameras put a thumbnail into the first directory and the photograph below it (TIFF/EP, DNG).
        return found + self._sub_directories(len(found), below)

    def _sub_directories(self, frame: int, offsets: list[int]) -> list[_Directory]:
        found: list[_Directory] = []
        for offset in offsets:
            if offset < _HEADER_BYTES or offset in self._frame_pos:
                continue
            # Pillow itself opens them like this (Image.get_child_images).
            self._frame_pos.append(offset)
            if hasattr(self, "_tag_data_limits"):  # from Pillow 13 on
                self._tag_data_limits.append(self._tag_data_remaining)
            at = frame + len(found)
            try:
                self._seek(at)
                directory = self._directory(at)
            except (OSError, ValueError, struct.error):
                directory = _Directory(at, _MASK, 0)
            # Of a file with a page nothing is lost where an offset points to something else.
            found.append(directory if directory.pixels else _Directory(at, _MASK, 0))
        return found

    def _directory(self, frame: int) -> _Directory:
        kind = self._tag_values(_NEW_SUBFILE_TYPE)[:1]
        if not kind and self._tag_values(_SUBFILE_TYPE)[:1] == [_OLD_REDUCED]:
            kind = [_REDUCED]
        if self._tag_values(_PHOTOMETRIC)[:1] == [_MASK_VALUES]:
            kind = [_MASK]
        width, height = (self._tag_values(tag)[:1] or [0] for tag in (_WIDTH, _HEIGHT))
        return _Directory(frame, kind[0] if kind else 0, width[0] * height[0])

    def _tag_values(self, tag: int) -> list[int]:
        """Return the whole numbers of a tag; none if it is absent or damaged."""
        try:
            value: Any = self.tag_v2.get(tag, ())
        except (ValueError, TypeError, struct.error):
            return []
        values = value if isinstance(value, tuple) else (value,)
        return [each for each in values if isinstance(each, int)]

    def _setup(self) -> None:
        """Prepare decoding, as Pillow calls it for each directory that it has read."""
        if self._skims:
            # Without mode and size Pillow takes the file for damaged.
            self._mode, self._size, self.tile = "L", (1, 1), []
            return
        self.samples = self._stored_samples()
        if self.samples.min_is_white:
            # Pillow inverts some depths. The values as they are stored are the same for all.
            self.tag_v2[_PHOTOMETRIC] = _MIN_IS_BLACK
        if self._tag_values(_BITS)[:1] == [32] and not self.samples.is_real:
            # Both byte orders are known for signed samples only; the bits are the same.
            self.tag_v2[_SAMPLE_FORMAT] = (_SIGNED,)
        elif self._tag_values(_SAMPLE_FORMAT)[:1] == [_UNDEFINED]:
            self.tag_v2[_SAMPLE_FORMAT] = (_UNSIGNED,)
        self._mend_colour_map()
        super()._setup()
        self._expect_native_order()

    def _stored_samples(self) -> StoredSamples:
        bits = self._tag_values(_BITS)
        photometric = self._tag_values(_PHOTOMETRIC)[:1] or [_MIN_IS_WHITE]
        form = self._tag_values(_SAMPLE_FORMAT)[:1]
        is_grey = (
            len(bits) == 1 and bits[0] >= 8 and photometric[0] in (_MIN_IS_WHITE, _MIN_IS_BLACK)
        )
        if not is_grey:
            return StoredSamples(bits=max(bits, default=1))
        return StoredSamples(
            bits=bits[0],
            is_signed=form == [_SIGNED],
            is_real=form == [_REAL],
            min_is_white=photometric[0] == _MIN_IS_WHITE,
            max_sample=next(iter(self._tag_values(_MAX_SAMPLE)), None),
        )

    def _mend_colour_map(self) -> None:
        """Scale a colour map of 8 bits, which some programs write, to the 16 bits of the specification."""
        if self._tag_values(_PHOTOMETRIC)[:1] == [_PALETTE]:
            colours = self._tag_values(_COLOUR_MAP)
            if colours and max(colours) < 256:
                self.tag_v2[_COLOUR_MAP] = tuple(colour * 257 for colour in colours)

    def _expect_native_order(self) -> None:
        """Unpack samples that libtiff decodes in this machine's byte order; Pillow expects the file's."""
        if self.use_load_libtiff:
            self.tile = [
                each._replace(args=(_NATIVE.get(each.args[0], each.args[0]), *each.args[1:]))
                for each in self.tile
                if isinstance(each.args, tuple)
            ]


def _pages(directories: list[_Directory]) -> list[int]:
    """Return the frames that are pages."""
    whole = [each for each in directories if not each.kind & (_REDUCED | _MASK)]
    largest = max((each.pixels for each in whole), default=0)
    # A version of another image that is not smaller than any of them is a page that is marked wrongly.
    pages = [
        each
        for each in directories
        if each in whole
        or (each.kind & _REDUCED and not each.kind & _MASK and each.pixels >= largest)
    ]
    pages = pages or [each for each in directories if not each.kind & _MASK] or directories
    return [each.frame for each in pages]
