"""What a request to vLLM asks of the images, and the images as the model takes them; without vLLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import prepare
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import DEFAULT_RESOLUTION
from airflow_deepseek_ocr.ocr.resolution import Resolution

#: Of ``mm_processor_kwargs``: the mode's name.
_FIELD = "resolution"
#: vLLM adds it automatically.
_IGNORED = frozenset({"truncation"})


def requested_resolution(options: Mapping[str, object], family: ModelFamily) -> Resolution:
    """The mode that these ``mm_processor_kwargs`` name; gundam if they name none.

    :param options: of the request and the server.
    :param family: the model's family.
    :raises ValueError: they name no mode that there is, or ask for anything else: sizes that the
        model was not trained with end vLLM's engine. vLLM answers it with status 400.
    """
    unknown = sorted(options.keys() - _IGNORED - {_FIELD})
    if unknown:
        raise ValueError(
            f"mm_processor_kwargs of {family.title} are {_FIELD!r} alone, not {', '.join(unknown)}."
        )
    try:
        return family.resolution(options.get(_FIELD, DEFAULT_RESOLUTION))
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def model_inputs(
    images: Sequence[Image.Image], resolution: Resolution, tile_size: int
) -> dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int64]]:
    """The images by the names that vLLM's model takes, with pixels of 8 bits.

    vLLM prepares images in one thread, keeps them in a cache, and sends them to the engine's process. The
    model maps them to its input on the GPU.

    :param images: pages of any size.
    :param tile_size: side of the model's tiles in pixels; vLLM checks it in modes without tiles, too.
    :return: ``pixel_values`` of shape (images, size, size, 3), ``images_crop`` of shape
        (tiles of all images, tile size, tile size, 3), ``images_spatial_crop`` with columns and rows of each
        image's tiles, and ``view_size``, the size again.
    """
    views = [prepare(image, resolution) for image in images]
    return {
        "pixel_values": np.stack([each.view for each in views]),
        "images_crop": np.concatenate([each.tiles for each in views]).reshape(
            -1, tile_size, tile_size, 3
        ),
        "images_spatial_crop": np.array([each.grid for each in views], np.int64),
        "view_size": np.array([resolution.size], np.int64),
    }
