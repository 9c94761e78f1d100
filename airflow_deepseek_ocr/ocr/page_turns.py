"""Pages turned by multiples of 90 degrees: image, size and boxes."""

from __future__ import annotations

from PIL import Image

#: Left, top, right and bottom of a box.
_Corners = tuple[int, int, int, int]


def turn(image: Image.Image, rotation: int) -> Image.Image:
    """Return the image turned clockwise.

    :param image: the page as it is.
    :param rotation: 0, 90, 180 or 270 degrees.
    """
    match rotation % 360:
        case 90:
            return image.transpose(Image.Transpose.ROTATE_270)
        case 180:
            return image.transpose(Image.Transpose.ROTATE_180)
        case 270:
            return image.transpose(Image.Transpose.ROTATE_90)
    return image


def turn_size(size: tuple[int, int], rotation: int) -> tuple[int, int]:
    """Return width and height of an image after its turn."""
    return size if rotation % 180 == 0 else (size[1], size[0])


def turn_box(box: _Corners, rotation: int, size: tuple[int, int]) -> _Corners:
    """Return a box on a page that is turned clockwise.

    :param rotation: 0, 90, 180 or 270 degrees.
    :param size: width and height of the page before it is turned.
    """
    (x1, y1, x2, y2), (width, height) = box, size
    match rotation % 360:
        case 90:
            return height - y2, x1, height - y1, x2
        case 180:
            return width - x2, height - y2, width - x1, height - y1
        case 270:
            return y1, width - x2, y2, width - x1
    return box


def upright_box(box: _Corners, rotation: int, size: tuple[int, int]) -> _Corners:
    """Return a box of the turned page on the page as it is: the inverse of :func:`turn_box`.

    :param size: width and height of the page before it is turned.
    """
    return turn_box(box, -rotation % 360, turn_size(size, rotation))
