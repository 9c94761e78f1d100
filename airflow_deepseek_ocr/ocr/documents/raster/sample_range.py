"""Grey values of black and white in images with other samples than 8 bits from black to white.

Files say how many bits a sample occupies, which is more than a scanner or camera fills: values of 12 bits
in 16 would be a black page. White is therefore found in the pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

#: Bits of the samples of scanners, cameras and medical devices.
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)
#: Bits that hold samples of any depth. Other numbers of bits are the depth itself.
_CONTAINERS = (16, 32)
#: White of real numbers: shares, or the values of one of the depths.
_REAL_WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
#: Resampling goes beyond white at edges: Lanczos by up to 20%.
_OVERSHOOT = 1.25
#: Real numbers from here on mark pixels without a value, as infinity and NaN do.
_NO_VALUE = 1e30


@dataclass(frozen=True, kw_only=True)
class StoredSamples:
    """How a file stores the samples of an image.

    :param bits: bits of a sample.
    :param is_signed: whether they are signed whole numbers.
    :param is_real: whether they are real numbers.
    :param min_is_white: whether the smallest value is white.
    :param max_sample: the largest value in use as the file says; None if it does not.
    """

    bits: int = 8
    is_signed: bool = False
    is_real: bool = False
    min_is_white: bool = False
    max_sample: int | None = None


@dataclass(frozen=True)
class SampleRange:
    """The values between which the grey of an image lies.

    :param black: the value of black.
    :param white: the value of white; less than ``black`` where the smallest value is white.
    :param samples: how the samples are stored.
    :param clear: the value of transparent pixels; None without one.
    :param has_gaps: whether pixels are transparent or have no value.
    """

    black: float
    white: float
    samples: StoredSamples
    clear: int | None = None
    has_gaps: bool = False

    def to_grey(self, band: Image.Image) -> Image.Image:
        """Return a part of the image in mode ``LA``: grey of 8 bits, transparent where there is no value.

        :param band: the part, as Pillow decoded it.
        """
        values = _values(band, self.samples)
        has_value = _has_value(values, self.clear)
        share = (np.where(has_value, values, 0).astype(np.float64) - self.black) / (
            self.white - self.black
        )
        grey = (share.clip(0, 1) * 255).astype(np.uint8)
        return Image.merge(
            "LA",
            (Image.fromarray(grey), Image.fromarray(has_value.astype(np.uint8) * np.uint8(255))),
        )


def find_range(
    bands: Iterable[Image.Image], samples: StoredSamples, clear: int | None = None
) -> SampleRange:
    """Return the values of black and white.

    :param bands: the parts of the image, of a mode with one number for a pixel.
    :param samples: how the file stores them.
    :param clear: the value of transparent pixels; None without one.
    """
    lows, highs, has_gaps = [], [], False
    for band in bands:
        whole = _values(band, samples)
        values = whole[_has_value(whole, clear)]
        has_gaps |= values.size < whole.size
        if values.size:
            lows.append(float(values.min()))
            highs.append(float(values.max()))
    black, white = _ends(min(lows, default=0.0), max(highs, default=0.0), samples)
    if samples.min_is_white:
        black, white = white, black
    return SampleRange(black, white, samples, clear, has_gaps)


def _values(image: Image.Image, samples: StoredSamples) -> np.ndarray:
    """Return the values as stored: Pillow keeps the bits of some and not their sign."""
    values = np.asarray(image)
    if image.mode == "L" and samples.is_signed:
        return values.view(np.int8)
    if image.mode == "I" and samples.bits == 32 and not samples.is_signed:
        return values.view(np.uint32)
    return values


def _has_value(values: np.ndarray, clear: int | None) -> np.ndarray:
    has_value = np.ones(values.shape, bool)
    if values.dtype.kind == "f":
        has_value &= np.isfinite(values) & (np.abs(values) < _NO_VALUE)
    elif clear is not None:
        has_value &= values != clear
    return has_value


def _ends(lowest: float, highest: float, samples: StoredSamples) -> tuple[float, float]:
    """Return the smallest and the largest value that the image may have."""
    # A few values below zero are undershoots of resampling.
    if lowest < min(0.0, -highest / 4):
        if samples.is_real and max(-lowest, highest) <= _OVERSHOOT:
            return -1.0, 1.0
        return -_power_of_two(-lowest), _power_of_two(highest + 1) - 1
    if samples.is_real:
        fitting = (white for white in _REAL_WHITES if highest <= white * _OVERSHOOT)
        return 0.0, next(fitting, _REAL_WHITES[-1])
    most = float(2 ** (samples.bits - samples.is_signed) - 1)
    stated = samples.max_sample
    # The default of the tag is the largest value that the bits hold, which tells nothing.
    if stated is not None and max(highest, 1) <= stated < most:
        return 0.0, float(stated)
    if (lowest, highest) == (0.0, 1.0):
        return 0.0, 1.0  # a black and white image, stored as numbers
    if samples.bits not in _CONTAINERS:
        return 0.0, most
    depth = next(depth for depth in _DEPTHS if highest < 2**depth)
    return 0.0, min(most, float(2**depth - 1))


def _power_of_two(least: float) -> float:
    """Return the smallest power of two that is no less, from 128 (8 bits with their sign) on."""
    return float(2 ** max(7, int(np.ceil(np.log2(max(1.0, least))))))
