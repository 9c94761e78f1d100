"""Malformed images, and rare kinds of images."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from tests.corpus.documents.bombs import zeros
from tests.corpus.documents.raw_images import encoded, png, png_chunk, printed
from tests.corpus.documents.raw_tiff import Directory, tiff
from tests.corpus.documents.registry import malformed

DAMAGED = "damaged"


# PNG.


@malformed("truncated.png", ("damaged",))
def truncated_png() -> bytes:
    """The first half of a file: the upload was interrupted."""
    whole = encoded(Image.effect_noise((200, 200), 50), "PNG")
    return whole[: len(whole) // 2]


@malformed("only_signature.png", DAMAGED)
def only_signature() -> bytes:
    """The signature without content."""
    return b"\x89PNG\r\n\x1a\n"


@malformed("wrong_checksum.png", DAMAGED)
def wrong_checksum() -> bytes:
    """A flipped bit."""
    whole = bytearray(encoded(printed(), "PNG"))
    whole[20] ^= 1
    return bytes(whole)


@malformed("no_pixels.png", ("damaged",))
def no_pixels() -> bytes:
    """A header without pixels."""
    return png(50, 50, 8, 0, b"")


@malformed("of_no_size.png", DAMAGED)
def of_no_size() -> bytes:
    """Zero by zero pixels."""
    return png(0, 0, 8, 0, zeros(1))


@malformed("bomb.png", "too_many_pixels")
def bomb() -> bytes:
    """900 megapixels, compressed to a kilobyte."""
    return png(30_000, 30_000, 1, 0, zeros(1000))


@malformed("bomb_within_the_limit.png")
def bomb_within_the_limit() -> bytes:
    """64 megapixels of 16 bits with transparency, compressed to 256 KiB."""
    return png(8000, 8000, 16, 4, zeros(8000 * (8000 * 4 + 1)))


@malformed("deep_grey_within_the_limit.png")
def deep_grey_within_the_limit() -> bytes:
    """49 megapixels of 16 bits."""
    return png(7000, 7000, 16, 0, zeros(7000 * (7000 * 2 + 1)))


@malformed("comment_bomb.png", DAMAGED)
def comment_bomb() -> bytes:
    """A comment of 256 MiB, compressed to 256 KiB."""
    return png(9, 9, 8, 0, zeros(90), png_chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 28)))


@malformed("profile_bomb.png", DAMAGED)
def profile_bomb() -> bytes:
    """A colour profile of 256 MiB, compressed."""
    return png(9, 9, 8, 0, zeros(90), png_chunk(b"iCCP", b"p\0\0" + zeros(1 << 28)))


@malformed("grey_of_16_bits.png")
def grey_of_16_bits() -> bytes:
    """Grey with 16 bits a pixel."""
    return encoded(Image.fromarray(np.asarray(printed()).astype(np.uint16) * 257), "PNG")


@malformed("palette_with_transparency.png")
def palette_with_transparency() -> bytes:
    """256 colours, some of them half transparent."""
    image = printed().convert("P")
    return encoded(image, "PNG", transparency=bytes(range(256)))


@malformed("one_pixel.png")
def one_pixel() -> bytes:
    """The smallest possible image."""
    return encoded(Image.new("RGB", (1, 1)), "PNG")


@malformed("wide_as_a_tape.png")
def wide_as_a_tape() -> bytes:
    """20,000 x 1 pixels."""
    return encoded(Image.new("L", (20_000, 1), 255), "PNG")


@malformed("high_as_a_tower.png")
def high_as_a_tower() -> bytes:
    """3 x 30,000 pixels."""
    return encoded(Image.new("L", (3, 30_000), 255), "PNG")


@malformed("animated.png")
def animated_png() -> bytes:
    """Three frames; the first is read."""
    frames = [printed().rotate(90 * turn) for turn in range(3)]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])


# JPEG.


@malformed("truncated.jpg", ("damaged",))
def truncated_jpeg() -> bytes:
    """The first half of a file: the upload was interrupted."""
    whole = encoded(Image.effect_noise((200, 200), 50), "JPEG")
    return whole[: len(whole) // 2]


@malformed("only_signature.jpg", DAMAGED)
def only_signature_jpeg() -> bytes:
    """The signature without content."""
    return b"\xff\xd8\xff\xe0"


@malformed("cmyk.jpg")
def cmyk() -> bytes:
    """CMYK instead of RGB."""
    return encoded(printed().convert("CMYK"), "JPEG")


@malformed("progressive_with_rubbish_behind.jpg")
def progressive() -> bytes:
    """A progressive JPEG with HTML appended."""
    return encoded(printed(), "JPEG", progressive=True) + b"<html>404</html>" * 100


@malformed("turned_by_its_tags.jpg")
def turned_by_its_tags() -> bytes:
    """An orientation tag, as phones write it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(printed(), "JPEG", exif=exif)


@malformed("tags_of_noise.jpg")
def tags_of_noise() -> bytes:
    """Damaged EXIF tags and intact pixels."""
    return encoded(
        printed(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\xff" * 30
    )


@malformed("two_pictures.jpg")
def two_pictures() -> bytes:
    """A multi-picture file (MPO) of a phone; the first picture is read."""
    return encoded(printed(), "MPO", save_all=True, append_images=[printed(80, 60)])


# WebP, HEIF, and what is not read at all.


@malformed("truncated.webp", DAMAGED)
def truncated_webp() -> bytes:
    """The first half of a file: the upload was interrupted."""
    whole = encoded(Image.effect_noise((200, 200), 50), "WEBP", lossless=True)
    return whole[: len(whole) // 2]


@malformed("animated.webp")
def animated_webp() -> bytes:
    """Three frames; the first is read."""
    frames = [printed().rotate(90 * turn) for turn in range(3)]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=9)


@malformed("bomb.webp", "too_many_pixels")
def bomb_webp() -> bytes:
    """An empty canvas of 268 megapixels."""
    canvas = b"\0\0\0\0" + b"\xfe\x3f\0" * 2
    chunk = b"VP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@malformed("noise.heic", DAMAGED)
def noise_heic() -> bytes:
    """The header of a HEIC photograph, then noise."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(256)) * 20


@malformed("animated.gif", "unsupported_type")
def animated_gif() -> bytes:
    """GIF is not supported."""
    return encoded(printed(), "GIF", save_all=True, append_images=[printed().rotate(90)])


@malformed("bitmap.bmp", "unsupported_type")
def bitmap() -> bytes:
    """BMP is not supported."""
    return encoded(printed(), "BMP")


@malformed("drawing.svg", "unsupported_type")
def drawing() -> bytes:
    """SVG is not supported."""
    return b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'


# TIFF.


def _tiff(*frames: tuple[Image.Image, dict[str, object]]) -> bytes:
    """Return a TIFF; each frame has separate options."""
    buffer = io.BytesIO()
    from PIL import TiffImagePlugin

    with TiffImagePlugin.AppendingTiffWriter(buffer, new=True) as writer:
        for image, options in frames:
            image.save(writer, "TIFF", **options)
            writer.newFrame()
    return buffer.getvalue()


@malformed("pages_of_all_kinds.tiff", (None,) * 8)
def pages_of_all_kinds() -> bytes:
    """Pages in the sizes, depths and compressions of scanners, fax machines and microscopes."""
    grey = printed()
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    real = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    real.putpixel((0, 0), float("nan"))
    return _tiff(
        (grey.convert("1"), {"compression": "group4"}),
        (grey.resize((90, 300)).convert("1"), {"compression": "group3"}),
        (grey, {"compression": "tiff_lzw"}),
        (grey.convert("RGB"), {"compression": "jpeg"}),
        (deep, {}),
        (real, {}),
        (grey.convert("CMYK"), {"compression": "packbits"}),
        (grey.convert("P"), {"compression": "tiff_adobe_deflate"}),
    )


@malformed("negative_numbers.tiff")
def negative_numbers() -> bytes:
    """Signed 32-bit pixels."""
    return encoded(Image.fromarray(np.asarray(printed()).astype(np.int32) - 128), "TIFF")


def _directories(*offsets_of_next: int) -> bytes:
    """Return a TIFF of small grey pages.

    :param offsets_of_next: for each directory the number of the next one; -1 for none.
    """
    pixels = bytes(64)
    size = 2 + 9 * 12 + 4
    first = 8 + len(pixels)
    out = b"II*\0" + struct.pack("<I", first) + pixels
    values = (
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 8),
        (279, 64),
    )
    for following in offsets_of_next:
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values)
        at = first + following * size if following >= 0 else 0
        out += struct.pack("<H", len(values)) + entries + struct.pack("<I", at)
    return out


@malformed("directories_in_a_circle.tiff")
def directories_in_a_circle() -> bytes:
    """The directory of the next page is that of the first."""
    return _directories(0)


@malformed("directories_in_a_wide_circle.tiff", (None, None, None))
def directories_in_a_wide_circle() -> bytes:
    """The third page is followed by the first."""
    return _directories(1, 2, 0)


@malformed("directory_behind_the_end.tiff", DAMAGED)
def directory_behind_the_end() -> bytes:
    """The only directory is behind the end of the file."""
    return b"II*\0" + struct.pack("<I", 1 << 30) + bytes(40)


@malformed("second_page_behind_the_end.tiff", (None, "damaged"))
def second_page_behind_the_end() -> bytes:
    """The pixels of the second page are missing."""
    whole = _tiff((printed(), {}), (printed(), {}))
    return whole[: len(whole) - 20_000]


@malformed("second_page_too_large.tiff", (None, "too_many_pixels", None))
def second_page_too_large() -> bytes:
    """The second of three pages declares a huge size."""
    whole = bytearray(_directories(1, 2, -1))
    second = 8 + 64 + (2 + 9 * 12 + 4) + 2
    for entry in range(2):
        struct.pack_into("<I", whole, second + 12 * entry + 8, 40_000)
    return bytes(whole)


@malformed("no_entries.tiff", DAMAGED)
def no_entries() -> bytes:
    """A directory without entries."""
    return b"MM\0*" + struct.pack(">IHI", 8, 0, 0)


@malformed("truncated.tiff", ("damaged",))
def truncated_tiff() -> bytes:
    """The first 100 bytes of a file."""
    return encoded(printed(), "TIFF")[:100]


@malformed("twelve_bits_in_sixteen.tiff", (None, None))
def twelve_bits_in_sixteen() -> bytes:
    """A camera's values, of which white is 4095, in both directions."""
    values = np.asarray(printed()).astype(np.uint16) * 16
    return tiff(Directory(values=values), Directory(values=values, photometric=0))


@malformed("thumbnails_and_a_mask.tiff", (None, None))
def thumbnails_and_a_mask() -> bytes:
    """Two pages among a thumbnail, a pyramid's level and a transparency mask."""
    page, small = np.asarray(printed()), np.asarray(printed(60, 40))
    kinds = ((small, 1), (page, 0), (small, 1), (page, 4), (page, 2))
    return tiff(*(Directory(values=each, tags={254: (4, [kind])}) for each, kind in kinds))


@malformed("photograph_below_its_thumbnail.tiff")
def photograph_below_its_thumbnail() -> bytes:
    """A thumbnail whose SubIFDs have the photograph, as cameras write it."""
    photograph = Directory(values=np.asarray(printed()), tags={254: (4, [0])})
    small = np.asarray(printed(60, 40))
    return tiff(Directory(values=small, tags={254: (4, [1])}, below=(photograph,)))


@malformed("page_of_64_bits.tiff", (None, "unsupported_type"))
def page_of_64_bits() -> bytes:
    """The second page has real numbers of 64 bits, which Pillow does not decode."""
    page = np.asarray(printed())
    return tiff(Directory(values=page), Directory(values=page / 255, sample_format=3))
