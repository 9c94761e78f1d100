"""The published ``config.json`` translated to the configuration of transformers' native classes.

Without the translation transformers initialises every weight at random, says so only in a log line,
and attends to the last 128 tokens alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

if TYPE_CHECKING:
    from transformers import UnlimitedOcrConfig

#: Fields of ``language_config`` that mean the same in both worlds.
_TEXT_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "bos_token_id",
    "eos_token_id",
    "moe_intermediate_size",
    "n_group",
    "n_routed_experts",
    "n_shared_experts",
    "num_experts_per_tok",
    "topk_group",
    "topk_method",
    "first_k_dense_replace",
)

#: ``modeling_deepseekocr.py`` and ``deepencoder.py`` hard-code these; ``config.json`` may override
#: them in the same place, which smaller checkpoints do.
_SAM_OUTPUT_CHANNELS = 256
_MLP_RATIO = 4

#: Required by the native class and unused with full attention.
_UNUSED_SLIDING_WINDOW = 128


def translate_config(published: dict[str, Any], image_token_id: int) -> UnlimitedOcrConfig:
    """Return the native configuration for a published ``config.json``.

    :param published: the parsed file.
    :param image_token_id: id of ``<image>`` in the checkpoint's tokenizer.
    :raises ConfigurationError: ``model_config`` if the file is not of the DeepSeek-OCR layout.
    """
    from transformers import UnlimitedOcrConfig

    try:
        language = published["language_config"]
        text = {name: language[name] for name in _TEXT_FIELDS}
        widths = published["vision_config"]["width"]
        sam, clip = widths["sam_vit_b"], widths["clip-l-14-224"]
        vision = {
            "sam_config": _sam(sam, published["vision_config"]),
            "encoder_config": _clip(clip),
        }
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            ErrorCode.MODEL_CONFIG,
            f"config.json is not of the DeepSeek-OCR layout: {error} is missing. "
            "Point the model at a directory, hub id or s3:// prefix of deepseek-ai/DeepSeek-OCR.",
        ) from error
    text |= {
        "layer_types": ["full_attention"] * text["num_hidden_layers"],
        "sliding_window": _UNUSED_SLIDING_WINDOW,
        "rms_norm_eps": language.get("rms_norm_eps", 1e-6),
        "routed_scaling_factor": language.get("routed_scaling_factor", 1.0),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": language.get("rope_theta", 10000.0),
        },
        "tie_word_embeddings": False,
    }
    return UnlimitedOcrConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=image_token_id,
        tie_word_embeddings=False,
    )


def _sam(sam: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": sam["width"],
        "num_hidden_layers": sam["layers"],
        "num_attention_heads": sam["heads"],
        "global_attn_indexes": sam["global_attn_indexes"],
        "downsample_channels": sam["downsample_channels"],
        "output_channels": sam.get("out_chans", _SAM_OUTPUT_CHANNELS),
        # The file's mlp_ratio (3.7362) is not what the weights have.
        "mlp_dim": int(sam.get("mlp_ratio", _MLP_RATIO) * sam["width"]),
        "image_size": vision["image_size"],
    }


def _clip(clip: dict[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": clip["width"],
        "num_hidden_layers": clip["layers"],
        "num_attention_heads": clip["heads"],
        "intermediate_size": int(clip.get("mlp_ratio", _MLP_RATIO) * clip["width"]),
        "image_size": clip["image_size"],
        "patch_size": clip["patch_size"],
    }
