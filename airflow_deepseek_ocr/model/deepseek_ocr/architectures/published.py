"""The parts of a published ``config.json`` that are alike in all families: the decoder and SAM.

``modeling_deepseekv2.py`` is the same file in the checkpoints of both families, and ``deepencoder.py`` has
the same SAM as ``deepencoderv2.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

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

#: The published code hard-codes these; ``config.json`` may override them in the same place, which smaller
#: checkpoints do.
_SAM_OUTPUT_CHANNELS = 256
MLP_RATIO = 4


@contextmanager
def named_fields(title: str) -> Iterator[None]:
    """Turn a field that is missing into the error that names it.

    :param title: the family's name in the message.
    :raises ConfigurationError: ``model_config``.
    """
    try:
        yield
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigurationError(
            ErrorCode.MODEL_CONFIG,
            f"config.json is not of the {title} layout: {error} is missing. "
            f"Point the model at a directory, hub id or s3:// prefix of deepseek-ai/{title}.",
        ) from error


def text_config(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return the native fields of the decoder.

    :param published: the parsed file.
    :raises KeyError, TypeError: a field is missing.
    """
    language = published["language_config"]
    fields = {name: language[name] for name in _TEXT_FIELDS}
    return fields | {
        "rms_norm_eps": language.get("rms_norm_eps", 1e-6),
        "routed_scaling_factor": language.get("routed_scaling_factor", 1.0),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": language.get("rope_theta", 10000.0),
        },
        "tie_word_embeddings": False,
    }


def sam_config(vision: Mapping[str, Any]) -> dict[str, Any]:
    """Return the native fields of SAM.

    :param vision: ``vision_config`` of the parsed file.
    :raises KeyError, TypeError: a field is missing.
    """
    sam = vision["width"]["sam_vit_b"]
    return {
        "hidden_size": sam["width"],
        "num_hidden_layers": sam["layers"],
        "num_attention_heads": sam["heads"],
        "global_attn_indexes": sam["global_attn_indexes"],
        "downsample_channels": sam["downsample_channels"],
        "output_channels": sam.get("out_chans", _SAM_OUTPUT_CHANNELS),
        # The file's mlp_ratio (3.7362) is not what the weights have.
        "mlp_dim": int(sam.get("mlp_ratio", MLP_RATIO) * sam["width"]),
        "image_size": vision["image_size"],
    }
