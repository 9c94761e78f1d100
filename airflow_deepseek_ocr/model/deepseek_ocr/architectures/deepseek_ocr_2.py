"""DeepSeek-OCR-2 in transformers' native classes: SAM, the layers of Qwen2-0.5B, and the same decoder.

Without its theta the encoder would rotate with the decoder's: all weights load, without a message, and the
features are far off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.model.deepseek_ocr.architectures.published import (
    named_fields,
    sam_config,
    text_config,
)

if TYPE_CHECKING:
    from transformers import DeepseekOcr2Config

#: The native class, which transformers imports when it is asked for.
MODEL_CLASS = "DeepseekOcr2ForConditionalGeneration"

#: ``build_qwen2_decoder_as_encoder`` in ``deepencoderv2.py`` hard-codes these; ``config.json`` may override
#: them beside the width, which smaller checkpoints do.
_ENCODER = {"layers": 24, "heads": 14, "kv_heads": 2, "ffn": 4864}
_ENCODER_THETA, _ENCODER_EPS = 1_000_000.0, 1e-6

#: What a page's views take in the vision tower in bfloat16, in bytes: 6 tiles of 768 pixels, the most that
#: there are, and a view of 1024. 8 such pages took 2.12 GiB compiled on an H200, 285 MB each
#: (docs/measurements/engines.md). Not compiled, DeepSeek-OCR takes 1.2 times as much; this family is
#: assumed to.
VISION_BYTES_PER_PAGE = 350_000_000


def translate_config(published: Mapping[str, Any], image_token_id: int) -> DeepseekOcr2Config:
    """Return the native configuration for a published ``config.json``.

    :param published: the parsed file.
    :param image_token_id: id of ``<image>`` in the checkpoint's tokenizer.
    :raises ConfigurationError: ``model_config`` if the file is not of the DeepSeek-OCR-2 layout.
    """
    from transformers import DeepseekOcr2Config

    with named_fields("DeepSeek-OCR-2"):
        text = text_config(published)
        vision = published["vision_config"]
        encoder = _ENCODER | vision["width"]["qwen2-0-5b"]
        sam = sam_config(vision)
        # The file's second number is DeepSeek-OCR's; the weights lead to the encoder's width.
        sam["downsample_channels"] = [sam["downsample_channels"][0], encoder["dim"]]
    dense = text.pop("first_k_dense_replace")
    text["mlp_layer_types"] = [
        "dense" if layer < dense else "sparse" for layer in range(text["num_hidden_layers"])
    ]
    return DeepseekOcr2Config(
        vision_config={"sam_config": sam, "encoder_config": _encoder(encoder)},
        text_config=text,
        image_token_id=image_token_id,
        tie_word_embeddings=False,
    )


def _encoder(encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": encoder["dim"],
        "num_hidden_layers": encoder["layers"],
        "num_attention_heads": encoder["heads"],
        "num_key_value_heads": encoder["kv_heads"],
        "intermediate_size": encoder["ffn"],
        "rms_norm_eps": _ENCODER_EPS,
        "rope_parameters": {"rope_type": "default", "rope_theta": _ENCODER_THETA},
    }
