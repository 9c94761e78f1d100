"""Images that are wrong, or seldom seen."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.corpus.documents.animals import animal
from tests.corpus.documents.bombs import zeros

DAMAGED = "damaged"


def _print(width: int = 240, height: int = 160) -> Image.Image:
    """Bars like print on white."""
    pixels = np.full((height, width), 255, np.uint8)
    for top in range(10, height - 10, 16):
        pixels[top : top + 8, 10 : width - 10 : 5] = 0
        pixels[top : top + 8, 11 : width - 10 : 5] = 0
    return Image.fromarray(pixels)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, colour: int, data: bytes, more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + more
        + _chunk(b"IDAT", data)
        + _chunk(b"IEND", b"")
    )


# PNG.


@animal("truncated.png", ("damaged",))
def truncated_png() -> bytes:
    """The first half of an upload."""
    whole = _saved(Image.effect_noise((200, 200), 50), "PNG")
    return whole[: len(whole) // 2]


@animal("only_signature.png", DAMAGED)
def only_signature() -> bytes:
    """Eight bytes."""
    return b"\x89PNG\r\n\x1a\n"


@animal("wrong_checksum.png", DAMAGED)
def wrong_checksum() -> bytes:
    """A bit was turned over."""
    whole = bytearray(_saved(_print(), "PNG"))
    whole[20] ^= 1
    return bytes(whole)


@animal("no_pixels.png", ("damaged",))
def no_pixels() -> bytes:
    """A size, and nothing else."""
    return _png(50, 50, 8, 0, b"")


@animal("of_no_size.png", DAMAGED)
def of_no_size() -> bytes:
    """Zero by zero pixels."""
    return _png(0, 0, 8, 0, zeros(1))


@animal("bomb.png", "too_many_pixels")
def bomb() -> bytes:
    """Nine hundred megapixels in a kilobyte."""
    return _png(30_000, 30_000, 1, 0, zeros(1000))


@animal("bomb_within_the_limit.png")
def bomb_within_the_limit() -> bytes:
    """64 megapixels of 16 bits with transparency, in a quarter of a megabyte."""
    return _png(8000, 8000, 16, 4, zeros(8000 * (8000 * 4 + 1)))


@animal("deep_grey_within_the_limit.png")
def deep_grey_within_the_limit() -> bytes:
    """49 megapixels of 16 bits."""
    return _png(7000, 7000, 16, 0, zeros(7000 * (7000 * 2 + 1)))


@animal("comment_bomb.png", DAMAGED)
def comment_bomb() -> bytes:
    """A comment of a quarter of a gigabyte, in a quarter of a megabyte."""
    return _png(9, 9, 8, 0, zeros(90), _chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 28)))


@animal("profile_bomb.png", DAMAGED)
def profile_bomb() -> bytes:
    """A colour profile of a quarter of a gigabyte."""
    return _png(9, 9, 8, 0, zeros(90), _chunk(b"iCCP", b"p\0\0" + zeros(1 << 28)))


@animal("grey_of_16_bits.png")
def grey_of_16_bits() -> bytes:
    """Deeper than a screen."""
    return _saved(Image.fromarray(np.asarray(_print()).astype(np.uint16) * 257), "PNG")


@animal("palette_with_transparency.png")
def palette_with_transparency() -> bytes:
    """256 colours, some of them half transparent."""
    image = _print().convert("P")
    return _saved(image, "PNG", transparency=bytes(range(256)))


@animal("one_pixel.png")
def one_pixel() -> bytes:
    """As small as an image can be."""
    return _saved(Image.new("RGB", (1, 1)), "PNG")


@animal("wide_as_a_tape.png")
def wide_as_a_tape() -> bytes:
    """Twenty thousand by one pixels."""
    return _saved(Image.new("L", (20_000, 1), 255), "PNG")


@animal("high_as_a_tower.png")
def high_as_a_tower() -> bytes:
    """Three by thirty thousand pixels."""
    return _saved(Image.new("L", (3, 30_000), 255), "PNG")


@animal("animated.png")
def animated_png() -> bytes:
    """Three pictures; the first is read."""
    frames = [_print().rotate(90 * turn) for turn in range(3)]
    return _saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


# JPEG.


@animal("truncated.jpg", ("damaged",))
def truncated_jpeg() -> bytes:
    """The first half of an upload."""
    whole = _saved(Image.effect_noise((200, 200), 50), "JPEG")
    return whole[: len(whole) // 2]


@animal("only_signature.jpg", DAMAGED)
def only_signature_jpeg() -> bytes:
    """Four bytes."""
    return b"\xff\xd8\xff\xe0"


@animal("cmyk.jpg")
def cmyk() -> bytes:
    """Four inks instead of three colours."""
    return _saved(_print().convert("CMYK"), "JPEG")


@animal("progressive_with_rubbish_behind.jpg")
def progressive() -> bytes:
    """Coded in passes, and a page of a web server behind it."""
    return _saved(_print(), "JPEG", progressive=True) + b"<html>404</html>" * 100


@animal("turned_by_its_tags.jpg")
def turned_by_its_tags() -> bytes:
    """A phone held upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_print(), "JPEG", exif=exif)


@animal("tags_of_noise.jpg")
def tags_of_noise() -> bytes:
    """A photograph whose EXIF tags are broken; its pixels are not."""
    return _saved(_print(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\xff" * 30)


@animal("two_pictures.jpg")
def two_pictures() -> bytes:
    """A phone's photograph with a second picture behind it; the first is read."""
    return _saved(_print(), "MPO", save_all=True, append_images=[_print(80, 60)])


# WebP, HEIF, and what is not read at all.


@animal("truncated.webp", DAMAGED)
def truncated_webp() -> bytes:
    """The first half of an upload."""
    whole = _saved(Image.effect_noise((200, 200), 50), "WEBP", lossless=True)
    return whole[: len(whole) // 2]


@animal("animated.webp")
def animated_webp() -> bytes:
    """Three pictures; the first is read."""
    frames = [_print().rotate(90 * turn) for turn in range(3)]
    return _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=9)


@animal("bomb.webp", "too_many_pixels")
def bomb_webp() -> bytes:
    """A canvas of 268 megapixels, and nothing on it."""
    canvas = b"\0\0\0\0" + b"\xfe\x3f\0" * 2
    chunk = b"VP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@animal("noise.heic", DAMAGED)
def noise_heic() -> bytes:
    """The first bytes of a phone's photograph, then noise."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(256)) * 20


@animal("animated.gif", "unsupported_type")
def animated_gif() -> bytes:
    """GIF is none of the supported types."""
    return _saved(_print(), "GIF", save_all=True, append_images=[_print().rotate(90)])


@animal("bitmap.bmp", "unsupported_type")
def bitmap() -> bytes:
    """Neither is BMP."""
    return _saved(_print(), "BMP")


@animal("drawing.svg", "unsupported_type")
def drawing() -> bytes:
    """A drawing in XML."""
    return b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'


# TIFF.


def _tiff(*frames: tuple[Image.Image, dict[str, object]]) -> bytes:
    """Frames with options of their own."""
    buffer = io.BytesIO()
    from PIL import TiffImagePlugin

    with TiffImagePlugin.AppendingTiffWriter(buffer, new=True) as writer:
        for image, options in frames:
            image.save(writer, "TIFF", **options)
            writer.newFrame()
    return buffer.getvalue()


@animal("pages_of_all_kinds.tiff", (None,) * 8)
def pages_of_all_kinds() -> bytes:
    """Sizes, depths and compressions as scanners, fax machines and microscopes write them."""
    grey = _print()
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


@animal("negative_numbers.tiff")
def negative_numbers() -> bytes:
    """Pixels of 32 bits with signs."""
    return _saved(Image.fromarray(np.asarray(_print()).astype(np.int32) - 128), "TIFF")


def _directories(*offsets_of_next: int) -> bytes:
    """A TIFF of small grey pages whose directories are chained as told: each its next one's number, or -1."""
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


@animal("directories_in_a_circle.tiff")
def directories_in_a_circle() -> bytes:
    """The page after this page is this page."""
    return _directories(0)


@animal("directories_in_a_wide_circle.tiff", (None, None, None))
def directories_in_a_wide_circle() -> bytes:
    """The third page is followed by the first."""
    return _directories(1, 2, 0)


@animal("directory_behind_the_end.tiff", DAMAGED)
def directory_behind_the_end() -> bytes:
    """Its only directory lies outside of the file."""
    return b"II*\0" + struct.pack("<I", 1 << 30) + bytes(40)


@animal("second_page_behind_the_end.tiff", (None, "damaged"))
def second_page_behind_the_end() -> bytes:
    """The second page's pixels are missing."""
    whole = _tiff((_print(), {}), (_print(), {}))
    return whole[: len(whole) - 20_000]


@animal("second_page_too_large.tiff", (None, "too_many_pixels", None))
def second_page_too_large() -> bytes:
    """Three pages; the second says that it is huge."""
    whole = bytearray(_directories(1, 2, -1))
    second = 8 + 64 + (2 + 9 * 12 + 4) + 2
    for entry in range(2):
        struct.pack_into("<I", whole, second + 12 * entry + 8, 40_000)
    return bytes(whole)


@animal("no_entries.tiff", DAMAGED)
def no_entries() -> bytes:
    """A directory without entries."""
    return b"MM\0*" + struct.pack(">IHI", 8, 0, 0)


@animal("truncated.tiff", ("damaged",))
def truncated_tiff() -> bytes:
    """The first bytes of an upload."""
    return _saved(_print(), "TIFF")[:100]
